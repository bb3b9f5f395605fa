"""A real Apache Kafka for one machine: a single KRaft broker on loopback, its jars from Maven Central.

``python -m deploy.local.kafka start --data DIR --port 9092``, and ``stop`` and ``libs`` (only lay the jars).
"""

import base64
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local.ports import LOOPBACK, free_port, holder, is_taken
from deploy.local.process import Service
from deploy.topics import reachable
from schemas.errors import Fatal

CHECKOUT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).with_suffix("")
LIBS = CHECKOUT / ".gris" / "kafka" / "libs"
JAVA_NEEDED = 17
LAY_SECONDS = 600
FORMAT_SECONDS = 180
READY_SECONDS = 180
ARCHIVED_WITHIN = 180.0  # it is written at the end; one that is cut off would be taken for a Java that makes none
BRIEF = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""Flags of a JVM that lives for minutes at most: it has no time to optimise, and a start costs half."""

PROPERTIES = """\
# Written by deploy/local/kafka.py at every start.
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}{listens}
advertised.listeners=PLAINTEXT://{host}:{port}{advertises}
log.dirs={logs}
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=16777216
# After a crash the controller waits this long before it lets the same broker in again (9 s by default).
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
"""


class Broker:
    """One broker with its data in ``data``; ``heap`` as in -Xmx. Data, pid file and log file outlive the process.

    ``behind`` adds a listener for those who come through a proxy: the port on which it listens, and the proxy's, to
    which its clients are told to connect. ``properties`` are said after ours, and so win. ``jvm`` are flags of Java;
    ``archive`` off does without the archive of classes.
    """

    def __init__(
        self,
        data: Path,
        port: int,
        *,
        heap: str = "1g",
        folder: Path | None = None,
        behind: tuple[int, int] | None = None,
        properties: Mapping[str, str] | None = None,
        jvm: Sequence[str] = ("-XX:+UseG1GC",),
        archive: bool = True,
    ) -> None:
        self.properties = properties or {}
        self.jvm = jvm
        self._archive = archive
        self.data = data.resolve()
        self.port = port
        self.heap = heap
        self.behind = behind
        self.service = Service("kafka", folder or self.data)

    @property
    def bootstrap(self) -> str:
        """Where clients connect: ``host:port``."""
        return f"{LOOPBACK}:{self.port}"

    def start(self, within: float = READY_SECONDS) -> None:
        """Lay the jars, format the storage the first time, start, and return when the broker answers."""
        libs = lay_libs()
        if re.search(r"[,:;\\]", str(self.data)):
            raise Fatal(
                f"{self.data}: Kafka cannot keep data in a folder with , : ; or \\ in its path; choose another."
            )
        if is_taken(self.port):
            raise Fatal(f"Port {self.port} is taken by {holder(self.port)}; stop it or set GRIS_KAFKA to another port.")
        self.data.mkdir(parents=True, exist_ok=True)
        properties = self.data / "server.properties"
        listens, advertises = (f",PROXIED://{LOOPBACK}:{port}" for port in self.behind) if self.behind else ("", "")
        properties.write_text(
            PROPERTIES.format(
                host=LOOPBACK,
                port=self.port,
                controller=free_port(),
                logs=self.data / "logs",
                listens=listens,
                advertises=advertises,
            )
            + "".join(f"{name}={value}\n" for name, value in self.properties.items())
        )
        program = find_java()
        java = [
            program,
            *(archived_classes(program, libs) if self._archive else ()),
            "-cp",
            f"{libs}/*",
            f"-Dlog4j2.configurationFile={FOLDER / 'log4j2.properties'}",
        ]
        if not (self.data / "logs" / "meta.properties").exists():
            _format(java, properties)
        self.service.start(
            [*java, f"-Xmx{self.heap}", *self.jvm, "-XX:+ExitOnOutOfMemoryError", "kafka.Kafka", str(properties)],
            about=self.bootstrap,
        )
        # The port first: asking a broker that does not listen yet costs its client a second each time.
        self.service.wait_ready(lambda: is_taken(self.port) and reachable(self.bootstrap), within)

    def stop(self, within: float = 30.0) -> bool:
        """Stop in order (SIGTERM), by force after ``within`` seconds. False when it was not running."""
        return self.service.stop(within)

    def kill(self) -> None:
        """End it as a crash would (SIGKILL); ``start`` recovers from the data."""
        self.service.kill()


def lay_libs(libs: Path = LIBS) -> Path:
    """Lay the broker's jars into ``libs`` with Maven unless they are there for this very pom.xml; return ``libs``."""
    pom = FOLDER / "pom.xml"
    wanted = hashlib.sha256(pom.read_bytes()).hexdigest()
    stamp = libs / "pom.sha256"
    if stamp.exists() and stamp.read_text() == wanted:
        return libs
    maven = shutil.which("mvn")
    if maven is None:
        raise Fatal("Maven is missing: install it (Debian: apt-get install maven) so that Kafka can be fetched.")
    libs.parent.mkdir(parents=True, exist_ok=True)
    with (libs.parent / "libs.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests and `up` may want them at the same moment
        if stamp.exists() and stamp.read_text() == wanted:
            return libs
        staged = libs.with_name("libs.new")
        shutil.rmtree(staged, ignore_errors=True)
        command = [maven, "-B", "-ntp", "-q", "-f", str(pom), "dependency:copy-dependencies", "-DincludeScope=runtime"]
        ran = subprocess.run(
            [*command, f"-DoutputDirectory={staged}"], check=False, capture_output=True, text=True, timeout=LAY_SECONDS
        )
        if ran.returncode != 0:
            said = "\n".join((ran.stdout + ran.stderr).strip().splitlines()[-6:])
            raise Fatal(f"Maven could not fetch Kafka ({pom}); check the connection to Maven Central. It said:\n{said}")
        (staged / "pom.sha256").write_text(wanted)
        shutil.rmtree(libs, ignore_errors=True)
        staged.replace(libs)
    return libs


def archived_classes(java: str, libs: Path) -> list[str]:
    """Give the flags by which this Java maps the broker's classes ready-made, from an archive that is made once.

    Loading and verifying them is most of what a start costs. A Java that makes no archive starts without.
    """
    program = Path(java).resolve()
    made_of = f"{(libs / 'pom.sha256').read_text()} {program} {program.stat().st_mtime_ns}"
    archive = libs.parent / f"classes-{hashlib.sha256(made_of.encode()).hexdigest()[:16]}.jsa"
    if not archive.exists():
        with (libs.parent / "libs.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not archive.exists():
                _archive_classes(archive)
    return [f"-XX:SharedArchiveFile={archive}"] if archive.stat().st_size else []


def _archive_classes(archive: Path) -> None:
    """Start and stop a broker that leaves at its end what it has loaded."""
    with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
        staged = Path(folder) / archive.name
        jvm = (*BRIEF, f"-XX:ArchiveClassesAtExit={staged}")
        broker = Broker(Path(folder) / "data", free_port(), heap="384m", jvm=jvm, archive=False)
        try:
            broker.start()
        finally:
            broker.stop(ARCHIVED_WITHIN)
        staged.touch()
        staged.replace(archive)


def find_java() -> str:
    """Answer the path of a Java that can run the broker: of JAVA_HOME, else of PATH."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which(f"{home}/bin/java") if home else shutil.which("java")
    if java is None:
        raise Fatal(f"Java {JAVA_NEEDED} is missing: install it (Debian: apt-get install openjdk-17-jdk-headless).")
    shown = subprocess.run([java, "-version"], check=False, capture_output=True, text=True).stderr
    found = re.search(r'version "(\d+)', shown)
    if found is None or int(found[1]) < JAVA_NEEDED:
        raise Fatal(f"{java} is too old for Kafka 4: set JAVA_HOME to a Java {JAVA_NEEDED} or later.")
    return java


def _format(java: list[str], properties: Path) -> None:
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    ran = subprocess.run(
        [*java, *BRIEF, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "--config", str(properties)],
        check=False,
        capture_output=True,
        text=True,
        timeout=FORMAT_SECONDS,
    )
    if ran.returncode != 0:
        said = "\n".join((ran.stdout + ran.stderr).strip().splitlines()[-4:])
        raise Fatal(f"Kafka's storage in {properties.parent} cannot be formatted:\n{said}")


def _main() -> None:
    import click  # noqa: PLC0415  # only this way of running it needs a command line

    @click.command()
    @click.argument("what", type=click.Choice(["start", "stop", "libs"]))
    @click.option("--data", type=click.Path(path_type=Path), default=CHECKOUT / ".gris" / "kafka" / "data")
    @click.option("--port", type=int, default=9092)
    @click.option("--heap", default="1g", help="As in -Xmx.")
    def run(what: str, data: Path, port: int, heap: str) -> None:
        """Run the local broker by itself."""
        broker = Broker(data, port, heap=heap)
        try:
            if what == "start":
                broker.start()
                click.echo(f"Kafka answers on {broker.bootstrap}; its log is {broker.service.log_file}.")
            elif what == "stop":
                click.echo("Kafka is stopped." if broker.stop() else "Kafka was not running.")
            else:
                click.echo(lay_libs())
        except Fatal as error:
            raise click.ClickException(str(error)) from error

    run()


if __name__ == "__main__":
    _main()
