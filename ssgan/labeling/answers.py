"""The file of answers: a CSV, which ``ssgan train`` reads as it is. Nothing else is kept.

A row is a picture, a column a question. Each answer is in the file when `Answers.put` returns: the
file is written whole beside the old one, flushed to the disk, and takes its place. What another
program wrote into it meanwhile is read first, and stays.

A cell holds a class or a number; the words *none of these*; one space where somebody was asked and
was not sure; or nothing, if nobody was asked. Training reads the last two as unknown labels.
"""

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ssgan.base.errors import BadInput
from ssgan.base.storage import replacing
from ssgan.data.sources.base import stamp
from ssgan.data.sources.label_table import LabelTable, find_delimiter
from ssgan.data.sources.matching import match_pictures
from ssgan.labeling.names import find_doubles

NOT_SURE = " "
"""The cell of a picture that somebody was asked about and was not sure of."""
_FILE = "file"
_WRITER = "ssgan-label"
_LOOKS = 5  # at a file that changes while it is read


class Conflict(BadInput):
    """Another program has answered the same question meanwhile, and otherwise."""


class _Content(NamedTuple):
    """The file as it was when it was read, or written."""

    header: list[str]
    rows: list[list[str]]
    pictures: list[int]
    """The picture of each row."""
    file_column: int
    delimiter: str = ","
    newline: str = "\n"
    encoding: str = "utf-8"


