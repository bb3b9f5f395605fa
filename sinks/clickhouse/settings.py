"""Settings of the commands that change the database's tables."""

from schemas.settings import Settings


class DatabaseSettings(Settings):
    """Where the tables are made: on one node, or Replicated ones on every node of the cluster named."""

    clickhouse_cluster: str | None = None
