"""Arguments and options that several verbs have."""

import functools
import logging
from collections.abc import Callable, Sequence
from typing import Any

import click

from ssgan.base.errors import BadInput

_log = logging.getLogger(__name__)

Function = Callable[..., Any]
Decorator = Callable[[Function], Function]


def is_assignment(argument: str) -> bool:
    """Whether an argument is FIELD=VALUE, and not a name, a path or a URI with a query."""
    field, mark, _ = argument.partition("=")
    return bool(mark) and "://" not in field


def out_option(help_text: str) -> Decorator:
    """Return ``--out``, where runs and searches go."""
    return click.option(
        *("--out", "out"),
        envvar="SSGAN_OUT",
        default="runs",
        show_default=True,
        show_envvar=True,
        help=help_text,
    )


def place_options(what: str, several: str, name: str, resume: tuple[str, str]) -> Decorator:
    """Return the options of what is started in OUT: ``--out``, ``--name``, ``--resume`` ...

    `name` is the help of ``--name``; `resume` the metavar and the help of ``--resume``.
    """

    def decorate(function: Function) -> Function:
        @out_option(f"Folder, or URI, of the {several}.")
        @click.option("--name", help=name)
        @click.option("--resume", metavar=resume[0], help=resume[1])
        @click.option(
            "--replace", is_flag=True, help=f"Move a {what} of that name aside, to NAME.1 or so."
        )
        @functools.wraps(function)
        def checked(**given: Any) -> Any:
            if given["resume"] is not None and (given["name"] or given["replace"]):
                raise BadInput(f"--resume resumes a {what}; leave out --name and --replace")
            return function(**given)

        return checked

    return decorate


def warn_of_doubles(arguments: Sequence[str]) -> None:
    """Say which field is set twice, as ``seed=1 seed=2``, and what counts."""
    given: dict[str, str] = {}
    for assignment in filter(is_assignment, arguments):
        name = assignment.partition("=")[0].strip()
        if given.setdefault(name, assignment) != assignment:
            _log.warning("%s is set twice; %s counts, not %s", name, assignment, given[name])
        given[name] = assignment


def run_options(function: Function) -> Function:
    """Add the run directory and ``--checkpoint``: which networks are meant."""
    checkpoint = click.option(
        "--checkpoint", default="last", show_default=True, help="last, best, or its name."
    )
    return click.argument("run", metavar="RUN")(checkpoint(function))


def copy_option(help_text: str, default: str | None) -> Decorator:
    """Return ``--copy``: which weights of G."""
    return click.option(
        *("--copy", "copy_of"),
        type=click.Choice(["ema", "raw"]),
        default=default,
        show_default=default is not None,
        help=help_text,
    )
