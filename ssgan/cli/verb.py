"""A verb of the command line: its result alone goes to stdout, for people or as JSON."""

import atexit
import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from json import dumps
from pathlib import Path
from typing import Any

import click

from ssgan.base.errors import BadInput
from ssgan.base.extras import check_train_extra
from ssgan.cli.screen import log_to_stderr, nothing_on_stdout


@dataclass(frozen=True)
class Answer:
    """What a verb found: lines, tables and panels for people, facts for ``--json``."""

    screen: list[Any]
    facts: Mapping[str, Any] = field(default_factory=dict)
    failure: BaseException | None = None
    """Raised once that is printed."""


class Verb(click.Command):
    """A command whose function returns an `Answer`.

    What the function and the libraries below it print goes to stderr. `examples` are lines of the
    help; `json` says in words what ``--json`` prints, and None that the verb is without it; a verb
    that `is_light` does without the extra `train`.
    """

    def __init__(
        self, *, examples: str, json: str | None = None, is_light: bool = False, **named: Any
    ) -> None:
        self._is_light = is_light
        super().__init__(epilog=f"\b\nExamples:\n{examples}", **named)
        if json is not None:
            described = f"Print {json} as JSON, nothing else."
            self.params.append(click.Option(["--json", "as_json"], is_flag=True, help=described))

    def invoke(self, ctx: click.Context) -> None:
        if not self._is_light:
            check_train_extra(ctx.command_path)
        as_json = ctx.params.pop("as_json", False)
        from rich.console import Console

        log_to_stderr()
        with nothing_on_stdout():
            answer: Answer = super().invoke(ctx)
        if as_json:
            print(dumps(answer.facts, indent=2, ensure_ascii=False, allow_nan=False))
        else:
            for part in answer.screen:
                Console(highlight=False, soft_wrap=True).print(part, markup=False)
        if answer.failure is not None:
            raise answer.failure


@contextmanager
def importing() -> Iterator[None]:
    """Import torch in a verb that is over soon, in four fifths of the time.

    No garbage is looked for among what modules define, neither now nor when the process ends.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
        atexit.register(gc.freeze)


@contextmanager
def writing(target: str | Path, option: str) -> Iterator[None]:
    """Explain an `OSError` while a file or folder is written that the user chose by an option."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise BadInput(f"cannot write {target}: {reason}; choose another {option}") from error
