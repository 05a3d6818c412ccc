"""A verb of the command line: its result alone goes to stdout, for people or as JSON."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from ssgan.base.errors import BadInput
from ssgan.cli.screen import log_to_stderr, nothing_on_stdout, show, show_json


@dataclass(frozen=True)
class Answer:
    """What a verb found.

    Attributes:
        screen: Lines, tables and panels for people.
        facts: The same for programs, printed by ``--json``.
        failure: Raised once that is printed.
    """

    screen: list[Any]
    facts: Mapping[str, Any] = field(default_factory=dict)
    failure: BaseException | None = None


class Verb(click.Command):
    """A command whose function returns an `Answer`.

    What the function and the libraries below it print goes to stderr.

    Args:
        examples: Lines of the help, each a command and what it does.
        json: What ``--json`` prints, in words; None for a verb without it.
        named: As for any command of click.
    """

    def __init__(self, *, examples: str, json: str | None = None, **named: Any) -> None:
        super().__init__(epilog=f"\b\nExamples:\n{examples}", **named)
        if json is not None:
            described = f"Print {json} as JSON, nothing else."
            self.params.append(click.Option(["--json", "as_json"], is_flag=True, help=described))

    def invoke(self, ctx: click.Context) -> None:
        as_json = ctx.params.pop("as_json", False)
        log_to_stderr()
        with nothing_on_stdout():
            answer: Answer = super().invoke(ctx)
        if as_json:
            show_json(answer.facts)
        else:
            for part in answer.screen:
                show(part)
        if answer.failure is not None:
            raise answer.failure


@contextmanager
def writing(target: str | Path, option: str) -> Iterator[None]:
    """Explain an `OSError` while a file or folder is written that the user chose by an option."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise BadInput(f"cannot write {target}: {reason}; choose another {option}") from error
