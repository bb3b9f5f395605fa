"""The local broker starts quickly: it maps its classes ready-made from an archive, and can do without."""

from pathlib import Path

from deploy.local.kafka import BRIEF, Broker, archived_classes, find_java, lay_libs
from deploy.local.ports import free_port
from tests.support.kafka import running_kafka


def test_a_broker_maps_its_classes_from_an_archive_that_outlives_it(tmp_path: Path) -> None:
    with running_kafka(tmp_path) as broker:
        (flag,) = archived_classes(find_java(), lay_libs())
        archive = flag.partition("=")[2]
        assert archive in Path(f"/proc/{broker.service.pid()}/maps").read_text(encoding="utf-8")
    assert Path(archive).exists()


def test_an_archive_that_is_of_no_use_does_not_keep_a_broker_from_starting(tmp_path: Path) -> None:
    spoilt = tmp_path / "spoilt.jsa"
    spoilt.write_bytes(b"no archive")
    flags = (*BRIEF, f"-XX:SharedArchiveFile={spoilt}")
    broker = Broker(tmp_path / "kafka", free_port(), heap="384m", jvm=flags, archive=False)
    try:
        broker.start()
    finally:
        broker.stop()
