"""The option --json FILE of commands that run for minutes: whether FILE can be written is known before they begin."""

import os
from pathlib import Path
from typing import Any

import click


class FileToWrite(click.Path):
    """A file that can be written, be it there already or not; it is left as it is."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, writable=True, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Read it as a Path. Whether a new file can be made is only known once one was."""
        file = Path(os.fsdecode(super().convert(value, param, ctx)))
        try:
            if not file.exists():
                file.touch(exist_ok=False)
                file.unlink()
        except OSError as error:
            self.fail(f"{file} cannot be written: {error.strerror}. Name a file in a folder that is there.", param, ctx)
        return file


json_option = click.option("--json", "file", type=FileToWrite(), help="Write everything there too.")
