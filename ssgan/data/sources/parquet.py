"""Parquet tables of encoded pictures with label columns."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from ssgan.base.config import canonical_hash
from ssgan.base.errors import BadInput
from ssgan.data.sources.base import stamp
from ssgan.data.sources.columns import Cell, ColumnsConfig, LabelColumn, read_columns
from ssgan.data.sources.encoded_images import EncodedSource, Picture
from ssgan.data.sources.framing import FramingConfig, Unreadable, decode
from ssgan.data.sources.shards import Shards

Rows = tuple[int, int]
"""A half-open range of rows, from 0: (0, 6000) are the first six thousand."""


class ParquetSource(ColumnsConfig, FramingConfig):
    """Parquet with one row a picture: its encoded file (PNG, JPEG ...) and its labels.

    The judge split comes from files of its own (`judge`), from rows of the train files
    (`judge_rows`), or from a share of them (`judge_share`): whole groups (`split_by`), or the
    last rows, since neighboring rows often show the same object.
    """

    kind: Literal["parquet"] = "parquet"
    name: str | None = None
    """Short name of the data set; null for the name of the file or folder."""
    train: str = Field(min_length=1)
    """A file, a folder of shards, or a pattern such as ``data/train-*.parquet``."""
    judge: str | None = None
    """The same for the judge split; null where it is part of the train files or absent."""
    image: str = "image"
    """Column of the encoded pictures: binary, or a struct with a binary field `bytes`."""
    labels: tuple[str, ...] = ("label",)
    """Columns that hold labels: integers, text and booleans make categorical codes, floats
    continuous ones; null is an unknown label."""
    train_rows: Rows | None = None
    """Rows of the train files to use, half-open; null for all that the judge does not take."""
    judge_rows: Rows | None = None
    """Rows of the judge files, or else of the train files, for the judge split, half-open."""
    judge_share: float = Field(default=0.0, ge=0, lt=1)
    """Share of the train rows that becomes the judge split."""
    split_by: str | None = None
    """Column of groups (for example identities) that `judge_share` must not tear apart."""

    @model_validator(mode="after")
    def _check_division(self) -> "ParquetSource":
        for name in ("train_rows", "judge_rows"):
            rows = getattr(self, name)
            if rows is not None and not 0 <= rows[0] < rows[1]:
                raise ValueError(f"{name} must be (first, end) with 0 <= first < end, not {rows}")
        if self.judge_share and (self.judge is not None or self.judge_rows is not None):
            raise ValueError("judge_share excludes judge and judge_rows; use one of them")
        if self.split_by is not None and not self.judge_share:
            raise ValueError("split_by has no effect without judge_share; set judge_share=0.2")
        if self.judge is None and self.judge_rows is not None and self.train_rows is not None:
            first, end = max(self.train_rows[0], self.judge_rows[0]), self.judge_rows[1]
            if first < min(end, self.train_rows[1]):
                raise ValueError(
                    f"train_rows {self.train_rows} and judge_rows {self.judge_rows} overlap"
                )
        return self

    def open(self) -> EncodedSource:
        """Check the files, read the labels, and divide the rows.

        Raises:
            BadInput: Files, shards or columns are missing, or labels do not fit.
        """
        shards = self._shards()
        columns = self._columns(shards)
        first = shards[0]
        members = self._members(shards)
        for split, member in members.items():
            if not member.any():
                raise BadInput(f"{first.where}: no row is left for the {split} split")
        labels = np.stack([column.values for column in columns], axis=1) if columns else None
        count = sum(part.rows for part in shards)

        def pictures(split: str) -> Iterator[Picture]:
            offset = 0
            for part in shards:
                yield from part.pictures(self.image, members[split], offset)
                offset += part.rows

        return EncodedSource(
            name=self.name or first.name,
            shape=self._shape(pictures("train"), first.where),
            columns=tuple(column.code for column in columns),
            labels=labels if labels is not None else np.empty((count, 0), dtype=np.float32),
            counts={split: int(member.sum()) for split, member in members.items()},
            pictures=pictures,
            framing=self,
            provenance=self._provenance(shards),
        )

    def fingerprint(self) -> str:
        """Identify the source by its parameters and its files' sizes and times."""
        files = [stamp(file) for part in self._shards() for file in part.files]
        return canonical_hash([self.model_dump(mode="json"), files])

    def _shards(self) -> list[Shards]:
        specs = [self.train] if self.judge is None else [self.train, self.judge]
        return [Shards.find(spec) for spec in specs]

    def _columns(self, shards: Sequence[Shards]) -> tuple[LabelColumn, ...]:
        wanted = [*self.labels, *([self.split_by] if self.split_by else [])]
        for part in shards:
            part.check_pictures(self.image)
            self.check(self.labels, part.columns, part.where)
            part.check_columns(wanted)
        table: dict[str, list[Cell]] = {column: [] for column in self.labels}
        for part in shards:
            for column, cells in part.cells(self.labels).items():
                table[column].extend(cells)
        train = self._members(shards)["train"]
        return read_columns(self, table, train, shards[0].where, lambda row: f"row {row}")

    def _members(self, shards: Sequence[Shards]) -> dict[str, NDArray[np.bool_]]:
        """Return which rows, of all files in order, belong to each split."""
        first = shards[0]
        total = sum(part.rows for part in shards)
        train = _range(self.train_rows, 0, first.rows, total, "train_rows", first.where)
        if self.judge is not None:
            own = shards[1]
            rows = _range(self.judge_rows, first.rows, own.rows, total, "judge_rows", own.where)
            return {"train": train, "judge": rows}
        if self.judge_rows is not None:
            judge = _range(self.judge_rows, 0, first.rows, total, "judge_rows", first.where)
            return {"train": train & ~judge, "judge": judge}
        if self.judge_share:
            judge = train & self._drawn(first, train)
            return {"train": train & ~judge, "judge": judge}
        return {"train": train}

    def _drawn(self, part: Shards, train: NDArray[np.bool_]) -> NDArray[np.bool_]:
        if self.split_by is None:
            return np.cumsum(train) > round(int(train.sum()) * (1 - self.judge_share))
        groups = part.cells([self.split_by])[self.split_by]
        drawn = {group: _position(group) < self.judge_share for group in set(groups)}
        return np.array([drawn[group] for group in groups])

    def _shape(self, pictures: Iterator[Picture], where: str) -> tuple[int, int, int]:
        """Take the shape of the first picture that can be read."""
        for picture in pictures:
            try:
                decoded = decode(picture.read(), self.channels)
            except Unreadable:
                continue
            width, height = self.framed(*decoded.size)
            return self.channels, height, width
        raise BadInput(f"{where}: column {self.image!r} holds no readable picture in the rows used")

    def _provenance(self, shards: Sequence[Shards]) -> dict[str, str]:
        division = "no judge split"
        if self.judge is not None:
            division = f"judge: {shards[1].name}, rows {_spell(self.judge_rows, 'all')}"
        elif self.judge_rows is not None:
            division = f"judge: rows {_spell(self.judge_rows)}"
        elif self.split_by is not None:
            division = (
                f"judge: {self.judge_share:.0%} of the values of {self.split_by}, chosen by their "
                "hash, so that none is on both sides"
            )
        elif self.judge_share:
            division = f"judge: the last {self.judge_share:.0%} of the rows"
        return {
            "origin": ", ".join(file.name for part in shards for file in part.files),
            "split": f"train: rows {_spell(self.train_rows, 'left')}; {division}",
            "framing": self.rule,
        }


def _range(
    rows: Rows | None, offset: int, count: int, total: int, name: str, where: str
) -> NDArray[np.bool_]:
    first, end = rows or (0, count)
    if end > count:
        raise BadInput(f"data.source.{name}={first},{end} exceeds the {count} rows of {where}")
    member = np.zeros(total, dtype=np.bool_)
    member[offset + first : offset + end] = True
    return member


def _spell(rows: Rows | None, otherwise: str = "") -> str:
    """Write positions as a reader counts them: first and last, from 0."""
    return f"{rows[0]:,}-{rows[1] - 1:,}" if rows else otherwise


def _position(group: Cell) -> float:
    """Place a group at random, but always alike, in [0, 1)."""
    digest = hashlib.sha256(repr(group).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
