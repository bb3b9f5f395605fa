"""`gris bench faults`: break everything that can break, on a seeded schedule, and prove that nothing was lost."""
