"""Imports go along the arrows of the design, and a client library is imported by its owner module only."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("schemas", "producers", "streams", "sinks", "deploy")
# Per importing folder: the modules of ours it may import, its own besides. deploy may import all.
ARROWS = {
    "schemas": (),
    "producers": ("schemas",),
    "streams": (
        "schemas",
        "sinks.clickhouse.client",
        "sinks.clickhouse.ledger",
        "sinks.clickhouse.queries",
        "sinks.clickhouse.tail",
        "sinks.clickhouse.writer",
    ),
    "sinks": ("schemas",),
    "deploy": FOLDERS,
}
# Per library: the modules, or the packages by a dot at the end, that may import it.
OWNERS = {
    "kafka": ("producers.publisher", "streams.broker", "deploy.topics"),
    "clickhouse_connect": ("sinks.clickhouse.client",),
    "faust": ("streams.", "deploy.benchmark.rivals.stock_faust"),
    "mode": ("streams.",),
    "aiokafka": ("streams.", "sinks.feed.lines", "deploy.benchmark.floors"),
    "fastavro": ("schemas.codec", "deploy.benchmark.floors", "deploy.benchmark.rivals.one_by_one"),
    "chdb": ("deploy.local.clickhouse",),
    "openpyxl": ("producers.files",),
    "confluent_kafka": (
        "deploy.benchmark.publish",
        "deploy.benchmark.log",
        "deploy.benchmark.rivals.bare_loop",
        "deploy.faults.publishing",
    ),
}
FAMILIES = ("schemas.codec",)  # an owner whose further modules bear its name: codec.py, codec_reference.py


def imports(code: str, module: str) -> Iterator[str]:
    """Name every module that ``code``, being ``module``, imports: at the top, in a function, by a relative name."""
    package = module.rpartition(".")[0]
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            origin = ".".join([*above, *filter(None, [node.module])])
            # What is imported from a package may be a module of it: `from sinks.clickhouse import check`.
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def within(module: str, owner: str) -> bool:
    """Whether ``module``, or a name in it, belongs to ``owner``: a module, a package (dot at the end) or a family."""
    if owner.endswith("."):
        return module.startswith(owner)
    return module == owner or module.startswith((f"{owner}.", *(f"{name}_" for name in FAMILIES if name == owner)))


def fault(module: str, imported: str) -> str | None:
    """Say why ``module`` may not import ``imported``; None when it may."""
    folder, target = module.partition(".")[0], imported.partition(".")[0]
    if target == "tests":
        return f"{module} imports {imported}: only tests import tests"
    if target in FOLDERS and target != folder and not any(within(imported, arrow) for arrow in ARROWS[folder]):
        return f"{module} imports {imported}: {folder} may import only {', '.join(ARROWS[folder]) or 'nothing of ours'}"
    if target in OWNERS and not any(within(module, owner) for owner in OWNERS[target]):
        return f"{module} imports {imported}: only {', '.join(OWNERS[target]) or 'tests'} may"
    return None


def modules() -> list[tuple[str, Path]]:
    files = [file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*.py"))]
    return [(".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), file) for file in files]


def test_every_import_goes_along_the_arrows_and_every_library_has_its_owner() -> None:
    found = modules()
    assert {name.split(".")[0] for name, _ in found} == set(FOLDERS)
    faults = {
        f"{file.relative_to(ROOT)}: {problem}"
        for name, file in found
        for imported in imports(
            file.read_text(encoding="utf-8"), name if file.stem != "__init__" else f"{name}.__init__"
        )
        if (problem := fault(name, imported))
    }
    assert not faults, "\n".join(sorted(faults))


@pytest.mark.parametrize(
    ("module", "code"),
    [
        ("schemas.period", "import streams"),
        ("schemas.rules", "def f():\n    from sinks.clickhouse import client"),
        ("producers.cli", "import sinks.clickhouse.client as c"),
        ("sinks.feed.app", "from streams.cube import Cube"),
        ("sinks.cli", "from deploy import cli"),
        ("streams.app", "from sinks.clickhouse import check"),
        ("streams.app", "from sinks import feed"),
        ("streams.app", "import sinks.feed.app"),
        ("streams.app", "import confluent_kafka"),
        ("deploy.cli", "from tests.support.kafka import x"),
        ("deploy.cli", "from kafka import KafkaProducer"),
        ("deploy.cli", "import clickhouse_connect"),
        ("sinks.clickhouse.writer", "import clickhouse_connect.driver.client"),
        ("sinks.feed.stream", "import aiokafka"),
        ("schemas.rules", "import fastavro"),
        ("producers.publisher", "import faust"),
        ("deploy.stack", "import chdb"),
    ],
)
def test_an_import_against_an_arrow_or_past_an_owner_is_named(module: str, code: str) -> None:
    problems = [problem for imported in imports(code, module) if (problem := fault(module, imported))]
    assert len(problems) == 1
    assert problems[0].startswith(f"{module} imports ")


@pytest.mark.parametrize(
    ("module", "code"),
    [
        (
            "streams.flush",
            "from sinks.clickhouse.writer import Writer\nfrom sinks.clickhouse import ledger, queries, client",
        ),
        ("streams.blocks", "import faust, aiokafka.errors\nfrom . import cube"),
        ("schemas.codec_reference", "import fastavro"),
        ("producers.publisher", "from kafka.errors import KafkaError"),
        ("sinks.feed.lines", "import aiokafka\nfrom schemas.codec import decode_line"),
        ("deploy.cli", "from streams.cli import worker\nimport sinks.cli, json"),
    ],
)
def test_an_import_along_an_arrow_or_by_the_owner_is_fine(module: str, code: str) -> None:
    assert [fault(module, imported) for imported in imports(code, module)] == [None] * len(list(imports(code, module)))


def test_a_relative_import_is_read_as_what_it_names() -> None:
    assert list(imports("from . import a\nfrom .b import c\nfrom .. import d", "sinks.clickhouse.client")) == [
        "sinks.clickhouse.a",
        "sinks.clickhouse.b.c",
        "sinks.d",
    ]
