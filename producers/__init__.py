"""What a ministry says: publisher, files, and the believable sample."""
