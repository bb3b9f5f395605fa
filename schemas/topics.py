"""The topics: their names, partitions and what the broker must be told about each."""

import dataclasses
from collections.abc import Mapping

from schemas.catalogue import CODE, Catalogue

EVENTS_PREFIX = "gris.events."
REJECTED = "gris.rejected"
DAILY = "gris.daily"
REPLAY_OF = "gris-replay-of"
"""Header of a record that repeats a refused one of its topic: ``<partition>:<offset>``."""

MIB = 1 << 20
LONGEST = 16 * MIB
"""Bytes of a message, or a batch of them, that an event topic takes."""
FOR_EVER = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
# LogAppendTime: the broker's clock is the only "now" of validation, so a replay judges as the first reading did.
EVENTS = {**FOR_EVER, "message.timestamp.type": "LogAppendTime", "max.message.bytes": str(LONGEST)}
# A refused record is carried whole inside its RejectedEvent: the largest event has to fit, and the verdict.
REJECTS = {**FOR_EVER, "max.message.bytes": str(24 * MIB)}
LINES = {"cleanup.policy": "compact"}


@dataclasses.dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as it must be: ``config`` holds Kafka's names and texts."""

    name: str
    partitions: int
    config: Mapping[str, str]


def event_topic(agency: str) -> str:
    """Name the topic that only ``agency`` may write to."""
    return EVENTS_PREFIX + agency


def agency_of(topic: str) -> str | None:
    """Name the agency whose events ``topic`` holds; None when it is no topic of events."""
    agency = topic.removeprefix(EVENTS_PREFIX)
    return agency if agency != topic and CODE.fullmatch(agency) else None


def specs(catalogue: Catalogue) -> tuple[TopicSpec, ...]:
    """List every topic: one of events per agency of the catalogue, then gris.rejected and gris.daily."""
    events = [TopicSpec(event_topic(agency.code), agency.partitions, EVENTS) for agency in catalogue.agencies]
    # gris.daily has one partition for ever: its offsets are the feed's cursor.
    return (*events, TopicSpec(REJECTED, 1, REJECTS), TopicSpec(DAILY, 1, LINES))
