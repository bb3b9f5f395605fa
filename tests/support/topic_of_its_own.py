"""A topic, a database and a consumer group of a test's own, on a broker and an engine that others use too."""

import itertools
from collections.abc import Iterable
from pathlib import Path

from confluent_kafka import admin as kafka

from deploy.local.kafka import Broker
from deploy.topics import ensure
from schemas.topics import event_topic, specs
from tests.support.catalogue_folders import change, write_catalogue
from tests.support.clickhouse import LocalClickHouse
from tests.support.sending import of_event, send
from tests.support.stack import Stack
from tests.support.wait import wait_for
from tests.support.wire import Event, event

SECONDS = 30.0
NUMBERS = itertools.count(1)


class TopicOfItsOwn:
    """A catalogue of one agency with one indicator, and what workers of it need; none is started. To be closed."""

    def __init__(self, folder: Path, broker: Broker, engine: LocalClickHouse) -> None:
        agency = f"t{next(NUMBERS):02}"
        self.code = f"{agency.upper()}.001"
        self.topic = event_topic(agency)
        catalogue = folder / "catalogue"
        catalogue.mkdir()
        change(write_catalogue(catalogue), "agencies.csv", 2, code=agency)
        change(catalogue, "indicators.csv", 2, code=self.code, agency=agency)
        self.stack = Stack(folder, broker, engine, catalogue, f"of_{agency}")
        self.stack.environment["GRIS_GROUP"] = agency
        self.stack.prepare()
        self.admin = kafka.AdminClient({"bootstrap.servers": broker.bootstrap})

    def close(self) -> None:
        """End every worker that was started."""
        self.stack.stop()

    def hour(self, at: int) -> Event:
        """Give the figure of an hour."""
        return event(self.code, "a", f"2024-05-07T{at:02}:00:00/PT1H", 1.0)

    def publish(self, hours: Iterable[int]) -> None:
        """Publish the figures of some hours."""
        send(self.stack.bootstrap, [of_event(self.hour(at)) for at in hours])

    def delete(self) -> None:
        """Delete the topic; the broker tells of it from now on."""
        self.admin.delete_topics([self.topic])[self.topic].result(SECONDS)
        wait_for(
            lambda: self.topic not in self.admin.list_topics(timeout=10).topics, "the topic to be gone", within=SECONDS
        )

    def add_partition(self) -> None:
        """Give the topic a second partition; the broker tells of it from now on."""
        self.admin.create_partitions([kafka.NewPartitions(self.topic, 2)])[self.topic].result(SECONDS)
        wait_for(
            lambda: len(self.admin.list_topics(self.topic, timeout=10).topics[self.topic].partitions) == 2,
            "the partition to be told of",
            within=SECONDS,
        )

    def make_again(self) -> None:
        """Delete the topic and make another of its name."""
        self.delete()
        ensure(self.stack.bootstrap, specs(self.stack.catalogue))
