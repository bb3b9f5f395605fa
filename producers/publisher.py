"""The publisher: the one owner of kafka-python. Every record sent is awaited, as long as the broker confirms any.

Idempotent, acks=all, partitions by murmur2 of the key as Kafka's own default partitioner chooses them. What the broker
did not confirm in time is reported by its row: it may or may not be in the log, and sending it again is harmless, for
with equal revisions the later statement wins and says the same.
"""

import collections
import contextlib
import dataclasses
import logging
import socket
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from kafka import KafkaProducer, errors
from kafka.net.compat import KafkaNetClient
from kafka.partitioner import Partitioner

from producers.settings import PublisherSettings
from schemas.errors import Fatal, GrisError, Retry
from schemas.partition import partition_for

MAX_REQUEST = 16 << 20  # bytes: max.message.bytes of the topics of events
BATCH = 256 << 10  # bytes: batches of thousands of events compress well and cost the broker one append
LINGER_MS = 5
IN_FLIGHT = 20_000  # records: what kafka-python would otherwise hold without limit
KAFKA_PORT = "9092"  # where none is given
LISTENING = 1.0  # seconds for a connection
POLL = 0.1  # seconds between two looks
CONNECT = 10.0  # seconds to reach the broker, at most
TELL_EVERY = 1_000  # records between two calls of the progress callback

# kafka-python writes every reconnection attempt to the log; what matters of it comes back as our errors.
logging.getLogger("kafka").setLevel(logging.CRITICAL)


@dataclasses.dataclass(frozen=True, slots=True)
class Message:
    """One record to publish; ``row`` is what a report of failure names it by.

    A record without a key needs a ``partition``; with one, the partition is the key's unless it is named.
    """

    topic: str
    key: bytes | None
    value: bytes
    row: object
    headers: tuple[tuple[str, bytes], ...] = ()
    partition: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """A record that was not confirmed, and why: Retry when it may be tried again, Fatal when that cannot help."""

    row: object
    error: GrisError

    def __str__(self) -> str:
        return f"{self.row}: {self.error}"


@dataclasses.dataclass(frozen=True, slots=True)
class Receipt:
    """What became of the messages: how many the broker confirmed, and each that it did not, in order of sending."""

    confirmed: int
    failures: tuple[Failure, ...]


