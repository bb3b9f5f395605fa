"""What the broker says a topic is: its identity, its partitions, and whose clock stamps its records."""

import dataclasses
from collections.abc import Sequence

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import GroupIdNotFoundError, KafkaError, UnknownTopicOrPartitionError

from schemas.errors import Fatal, Retry

TIMEOUT_MS = 10_000


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """A topic as the broker knows it. ``topic_id`` changes when a topic is deleted and made again under its name."""

    topic_id: str
    partitions: int


def identities(bootstrap: str, topics: Sequence[str]) -> dict[str, Identity]:
    """Describe event topics.

    Raises Retry when the broker does not answer; Fatal when a topic is missing or its writers stamp the records.
    """
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=bootstrap, bootstrap_timeout_ms=TIMEOUT_MS, request_timeout_ms=TIMEOUT_MS
        )
    except KafkaError as error:
        raise Retry(f"No Kafka broker answers at {bootstrap}; is it running, and is GRIS_KAFKA right?") from error
    try:
        found = {row["name"]: row for row in admin.describe_topics(list(topics))}
        asked = [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in topics]
        settings = admin.describe_configs(asked, config_filter="all")["topic"]
    except UnknownTopicOrPartitionError as error:
        raise Fatal(_missing(topics)) from error
    except KafkaError as error:
        raise Retry(
            f"The Kafka broker at {bootstrap} did not describe the event topics: {type(error).__name__}."
        ) from error
    finally:
        admin.close()
    for topic in topics:
        if topic not in found or found[topic].get("error_code"):
            raise Fatal(_missing([topic]))
        stamped = settings[topic].get("message.timestamp.type", {}).get("value")
        if stamped != "LogAppendTime":
            raise Fatal(
                f"Topic {topic} has message.timestamp.type={stamped}: records must carry the broker's time, or a replay"
                " would judge them by another clock. Set it to LogAppendTime with kafka-configs.sh --alter."
            )
    return {topic: Identity(str(found[topic]["topic_id"]), len(found[topic]["partitions"])) for topic in topics}


def members(bootstrap: str, group: str) -> list[str]:
    """Name the members of a consumer group: static ones by the name they chose. Raises Retry.

    A static member that ended is still there until its session times out.
    """
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=bootstrap, bootstrap_timeout_ms=TIMEOUT_MS, request_timeout_ms=TIMEOUT_MS
        )
    except KafkaError as error:
        raise Retry(f"No Kafka broker answers at {bootstrap}; is it running, and is GRIS_KAFKA right?") from error
    try:
        found = admin.describe_groups([group])[group]
    except KafkaError as error:
        raise Retry(
            f"The Kafka broker at {bootstrap} did not describe the group {group}: {type(error).__name__}."
        ) from error
    finally:
        admin.close()
    if found["error"] and GroupIdNotFoundError.__name__ not in found["error"]:
        raise Retry(f"The Kafka broker at {bootstrap} did not describe the group {group}: {found['error']}.")
    return sorted(member.get("group_instance_id") or member["member_id"] for member in found["members"])


def _missing(topics: Sequence[str]) -> str:
    return (
        f"Of the topics {', '.join(topics)}, at least one does not exist: make them with `gris up --bare`,"
        " or by hand as documented."
    )
