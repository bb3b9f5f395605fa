"""Messages to gris.rejected and gris.daily, each acknowledged by all in-sync replicas before the ledger moves."""

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from schemas.errors import Fatal, Retry
from schemas.topics import DAILY, REJECTED
from streams.report import Line

MAX_REQUEST = 24 << 20


class Announcer:
    """An idempotent producer that is made anew after a failure: a fenced or expired one cannot be used again."""

    def __init__(self, bootstrap: str, client_id: str) -> None:
        self._bootstrap = bootstrap
        self._client_id = client_id
        self._producer: AIOKafkaProducer | None = None

    async def send(self, rejects: Sequence[Line], lines: Sequence[Line]) -> None:
        """Publish in order and wait for every acknowledgement.

        Raises Retry when the broker does not answer; sending again repeats equal messages.
        """
        if not rejects and not lines:
            return
        try:
            producer = await self._ready()
            pending = [await producer.send(REJECTED, key=line.key, value=line.value) for line in rejects]
            pending += [await producer.send(DAILY, key=line.key, value=line.value, partition=0) for line in lines]
            await asyncio.gather(*pending)
        except MessageSizeTooLargeError as error:
            raise Fatal(
                f"A message does not fit: set max.message.bytes of {REJECTED} and {DAILY} to {MAX_REQUEST} or more."
            ) from error
        except KafkaError as error:
            await self.close()
            raise Retry(f"Kafka at {self._bootstrap} does not take messages ({type(error).__name__}).") from error

    async def _ready(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._bootstrap,
                client_id=self._client_id,
                enable_idempotence=True,
                acks="all",
                max_request_size=MAX_REQUEST,
                max_batch_size=1 << 20,
                linger_ms=0,
            )
            try:
                await producer.start()
            except KafkaError:
                await producer.stop()
                raise
            self._producer = producer
        return self._producer

    async def close(self) -> None:
        """Let go of the connection; what was not acknowledged is sent again by whoever waits for it."""
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                await producer.stop()
            except KafkaError:
                # A producer that failed may fail again while it closes; the next one starts fresh.
                return
