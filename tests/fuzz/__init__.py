"""What any bytes must do: targets of a coverage-guided fuzzer, which plain tests feed with seeds and old findings.

A target is a function of bytes that raises when something is wrong. `./deploy/fuzz` runs them under atheris.
"""
