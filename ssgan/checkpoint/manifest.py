"""The manifest of a checkpoint: its commit mark, with the hash of each file."""

from pydantic import Field

from ssgan.config import Config


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
