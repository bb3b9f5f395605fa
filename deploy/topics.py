"""The topics on a broker: made when missing, compared when there. A topic that differs is never altered silently."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec
from kafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    NoError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)

from schemas.errors import Fatal, Retry

if TYPE_CHECKING:
    from schemas.topics import TopicSpec

ANSWER_MS = 10_000
PROBE_MS = 1_000
MAX_MESSAGE_BYTES = "max.message.bytes"


def reachable(bootstrap: str) -> bool:
    """Tell whether a broker at ``bootstrap`` (host:port[,…]) answers API calls within a second."""
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=bootstrap, bootstrap_timeout_ms=PROBE_MS, request_timeout_ms=PROBE_MS
        )
    except KafkaError:
        return False
    try:
        return bool(admin.describe_cluster()["brokers"])
    except KafkaError:
        return False
    finally:
        admin.close()


def ensure(bootstrap: str, specs: Sequence["TopicSpec"], replication: int = 1) -> list[str]:
    """Create the topics of ``specs`` that are missing and check those that exist; return the names created.

    Idempotent, also against somebody who creates the same topics at the same time. Raises Fatal, naming every
    difference, when an existing topic has another number of partitions or another setting; Retry when the broker
    does not answer.
    """
    try:
        admin = KafkaAdminClient(bootstrap_servers=bootstrap, bootstrap_timeout_ms=ANSWER_MS)
    except KafkaError as error:
        raise Retry(f"No Kafka broker answers at {bootstrap}; is it running, and is GRIS_KAFKA right?") from error
    try:
        there = set(admin.list_topics())
        missing = [spec for spec in specs if spec.name not in there]
        created = _create(admin, missing, replication)
        admin.wait_for_topics([spec.name for spec in specs])
        differences = list(_differences(admin, specs))
    except KafkaTimeoutError as error:
        raise Retry(f"The Kafka broker at {bootstrap} did not answer in time.") from error
    except KafkaError as error:
        raise Fatal(f"Kafka refused to make or show the topics: {error}") from error
    finally:
        admin.close()
    if differences:
        raise Fatal("\n".join(differences))
    return created


def ends(bootstrap: str, topics: Sequence[str]) -> dict[tuple[str, int], int]:
    """Answer the end offset of every partition of ``topics``, where the next record goes.

    Raises Fatal, naming those that do not exist; Retry when the broker does not answer.
    """
    try:
        admin = KafkaAdminClient(bootstrap_servers=bootstrap, bootstrap_timeout_ms=ANSWER_MS)
    except KafkaError as error:
        raise Retry(f"No Kafka broker answers at {bootstrap}; is it running, and is GRIS_KAFKA right?") from error
    try:
        described = {row["name"]: row for row in admin.describe_topics(list(topics))}
        # A topic that the broker does not know is described all the same: by an error, and without partitions.
        faults = {topic: for_code(described[topic]["error_code"]) for topic in topics}
        missing = [topic for topic, fault in faults.items() if fault is UnknownTopicOrPartitionError]
        if missing:
            raise Fatal(
                f"The broker at {bootstrap} has no topic {', '.join(missing)}: `gris up --bare` makes the topics."
            )
        for topic, fault in faults.items():
            if fault is not NoError:
                raise fault(topic)
        asked = {
            TopicPartition(topic, part["partition_index"]): OffsetSpec.LATEST
            for topic, row in described.items()
            for part in row["partitions"]
        }
        return {(at.topic, at.partition): end.offset for at, end in admin.list_partition_offsets(asked).items()}
    except KafkaError as error:
        raise Retry(
            f"The Kafka broker at {bootstrap} did not tell the ends of its topics ({type(error).__name__})."
        ) from error
    finally:
        admin.close()


def _create(admin: KafkaAdminClient, missing: Sequence["TopicSpec"], replication: int) -> list[str]:
    created = []
    for spec in missing:
        wanted = {
            "num_partitions": spec.partitions,
            "replication_factor": replication,
            "configs": dict(spec.config),
        }
        try:
            admin.create_topics({spec.name: wanted})
        except TopicAlreadyExistsError:
            continue  # somebody was faster; it is compared like any other
        created.append(spec.name)
    return created


def _differences(admin: KafkaAdminClient, specs: Sequence["TopicSpec"]) -> Iterator[str]:
    partitions = {row["name"]: len(row["partitions"]) for row in admin.describe_topics([spec.name for spec in specs])}
    asked = [ConfigResource(ConfigResourceType.TOPIC, spec.name) for spec in specs]
    settings: Mapping[str, Mapping[str, Any]] = admin.describe_configs(asked, config_filter="all")["topic"]
    for spec in specs:
        if partitions[spec.name] != spec.partitions:
            yield (
                f"Topic {spec.name} has {partitions[spec.name]} partitions, the catalogue says {spec.partitions}: "
                "correct the column partitions of agencies.csv, or rebuild into a fresh topic."
            )
        for key, wanted in spec.config.items():
            found = settings[spec.name].get(key, {}).get("value")
            if str(found) != wanted:
                yield f"Topic {spec.name} has {key}={found}, it must be {wanted}: set it with kafka-configs.sh --alter."