class ByKey(Partitioner):  # type: ignore[misc]
    """Kafka's default placement, by our own murmur2; keys are few and repeat, so each is hashed once per width."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, int], int] = {}

    def partition(self, topic: str, _key: object, key: bytes, _value: object, _bytes: object, cluster: object) -> int:
        """Choose the partition of ``key`` (serialised) in ``topic``."""
        width = len(cluster.partitions_for_topic(topic))  # type: ignore[attr-defined]
        found = self._known.get((key, width))
        if found is None:
            found = self._known[key, width] = partition_for(key, width)
        return found


class Publisher:
    """A connection to the broker that publishes and waits. A context manager; one thread at a time."""

    def __init__(self, settings: PublisherSettings, *, deadline: float = 60.0) -> None:
        """Connect within ``deadline`` seconds (and 10); Retry when no broker answers, Fatal when it refuses us.

        ``deadline`` is also how long a broker that owes confirmations may give none.
        """
        self._servers = settings.kafka
        self._deadline = deadline
        # Asked first because kafka-python leaks a socket with every connection that is refused.
        until = time.monotonic() + min(deadline, CONNECT)
        while not listening(self._servers):
            if time.monotonic() >= until:
                raise Retry(f"Nothing listens at {self._servers}: is the broker up, and is GRIS_KAFKA right?")
            time.sleep(POLL)
        opened: list[KafkaNetClient] = []

        def client(**configs: object) -> KafkaNetClient:
            opened.append(KafkaNetClient(**configs))
            return opened[-1]

        milliseconds = max(2 * LINGER_MS, round(deadline * 1000))
        try:
            self._producer = KafkaProducer(
                bootstrap_servers=settings.kafka.split(","),
                client_id="gris-publisher",
                enable_idempotence=True,
                acks="all",
                compression_type="lz4",
                partitioner=ByKey(),
                max_request_size=MAX_REQUEST,
                batch_size=BATCH,
                linger_ms=LINGER_MS,
                delivery_timeout_ms=milliseconds,
                request_timeout_ms=min(30_000, milliseconds - LINGER_MS),  # or kafka-python refuses the two
                max_block_ms=min(round(CONNECT * 1000), milliseconds),
                bootstrap_timeout_ms=min(round(CONNECT * 1000), milliseconds),
                allow_auto_create_topics=False,
                metrics_enabled=False,
                kafka_client=client,
                **_identity(settings),
            )
        except (errors.KafkaError, OSError, ValueError) as error:
            for half_open in opened:  # kafka-python leaves the sockets of a failed start to the garbage collector
                half_open.close()
            if isinstance(error, errors.KafkaError):
                raise mapped(error, f"The broker at {self._servers} cannot be reached (GRIS_KAFKA)") from error
            raise Fatal(f"The broker at {self._servers} cannot be used: {error}. Check GRIS_KAFKA.") from error

    def partitions(self, topic: str) -> int:
        """Count the partitions of ``topic``; Fatal when the broker has no such topic or does not let us see it."""
        try:
            return len(self._producer.partitions_for(topic))
        except errors.KafkaTimeoutError as error:
            if listening(self._servers):
                raise Fatal(f"The broker has no topic {topic}: `gris up --bare` makes the topics.") from error
            raise mapped(error, f"The broker at {self._servers} does not answer (GRIS_KAFKA)") from error
        except errors.KafkaError as error:
            raise mapped(error, f"Topic {topic} cannot be used") from error

    def publish(
        self,
        messages: Iterable[Message],
        tell: Callable[[int], None] | None = None,
        placed: Callable[[object, int, int], None] | None = None,
    ) -> Receipt:
        """Send all messages in their order and wait for each; ``tell`` hears how many are settled so far.

        ``placed`` hears row, partition and offset of each that is confirmed; the offset is -1 where the broker did not
        tell it. The deadline starts anew with every confirmation, and stands still while ``messages`` are made. Once it
        has passed, what is neither sent nor confirmed is a failure (Retry), whatever the broker confirms later: nothing
        is sent after a gap.
        """
        until = time.monotonic() + self._deadline
        waiting: collections.deque[tuple[object, object]] = collections.deque()
        failures: list[Failure] = []
        settled = 0

        def settle() -> None:
            nonlocal settled, until
            row, sent = waiting.popleft()
            found = sent if isinstance(sent, GrisError) else self._confirm(sent, until)
            if isinstance(found, GrisError):
                failures.append(Failure(row, found))
            else:
                if (now := time.monotonic()) < until:
                    until = now + self._deadline
                if placed is not None:
                    placed(row, *found)
            settled += 1
            if tell is not None and settled % TELL_EVERY == 0:
                tell(settled)

        asked = time.monotonic()
        for message in messages:
            until += time.monotonic() - asked
            while len(waiting) >= IN_FLIGHT:
                settle()
            waiting.append((message.row, self._send(message, until)))
            asked = time.monotonic()
        while waiting:
            settle()
        if tell is not None:
            tell(settled)
        return Receipt(settled - len(failures), tuple(failures))

    def close(self) -> None:
        """Let go of the broker; what was not confirmed has been reported already."""
        with contextlib.suppress(errors.KafkaTimeoutError):  # of the flush: those records are reported as failures
            self._producer.close(timeout=1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _send(self, message: Message, until: float) -> object:
        if time.monotonic() >= until:
            return Retry(f"Not sent: the broker had confirmed nothing for {self._deadline:g} s.")
        try:
            headers = list(message.headers)
            return self._producer.send(message.topic, message.value, message.key, headers, message.partition)
        except errors.KafkaError as error:
            return mapped(error, f"Not sent to {message.topic}")

    def _confirm(self, sent: object, until: float) -> GrisError | tuple[int, int]:
        """Wait for one record: partition and offset, or why it is not confirmed."""
        try:
            lies = sent.get(timeout=max(0.0, until - time.monotonic()))  # type: ignore[attr-defined]
        except errors.KafkaTimeoutError:
            return Retry(f"Not confirmed within {self._deadline:g} s; it may be in the log all the same.")
        except errors.KafkaError as error:
            return mapped(error, "Not confirmed")
        return lies.partition, lies.offset


def listening(servers: str) -> bool:
    """Say at once whether anything listens at one of ``servers`` ("host:port,host:port"), as a broker would."""
    for server in servers.split(","):
        host, _, port = server.strip().rpartition(":")
        if not port.isdecimal():
            host, port = server.strip(), KAFKA_PORT
        # A name with an empty or overlong part fails before anybody is asked, as UnicodeError.
        with (
            contextlib.suppress(OSError, UnicodeError),
            socket.create_connection((host.strip("[]"), int(port)), LISTENING),
        ):
            return True
    return False


def mapped(error: errors.KafkaError, what: str) -> GrisError:
    """Say in our words what became of ``what``: Retry for what may pass, Fatal for what will not."""
    name = type(error).__name__
    if isinstance(error, errors.MessageSizeTooLargeError | errors.RecordListTooLargeError):
        # Whoever repeats an agency's record cannot change it.
        return Fatal(
            f"{what}: the record is larger than {MAX_REQUEST} bytes, the most that a topic of events takes."
            " Its agency must publish it with a shorter note."
        )
    if isinstance(error, errors.SaslAuthenticationFailedError):
        return Fatal(f"{what}: the broker does not know us. Check GRIS_KAFKA_USER and GRIS_KAFKA_PASSWORD.")
    if isinstance(error, errors.AuthorizationError):
        return Fatal(f"{what}: not allowed ({name}). Ask the operator for the right to write to the agency's topic.")
    if isinstance(error, errors.RetriableError):
        return Retry(f"{what}: {name}.")
    # A producer that lost its sequence (a broker that forgot it) fails its batch; a new connection starts afresh.
    if isinstance(
        error,
        errors.OutOfOrderSequenceNumberError | errors.UnknownProducerIdError | errors.InvalidProducerEpochError,
    ):
        return Retry(f"{what}: {name}; publish these rows again.")
    return Fatal(f"{what}: {name}.")


def _identity(settings: PublisherSettings) -> dict[str, object]:
    identity: dict[str, object] = {"security_protocol": settings.kafka_security}
    if settings.kafka_ca_file is not None:
        identity["ssl_cafile"] = str(settings.kafka_ca_file)
    if settings.kafka_security.startswith("SASL"):
        if settings.kafka_user is None or settings.kafka_password is None:
            raise Fatal(f"GRIS_KAFKA_SECURITY={settings.kafka_security} needs GRIS_KAFKA_USER and GRIS_KAFKA_PASSWORD.")
        identity["sasl_mechanism"] = settings.kafka_mechanism
        identity["sasl_plain_username"] = settings.kafka_user
        identity["sasl_plain_password"] = settings.kafka_password.get_secret_value()
    return identity
