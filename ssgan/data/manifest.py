"""The manifest of a store: what it holds, and the hashes that prove it."""

import json
from functools import cached_property
from typing import Literal

from pydantic import Field, ValidationError

from ssgan.base.config import Config, canonical_hash
from ssgan.base.errors import CorruptFile
from ssgan.method.codes import Code


def stored_name(split: str) -> str:
    """Return what manifests call a split: the test split is ``judge``, as in the first version.

    The names are part of `Manifest.hash`, by which runs and label budgets know their data.
    """
    return {"test": "judge"}.get(split, split)


class Shard(Config):
    """One Parquet file of a split."""

    file: str
    """Path relative to the store."""
    rows: int
    """Images in the file."""
    sha256: str
    """Hash of the file's bytes."""


class SplitManifest(Config):
    """One split: its size, its content, its files."""

    count: int
    """Images in the split."""
    content: str
    """Hash of all pixels and labels in order, however they are cut into files or compressed."""
    shards: tuple[Shard, ...]
    """The files, in the order of their rows."""
    known: tuple[int, ...] = ()
    """How many images each column labels."""


class Manifest(Config):
    """Everything about a store but the images."""

    format: Literal["ssgan-store-1"] = "ssgan-store-1"
    """Version of the layout."""
    name: str
    """Short name of the data set."""
    shape: tuple[int, int, int]
    """Channels, height and width of every image."""
    columns: tuple[Code, ...]
    """Label columns. `low` and `high` of a continuous one are its range over the train split."""
    splits: dict[str, SplitManifest]
    """The train split and, where there is one, the test split, by `stored_name`."""
    provenance: dict[str, str] = Field(default_factory=dict)
    """Where the images came from, and how they were divided and changed."""
    broken: tuple[str, ...] = ()
    """Files of the source that could not be read and were left out."""

    @cached_property
    def hash(self) -> str:
        """Identify the data: shape, columns, pixels and labels; not files or provenance."""
        return canonical_hash(
            {
                "shape": self.shape,
                "columns": [column.model_dump(mode="json") for column in self.columns],
                "splits": {
                    name: {"count": split.count, "content": split.content}
                    for name, split in self.splits.items()
                },
            }
        )

    def to_json(self) -> str:
        """Write the manifest together with a hash of itself."""
        content = self.model_dump(mode="json")
        return json.dumps({"sha256": canonical_hash(content), "manifest": content}, indent=1)

    @classmethod
    def from_json(cls, text: str, where: str) -> "Manifest":
        """Read what `to_json` wrote; messages name `where` it was found.

        Raises:
            CorruptFile: The text is no manifest, or not the one that was written.
        """
        try:
            whole = json.loads(text)
            manifest = cls.model_validate(whole["manifest"])
            intact = whole["sha256"] == canonical_hash(manifest.model_dump(mode="json"))
        except (ValueError, KeyError, TypeError, ValidationError) as error:
            raise CorruptFile(
                f"{where} is not a readable manifest ({type(error).__name__}); prepare the store "
                "again"
            ) from error
        if not intact:
            raise CorruptFile(f"{where} was changed after it was written; prepare the store again")
        return manifest
