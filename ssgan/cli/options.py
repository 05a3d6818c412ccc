"""Options that several verbs have."""

from collections.abc import Callable
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


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
