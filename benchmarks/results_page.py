"""The command line of a program that writes a page of docs/results."""

import argparse
from collections.abc import Sequence
from pathlib import Path

RESULTS = Path(__file__).parent.parent / "docs" / "results"


class ResultsPage(argparse.ArgumentParser):
    """The parser of a program that has ``--small`` and ``--write``, and the page that it writes."""

    def __init__(self, name: str, description: str | None, small: str) -> None:
        """Take the file's name in docs/results, and what is said of the program and ``--small``."""
        super().__init__(description=description)
        self._file = RESULTS / name
        self.add_argument("--small", action="store_true", help=small)
        self.add_argument("--write", action="store_true", help=f"write {name} in docs/results")

    def read(self, argv: Sequence[str] | None) -> argparse.Namespace:
        """Parse arguments, and refuse to write what a small measurement found."""
        arguments = self.parse_args(argv)
        if arguments.small and arguments.write:
            self.error("--small measures nothing that belongs on the page; leave --write out")
        return arguments

    def publish(self, text: str, *, write: bool) -> None:
        """Print the page, and write it if asked to."""
        print(text)
        if write:
            self._file.write_text(text)