class Answers:
    """The answers about some pictures, in a CSV.

    Args:
        path: The CSV; it may not be there yet.
        root: The folder of the pictures.
        names: The pictures, relative to `root`, with forward slashes.
        columns: The columns of questions; those that the file lacks are added with the first
            answer.
        file_column: The column that names the pictures; None to look for it.

    Raises:
        BadInput: The file is there and cannot be read, or its rows name no picture.
    """

    def __init__(
        self,
        path: Path,
        root: Path,
        names: Sequence[str],
        columns: Sequence[str],
        file_column: str | None = None,
    ) -> None:
        self.path = path.resolve()  # a link stays one
        self.columns = tuple(columns)
        self._root, self._names, self._file_column = root, names, file_column
        self._content = _Content([file_column or _FILE], [], [], 0)
        self._added: set[int] = set()  # pictures whose row is not another program's
        self._stamp = stamp(self.path)
        if self.path.exists():
            self._read()

    @property
    def pictures(self) -> tuple[int, ...]:
        """The pictures that have rows, in the order of the rows."""
        return tuple(self._content.pictures)

    def get(self, picture: int, column: str) -> str | None:
        """Return the cell of a picture, `NOT_SURE` among others; None if nobody was asked."""
        return self.all(column).get(picture)

    def all(self, column: str) -> dict[int, str]:
        """Return the cells of a column by picture, in the order of the rows; empty ones left out.

        Classes and numbers have no spaces around them.
        """
        header, rows, pictures, *_ = self._content
        if column not in header:
            return {}
        place = header.index(column)
        return {
            picture: row[place].strip() or NOT_SURE
            for picture, row in zip(pictures, rows, strict=True)
            if row[place]
        }

    def put(self, cells: Mapping[int, str | None], column: str, expected: str | None) -> bool:
        """Write cells of pictures that share one answer; None empties a cell.

        Args:
            cells: The new cells.
            column: The question.
            expected: What the first of them held when the question was asked.

        Returns:
            Whether the file had been changed by another program.

        Raises:
            Conflict: It holds something else by now; nothing was written.
            BadInput: The file was changed and cannot be read; nothing was written.
            OSError: The file cannot be written; it is as it was.
        """
        changed = self.refresh()
        first = next(iter(cells))
        if (found := self.get(first, column)) != expected:
            raise Conflict(
                f"{self.path.name} says {_quote(found)} about {self._names[first]} by now: "
                "another program has changed it. Nothing was written; answer again to replace it"
            )
        self._write(self._with(cells, column))
        return changed

    def refresh(self) -> bool:
        """Read the file again if another program has changed it; return whether it has.

        A file that was removed is written again, whole, with the next answer.

        Raises:
            BadInput: It cannot be read any more.
        """
        now = stamp(self.path)
        if now == self._stamp:
            return False
        if not self.path.exists():
            self._stamp = now
            return True
        self._read()
        return True

    def find_doubles(self) -> dict[str, list[list[str]]]:
        """Return, by column, classes that differ only in case or spaces, the commonest first."""
        doubles = {column: find_doubles(self.all(column).values()) for column in self.columns}
        return {column: groups for column, groups in doubles.items() if groups}

    def merge_doubles(self) -> None:
        """Write the commonest name of each class in place of the others."""
        for column, groups in self.find_doubles().items():
            for common, *others in groups:
                cells = self.all(column)
                renamed = {row: common for row, cell in cells.items() if cell in others}
                self.put(renamed, column, cells[next(iter(renamed))])

    def counts(self, column: str) -> Counter[str]:
        """Count the cells of a column that hold an answer, by class, in the order of the rows."""
        return Counter(cell for cell in self.all(column).values() if cell != NOT_SURE)

    def _with(self, cells: Mapping[int, str | None], column: str) -> _Content:
        """Return the content with other cells; rows that were added and hold nothing go."""
        old = self._content
        header, rows = [*old.header], [[*row] for row in old.rows]
        pictures = [*old.pictures]
        for name in self.columns:
            if name not in header:
                header.append(name)
                for row in rows:
                    row.append("")
        place = {picture: index for index, picture in enumerate(pictures)}
        for picture, cell in cells.items():
            if picture not in place:
                self._added.add(picture)
                place[picture] = len(rows)
                row = [""] * len(header)
                row[old.file_column] = self._names[picture]
                rows.append(row)
                pictures.append(picture)
            rows[place[picture]][header.index(column)] = cell or ""
        kept = [
            picture not in self._added
            or any(cell for k, cell in enumerate(row) if k != old.file_column)
            for picture, row in zip(pictures, rows, strict=True)
        ]
        return old._replace(
            header=header,
            rows=[row for row, keep in zip(rows, kept, strict=True) if keep],
            pictures=[picture for picture, keep in zip(pictures, kept, strict=True) if keep],
        )

    def _write(self, content: _Content) -> None:
        text = io.StringIO()
        writer = csv.writer(text, delimiter=content.delimiter, lineterminator=content.newline)
        writer.writerows([content.header, *content.rows])
        with replacing(self.path, _WRITER) as new:  # removes what a killed one has left
            new.write_bytes(text.getvalue().encode(content.encoding))
            if self.path.exists():
                new.chmod(self.path.stat().st_mode)
        self._content, self._stamp = content, stamp(self.path)

    def _read(self) -> None:
        for _ in range(_LOOKS):
            before = stamp(self.path)
            content = self._parse()
            if before == stamp(self.path):
                self._content, self._stamp = content, before
                return
        raise BadInput(f"{self.path} changes all the time; close the program that writes it")

    def _parse(self) -> _Content:
        try:
            raw = self.path.read_bytes()
            text = raw.decode("utf-8-sig")
            delimiter = find_delimiter(text.partition("\n")[0])
            lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
            header, *rows = [row for row in lines if any(map(str.strip, row))] or [[_FILE]]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise BadInput(f"{self.path} cannot be read as a UTF-8 CSV: {error}") from error
        shape: dict[str, Any] = {
            "delimiter": delimiter,
            "newline": "\r\n" if b"\r\n" in raw else "\n",
            "encoding": "utf-8-sig" if raw.startswith(b"\xef\xbb\xbf") else "utf-8",
        }
        header = [name.strip() for name in header]
        if not rows:
            column = self._file_column or (_FILE if _FILE in header else header[0])
            return _Content(header, [], [], header.index(column), **shape)
        table = LabelTable.read([self.path])  # as training will, with its messages
        matched = match_pictures(table, self._names, self._root, self._file_column)
        named = [*table.columns]  # less than the header where a separator ends each line
        return _Content(
            [*header[: len(named)]],
            [row[: len(named)] for row in rows],
            [*matched.rows],
            named.index(matched.column),
            **shape,
        )


def _quote(cell: str | None) -> str:
    return "nothing" if cell is None else "not sure" if cell == NOT_SURE else repr(cell)
