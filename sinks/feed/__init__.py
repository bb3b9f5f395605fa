"""The feed: HTTP, server-sent events, pages."""
