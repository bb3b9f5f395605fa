"""`gris rebuild`: day totals from the observations, or everything from the log, and proof that it is what is there."""
