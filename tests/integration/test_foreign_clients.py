"""Agencies bring their own clients: Java's and Node's as they come, and librdkafka, which needs one setting."""

import base64
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.kafka import find_java, lay_libs
from tests.support.hostile import OTHER_PERIODS
from tests.support.node import lay_kafkajs, program
from tests.support.sending import of_event, send
from tests.support.small_catalogue import FIGURES, write_catalogue
from tests.support.stack import Stack, running_stack
from tests.support.wire import Event, event, frame

TOPIC = "gris.events.z04"  # four partitions
CLIENT_SECONDS = 120

JAVA = """
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Properties;
import java.util.Scanner;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class Agency {
    public static void main(String[] arguments) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", arguments[0]);
        try (KafkaProducer<byte[], byte[]> producer =
                     new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
             Scanner lines = new Scanner(System.in)) {
            while (lines.hasNextLine()) {
                String[] pair = lines.nextLine().split(" ");
                byte[] key = pair[0].getBytes(StandardCharsets.UTF_8);
                producer.send(new ProducerRecord<>(arguments[1], key, Base64.getDecoder().decode(pair[1]))).get();
            }
        }
    }
}
"""

NODE = """
const { Kafka } = require("kafkajs");
const [bootstrap, topic] = process.argv.slice(2);
(async () => {
  const lines = require("fs").readFileSync(0, "utf8").trim().split("\\n");
  const producer = new Kafka({ brokers: [bootstrap] }).producer();
  await producer.connect();
  await producer.send({
    topic,
    messages: lines.map((line) => {
      const [key, value] = line.split(" ");
      return { key, value: Buffer.from(value, "base64") };
    }),
  });
  await producer.disconnect();
})().catch((error) => { console.error(error); process.exit(1); });
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run the small catalogue, whose fourth agency has four partitions, with one worker."""
    folder = tmp_path_factory.mktemp("stack")
    with running_stack(folder, write_catalogue(folder / "catalogue")) as running:
        running.worker()
        yield running


def one_of_each(submission: str) -> list[Event]:
    """State every indicator of the agency once."""
    return [
        event(
            figure.code,
            "VN" if figure.geography == "nation" else "01",
            OTHER_PERIODS[figure.frequency],
            float(figure.low or 0),
            base=2.5 if figure.needs_base else None,
            submission=submission,
        )
        for figure in FIGURES
        if figure.agency == "z04"
    ]


def as_lines(events: list[Event]) -> bytes:
    """Write key and value in base64, a line each."""
    return b"".join(str(said["indicator"]).encode() + b" " + base64.b64encode(frame(said)) + b"\n" for said in events)


def verdicts(stack: Stack, submission: str) -> tuple[int, int]:
    """Count what was accepted of a submission, and over how many partitions it lies."""
    stack.wait_caught_up()
    rows = stack.query(
        f"SELECT count(), uniqExact(partition) FROM observations FINAL WHERE submission = '{submission}'"
    )
    return rows[0][0], rows[0][1]


def test_the_java_client_is_accepted_as_it_comes(stack: Stack, tmp_path: Path) -> None:
    source = tmp_path / "Agency.java"
    source.write_text(JAVA, encoding="utf-8")
    said = one_of_each("java")
    command = [find_java(), "-Xmx128m", "-cp", f"{lay_libs()}/*", str(source), stack.bootstrap, TOPIC]
    ran = subprocess.run(command, check=False, input=as_lines(said), capture_output=True, timeout=CLIENT_SECONDS)
    assert ran.returncode == 0, ran.stderr.decode()
    accepted, partitions = verdicts(stack, "java")
    assert accepted == len(said)
    assert partitions > 1


def test_the_node_client_is_accepted_as_it_comes(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "agency.js").write_text(NODE, encoding="utf-8")
    said = one_of_each("node")
    ran = subprocess.run(
        [program("node"), "agency.js", stack.bootstrap, TOPIC],
        cwd=tmp_path,
        env=os.environ | {"NODE_PATH": str(lay_kafkajs()), "KAFKAJS_NO_PARTITIONER_WARNING": "1"},
        check=False,
        input=as_lines(said),
        capture_output=True,
        timeout=CLIENT_SECONDS,
    )
    assert ran.returncode == 0, ran.stderr.decode()
    accepted, partitions = verdicts(stack, "node")
    assert accepted == len(said)
    assert partitions > 1


def test_librdkafka_s_default_partitioner_is_refused_where_it_differs_and_told_the_setting(stack: Stack) -> None:
    right = send(stack.bootstrap, [of_event(said) for said in one_of_each("murmur2")])
    events = one_of_each("crc32")
    wrong = send(stack.bootstrap, [of_event(said) for said in events], partitioner="consistent_random")
    misplaced = {here for here, there in zip(wrong, right, strict=True) if here[0] != there[0]}
    assert 0 < len(misplaced) < len(events), "the two partitioners should agree on some keys only"

    assert verdicts(stack, "murmur2")[0] == len(events)
    assert verdicts(stack, "crc32")[0] == len(events) - len(misplaced)
    rows = stack.query(
        f"SELECT partition, offset, reason, field, detail FROM rejected FINAL WHERE topic = '{TOPIC}'"
        " AND submission = 'crc32'"
    )
    assert {(row[0], row[1]) for row in rows} == misplaced
    for _, _, reason, field, detail in rows:
        assert (reason, field) == ("WRONG_PARTITION", "key")
        assert "partitioner" in detail
        assert "murmur2" in detail


def test_after_all_clients_the_check_finds_no_difference(stack: Stack) -> None:
    stack.wait_caught_up()
    stack.run("check")
