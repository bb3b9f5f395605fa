"""What is kept and who sees it: ClickHouse and the feed."""
