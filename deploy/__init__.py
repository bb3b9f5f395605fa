"""How it runs: up, down, test, bench, and the program gris."""
