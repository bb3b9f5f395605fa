"""Plain pages over the feed's own interface: the day, one indicator, the coverage. They load nothing from elsewhere."""
