"""Addresses and names of checkpoints: ``RUN_DIR/checkpoints/STEP``, or ``STEP-1`` and so on."""

from pydantic import Field

from ssgan.base.config import Config
from ssgan.base.errors import BadInput
from ssgan.base.storage import split

ROOT = "checkpoints"
"""Folder of a run directory that holds them."""


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
    """Return the number of updates that a checkpoint's address tells.

    Raises:
        BadInput: It is not one.
    """
    return step_of(parse_location(location)[1])


class FileHash(Config):
    """Size and hash of one file of a checkpoint."""

    bytes: int = Field(ge=0)
    """Length of the file."""
    sha256: str
    """SHA-256 of its content, hexadecimal."""


class CheckpointManifest(Config):
    """The commit mark of a checkpoint."""

    step: int = Field(ge=0)
    """Updates made."""
    serial: int = Field(ge=0)
    """Position in the order of saving within the run; `step` may go back, this does not."""
    metric: float | None
    """What `keep_best` compares; lower is better."""
    files: dict[str, FileHash]
    """The other files of the folder."""
