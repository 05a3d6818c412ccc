"""Parquet tables of encoded pictures with label columns: one file, or shards."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from ssgan.base.config import BesideFile, Formerly, canonical_hash
from ssgan.base.errors import BadInput
from ssgan.data.sources.base import SourceConfig, stamp
from ssgan.data.sources.columns import ColumnsConfig, ReadColumns, read_columns
from ssgan.data.sources.encoded_images import (
    EncodedSource,
    FramingConfig,
    Picture,
    Unreadable,
    decode,
)
from ssgan.data.sources.headers import read_headers
from ssgan.data.sources.shards import Shards

Rows = tuple[int, int]
"""A half-open range of rows, from 0: (0, 6000) are the first six thousand."""


class ParquetSource(ColumnsConfig, FramingConfig, SourceConfig):
    """Parquet with one row a picture: its encoded file (PNG, JPEG ...) and its labels.

    The test split comes from files of its own (`test`), from rows of the train files
    (`test_rows`), or from a share of them (`test_share`): whole groups (`split_by`), or the
    last rows, since neighboring rows often show the same object.
    """

    fully_labeled: ClassVar[bool] = False

    kind: Literal["parquet"] = "parquet"
    name: str | None = None
    """Short name of the data set; null for the name of the file or folder."""
    train: Annotated[str, BesideFile(patterns=True)] = Field(min_length=1)
    """A file, a folder of shards, or a pattern such as ``data/train-*.parquet``; relative to the
    experiment file, where it is there, or to the working directory."""
    test: Annotated[str | None, BesideFile(patterns=True), Formerly("judge")] = None
    """The same for the test split; null where it is part of the train files or absent."""
    image: str = "image"
    """Column of the encoded pictures: binary, or a struct with a binary field `bytes`."""
    labels: tuple[str, ...] = ("label",)
    """Columns that hold labels: integers, text and booleans make categorical codes, floats
    continuous ones; null is an unknown label."""
    train_rows: Rows | None = None
    """Rows of the train files to use, half-open; null for all that the test split does not take."""
    test_rows: Annotated[Rows | None, Formerly("judge_rows")] = None
    """Rows of the test files, or else of the train files, for the test split, half-open."""
    test_share: Annotated[float, Formerly("judge_share")] = Field(default=0.0, ge=0, lt=1)
    """Share of the train rows that becomes the test split."""
    split_by: str | None = None
    """Column of groups (for example identities) that `test_share` must not divide."""

    @model_validator(mode="after")
    def _check_division(self) -> "ParquetSource":
        for name in ("train_rows", "test_rows"):
            rows = getattr(self, name)
            if rows is not None and not 0 <= rows[0] < rows[1]:
                raise ValueError(f"{name} must be (first, end) with 0 <= first < end, not {rows}")
        if self.test_share and (self.test is not None or self.test_rows is not None):
            raise ValueError("test_share excludes test and test_rows; use one of them")
        if self.split_by is not None and not self.test_share:
            raise ValueError("split_by has no effect without test_share; set test_share=0.2")
        if self.test is None and self.test_rows is not None and self.train_rows is not None:
            first, end = max(self.train_rows[0], self.test_rows[0]), self.test_rows[1]
            if first < min(end, self.train_rows[1]):
                raise ValueError(
                    f"train_rows {self.train_rows} and test_rows {self.test_rows} overlap"
                )
        return self

    @property
    def has_test_split(self) -> bool:
        """Whether files, rows or a share of them are set apart as the test split."""
        return self.test is not None or self.test_rows is not None or self.test_share > 0

    def open(self) -> EncodedSource:
        """Check the files, read the labels, and divide the rows.

        Raises:
            BadInput: Files, shards or columns are missing, or labels do not fit.
        """
        shards = self._shards()
        first = shards[0]
        read = self._read_labels(shards)
        members = self._members(shards)
        for split, member in members.items():
            if not member.any():
                raise BadInput(f"{first.where}: no row is left for the {split} split")

        def pictures(*splits: str) -> Iterator[Picture]:
            offset = 0
            member = np.logical_or.reduce([members[split] for split in splits])
            for part in shards:
                yield from part.pictures(self.image, member, offset)
                offset += part.rows

        framing = self._fit(partial(pictures, *members))
        return EncodedSource(
            name=self.name or first.name,
            shape=framing._shape(pictures("train"), first),
            columns=read.codes,
            labels=read.labels,
            counts={split: int(member.sum()) for split, member in members.items()},
            pictures=pictures,
            framing=framing,
            provenance=framing._provenance(shards)
            | ({"labels": "; ".join(read.notes)} if read.notes else {}),
        )

    def fingerprint(self) -> str:
        """Identify the source by its parameters and its files' sizes and times."""
        files = [stamp(file) for part in self._shards() for file in part.files]
        return canonical_hash([self.parameters(), files])

    def _shards(self) -> list[Shards]:
        return [Shards.find(spec) for spec in (self.train, self.test) if spec is not None]

    def _read_labels(self, shards: Sequence[Shards]) -> ReadColumns:
        spread = [column for columns in self.one_hot.values() for column in columns]
        wanted = [*self.labels, *spread, *([self.split_by] if self.split_by else [])]
        for part in shards:
            part.check_pictures(self.image)
            self.check(self.labels, part.columns, part.where)
            part.check_columns(wanted)
        table = {column: Shards.join_column(shards, column) for column in (*self.labels, *spread)}
        train = self._members(shards)["train"]
        return read_columns(self, table, train, shards[0].where, lambda row: f"row {row}")

    def _members(self, shards: Sequence[Shards]) -> dict[str, NDArray[np.bool_]]:
        """Return which rows, of all files in order, belong to each split."""
        first = shards[0]
        total = sum(part.rows for part in shards)
        train = _range(self.train_rows, 0, first.rows, total, "train_rows", first.where)
        if self.test is not None:
            own = shards[1]
            rows = _range(self.test_rows, first.rows, own.rows, total, "test_rows", own.where)
            return {"train": train, "test": rows}
        if self.test_rows is not None:
            test = _range(self.test_rows, 0, first.rows, total, "test_rows", first.where)
            return {"train": train & ~test, "test": test}
        if self.test_share:
            test = train & self._drawn(first, train)
            return {"train": train & ~test, "test": test}
        return {"train": train}

    def _drawn(self, part: Shards, train: NDArray[np.bool_]) -> NDArray[np.bool_]:
        if self.split_by is None:
            return np.cumsum(train) > round(int(train.sum()) * (1 - self.test_share))
        groups = part.cells(self.split_by)
        drawn = {}
        for group in set(groups):  # a place in [0, 1) at random, but always alike
            digest = hashlib.sha256(repr(group).encode()).digest()
            drawn[group] = int.from_bytes(digest[:8], "big") / 2**64 < self.test_share
        return np.array([drawn[group] for group in groups])

    def _fit(self, pictures: Callable[[], Iterator[Picture]]) -> "ParquetSource":
        """Look at all pictures if they are gray, and else until the first one in color."""
        if self.channels is not None and self.levels is not None:
            return self
        contents = ((picture.name, picture.open) for picture in pictures())
        headers = read_headers(contents, until_color=True)
        return self.fitted(headers.gray, pictures() if headers.deep else ())

    def _shape(self, pictures: Iterator[Picture], part: Shards) -> tuple[int, int, int]:
        """Take the shape of the first picture that can be read."""
        for picture in pictures:
            try:
                decoded = decode(picture.read(), self.channels or 3, self.levels)
            except Unreadable:
                continue
            width, height = self.framed(*decoded.size)
            return self.channels or 3, height, width
        raise BadInput(part.explain_no_picture(self.image))

    def _provenance(self, shards: Sequence[Shards]) -> dict[str, str]:
        division = "no test split"
        if self.test is not None:
            division = f"test: {shards[1].name}, rows {_spell(self.test_rows, 'all')}"
        elif self.test_rows is not None:
            division = f"test: rows {_spell(self.test_rows)}"
        elif self.split_by is not None:
            division = (
                f"test: {self.test_share:.0%} of the values of {self.split_by}, chosen by their "
                "hash, so that none is on both sides"
            )
        elif self.test_share:
            division = f"test: the last {self.test_share:.0%} of the rows"
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
