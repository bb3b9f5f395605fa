"""The routes of the feed, one file per document."""
