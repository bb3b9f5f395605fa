"""`gris bench`: how fast a worker is on a stream whose outcome is known, and whether it was right."""
