"""The command `gris rebuild`: totals from the observations, everything from the log."""

import sys

import click


@click.group()
def rebuild() -> None:
    """Make totals, or everything, once more, and prove that it is what is there. Exit code 0: equal; 1: different."""


@rebuild.command()
@click.option("--write", is_flag=True, help="Replace, announce and delete what differs; no worker may run.")
@click.option("--announce", is_flag=True, help="Like --write, and publish every line to gris.daily again.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def totals(*, write: bool, announce: bool, as_json: bool) -> None:
    """Recompute the day totals from the observations, under the present catalogue.

    For after a change of catalogue: with --write, once the workers are stopped.
    """
    import asyncio  # noqa: PLC0415 - `gris --help` must not wait for Faust and pyarrow

    from deploy.rebuild import view  # noqa: PLC0415
    from deploy.rebuild.totals import TotalsRebuild  # noqa: PLC0415
    from schemas.catalogue import load  # noqa: PLC0415
    from sinks.clickhouse.client import connect  # noqa: PLC0415
    from streams.announce import Announcer  # noqa: PLC0415
    from streams.broker import members  # noqa: PLC0415
    from streams.daily_keys import announced  # noqa: PLC0415
    from streams.settings import WorkerSettings  # noqa: PLC0415

    settings = WorkerSettings.read()
    catalogue = load(settings.catalogue)
    client = connect(settings.clickhouse)
    with view.bar("recomputing totals", hidden=as_json) as progress:
        rebuild_ = TotalsRebuild(
            client,
            catalogue,
            Announcer(settings.kafka, "rebuild"),
            lambda: members(settings.kafka, settings.group),
            lambda: announced(settings.kafka),
            session_seconds=settings.session_seconds,
        )
        outcome = asyncio.run(rebuild_.run(progress, write=write, announce=announce))
    client.close()
    view.totals(outcome, as_json=as_json)
    sys.exit(0 if outcome.equal else 1)


@rebuild.command()
@click.option("--into", "database", required=True, metavar="DATABASE", help="A database that is not in use.")
@click.option("--diff", is_flag=True, help="Show it as what the rules of GRIS_CATALOGUE would change.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def events(*, database: str, diff: bool, as_json: bool) -> None:
    """Judge the whole log of every event topic again, into fresh tables, and compare these with the present ones.

    The tables in use are only read, nothing is published, and workers may run meanwhile.
    """
    from deploy.rebuild import view  # noqa: PLC0415 - `gris --help` must not wait for Faust and pyarrow
    from deploy.rebuild.events import rebuild as judge_again  # noqa: PLC0415
    from schemas.catalogue import load  # noqa: PLC0415
    from sinks.clickhouse.client import connect  # noqa: PLC0415
    from sinks.clickhouse.compare import Compare  # noqa: PLC0415
    from sinks.clickhouse.settings import DatabaseSettings  # noqa: PLC0415

    settings = DatabaseSettings.read()
    catalogue = load(settings.catalogue)
    client = connect(settings.clickhouse)
    compare = Compare(client, catalogue, database)
    with view.bar("judging the log", hidden=as_json) as shown:
        judge_again(settings, catalogue, database, shown, shown.say)
    with view.bar("comparing", hidden=as_json) as shown:
        found = compare.run(shown)
    client.close()
    view.comparison(found, diff=diff, as_json=as_json)
    sys.exit(0 if found.equal else 1)
