"""ClickHouse: migrations, writer, ledger, queries, check."""
