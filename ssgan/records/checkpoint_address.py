"""The address of a checkpoint: where its folder is, and the number of updates in its name."""

import re

from ssgan.base.errors import BadInput
from ssgan.base.storage import split

ROOT = "checkpoints"
"""Folder of a run directory that holds its checkpoints."""
NAME = re.compile(r"\d{8,}(-\d+)?")
"""How checkpoints are called."""


def parse_location(location: str) -> tuple[str, str]:
    """Part the address of a checkpoint into its run directory and its name.

    Raises:
        BadInput: It is not one.
    """
    folder, name = split(location)
    run, root = split(folder)
    if root != ROOT or not name or location.endswith("/"):
        raise BadInput(f"{location} is not the address of a checkpoint, RUN_DIR/{ROOT}/STEP")
    return run, name


def step_of(name: str) -> int:
    """Return the number of updates that a checkpoint's name tells."""
    return int(name.partition("-")[0])


def step_at(location: str) -> int:
    """Return the number of updates that a checkpoint's address tells (`parse_location`)."""
    return step_of(parse_location(location)[1])
