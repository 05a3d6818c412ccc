"""A CSV of partial labels next to a folder of pictures, as text."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ssgan.base.errors import BadInput
from ssgan.data.sources.cells import RawColumn

_SHOWN = 5


@dataclass(frozen=True)
class LabelCsv:
    """The content of a CSV of partial labels, as text: one row a file."""

    path: Path
    files: tuple[str, ...]
    """The labeled files, relative to the image folder, with forward slashes."""
    lines: tuple[int, ...]
    """The line of each row in the CSV, from 1."""
    table: dict[str, list[str]]
    """The stripped cells of the other columns, by name; "" where a label is not known."""
    delimiter: str = ","

    @classmethod
    def read(cls, path: Path) -> "LabelCsv":
        """Read a CSV with a header; the column `file`, or else the first, names the files.

        Raises:
            BadInput: There is no such CSV, it cannot be read, or it names a file twice.
        """
        try:
            with path.open(encoding="utf-8-sig", newline="") as stream:
                delimiter = max(",;\t", key=stream.readline().count)
                stream.seek(0)
                reader = csv.reader(stream, delimiter=delimiter, strict=True)
                header = [name.strip() for name in next(reader, [])]
                rows = [(reader.line_num, row) for row in reader if any(map(str.strip, row))]
        except FileNotFoundError:
            raise BadInput(
                f"there is no {path}; set data.source.csv to your CSV of labels"
            ) from None
        except (csv.Error, UnicodeDecodeError, OSError) as error:
            raise BadInput(f"{path} cannot be read as a UTF-8 CSV: {error}") from error
        if not rows or len(set(header)) < len(header) or "" in header:
            raise BadInput(
                f"{path} needs a header of distinct column names and one row or more; its header "
                f"is {', '.join(header) or 'empty'}"
            )
        place = header.index("file") if "file" in header else 0
        seen: dict[str, int] = {}
        for line, row in rows:
            if len(row) != len(header):
                raise BadInput(
                    f"{path}, line {line}: {len(row)} cells where the header has {len(header)}"
                )
            file = str(PurePosixPath(row[place].strip().replace("\\", "/")))
            if file in seen:
                raise BadInput(
                    f"{path} labels {file} twice, in line {seen[file]} and line {line}; keep one "
                    "of them"
                )
            seen[file] = line
        columns = zip(*(row for _, row in rows), strict=True)
        table = {
            name: [cell.strip() for cell in column]
            for name, column in zip(header, columns, strict=True)
            if name != header[place]
        }
        return cls(path, tuple(seen), tuple(seen.values()), table, delimiter)

    def column(self, name: str) -> RawColumn:
        """Return a column; empty cells are unknown."""
        cells = [cell or None for cell in self.table[name]]
        return RawColumn(cells, is_text=True, comma=self.delimiter != ",")

    def refuse_unknown(self, images: Iterable[str]) -> None:
        """Refuse rows whose file is not among the images.

        Raises:
            BadInput: With the first of them.
        """
        there = set(images)
        named = zip(self.files, self.lines, strict=True)
        missing = [f"{file} (line {line})" for file, line in named if file not in there]
        if missing:
            raise BadInput(
                f"{self.path} names files that are not in the image folder, {len(missing)} in all: "
                f"{', '.join(missing[:_SHOWN])}{' ...' if len(missing) > _SHOWN else ''}; paths "
                "are relative to data.source.root"
            )
