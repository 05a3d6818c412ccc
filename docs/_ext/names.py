"""Names of the code in prose, checked: the role ``{source}`` and the command line's own help.

``{source}`objective.loss_L_I` `` shows the name below ``ssgan`` and warns, so that the build
fails, when nothing has it. ``{command-line} ssgan.cli:ssgan`` prints the help of a click command
and of all its subcommands.
"""

import importlib
from collections.abc import Iterator
from typing import Any

import click
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

logger = logging.getLogger(__name__)

_WIDTH = 84  # columns of the terminal that help is written for


def resolve(dotted: str) -> Any:
    """Import the longest module that a dotted name begins with, then follow its attributes.

    Fields of pydantic models count as attributes of their class.

    Raises:
        AttributeError: Nothing has that name.
    """
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        try:
            value = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not (name + ".").startswith(error.name + "."):
                raise
            continue
        for part in parts[length:]:
            if part in getattr(value, "model_fields", {}):
                value = value.model_fields[part]
            elif part in getattr(value, "__annotations__", {}) and not hasattr(value, part):
                value = value.__annotations__[part]
            else:
                value = getattr(value, part)
        return value
    raise AttributeError(dotted)


class Source(SphinxRole):
    """The name of a module, class, function or field of ssgan."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Check the name and show it as code."""
        try:
            resolve(f"ssgan.{self.text}")
        except (AttributeError, ImportError) as error:
            logger.warning(
                "nothing is named ssgan.%s (%s)", self.text, error, location=self.get_location()
            )
        return [nodes.literal(self.rawtext, self.text, classes=["source"])], []


class CommandLine(SphinxDirective):
    """The help of a click command and of its subcommands, one section each."""

    required_arguments = 1
    has_content = False

    def run(self) -> list[nodes.Node]:
        """Print the help as a terminal shows it."""
        module, _, name = self.arguments[0].partition(":")
        try:
            command = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise self.error(f"no command line to describe: {error}") from error
        lines: list[str] = []
        for spelled, text in _helps(command, name):
            lines += [f"## `{spelled}`", "", "```text", *text.rstrip().splitlines(), "```", ""]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def _helps(
    command: click.Command, name: str, parent: click.Context | None = None
) -> Iterator[tuple[str, str]]:
    """Yield a command's full name and its help, then those of its subcommands."""
    settings = {**command.context_settings, "terminal_width": _WIDTH}
    context = click.Context(command, parent=parent, info_name=name, **settings)
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for verb in command.list_commands(context):
            yield from _helps(command.commands[verb], verb, context)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register role and directive."""
    app.add_role("source", Source())
    app.add_directive("command-line", CommandLine)
    return {"parallel_read_safe": True}
