"""Commands of the sinks: `gris migrate`, `gris check`, `gris feed`."""

import sys

import click


@click.command()
def migrate() -> None:
    """Bring the database's tables up to date; GRIS_CLICKHOUSE_CLUSTER names a cluster for Replicated ones."""
    from sinks.clickhouse.client import connect  # noqa: PLC0415 - `gris --help` must not wait for pyarrow
    from sinks.clickhouse.migrate import migrate as bring_up_to_date  # noqa: PLC0415
    from sinks.clickhouse.settings import DatabaseSettings  # noqa: PLC0415

    settings = DatabaseSettings.read()
    client = connect(settings.clickhouse)
    applied = bring_up_to_date(client, replicated=settings.clickhouse_cluster)
    for name in applied:
        click.echo(f"applied {name}")
    if not applied:
        click.echo("nothing to do")
    client.close()


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, for scripts.")
def check(*, as_json: bool) -> None:
    """Prove conservation per partition and recompute every total from the observations; exit 1 on any difference."""
    from schemas.catalogue import load  # noqa: PLC0415 - `gris --help` must not wait for pyarrow
    from schemas.settings import Settings  # noqa: PLC0415
    from sinks.clickhouse import check_view  # noqa: PLC0415
    from sinks.clickhouse.client import connect  # noqa: PLC0415

    settings = Settings.read()
    catalogue = load(settings.catalogue)
    client = connect(settings.clickhouse)
    report = check_view.run(client, catalogue, as_json=as_json)
    client.close()
    sys.exit(0 if report.clean else 1)


@click.command()
def feed() -> None:
    """Serve the live daily report over HTTP: JSON, the stream of lines, pages."""
    from sinks.feed.app import serve  # noqa: PLC0415 - `gris --help` must not wait for FastAPI
    from sinks.feed.settings import FeedSettings  # noqa: PLC0415

    serve(FeedSettings.read())
