"""Lines of a CSV of labels, one that `data.source.csv` takes, whatever names hold."""

import csv
import io
from collections.abc import Iterable, Sequence

FILE = "file"
"""The column of the images' names."""


def csv_header(columns: Sequence[str]) -> str:
    """Return the first line, in which all names are quoted."""
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL).writerow(columns)
    return stream.getvalue()


def csv_rows(rows: Iterable[Sequence[str]]) -> str:
    """Return a line for each row of cells."""
    stream = io.StringIO(newline="")
    plain = csv.writer(stream, lineterminator="\n")
    quoting = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in rows:
        # A carriage return ends a line too, which only the reader knows.
        (quoting if any("\r" in cell for cell in row) else plain).writerow(row)
    return stream.getvalue()
