"""The numbers behind a report, as a table that any program can read."""

import csv
import io
from collections.abc import Sequence

from ssgan.paper.runs import Group

_DIGITS = 6


def curves_csv(groups: Sequence[Group]) -> bytes:
    """Write what every run measured at every evaluated epoch, so that no run is needed to check.

    Left out are metrics of single classes, and speeds, which say nothing of the method.

    Args:
        groups: The runs by label budget.

    Returns:
        CSV with a header: label budget as asked for, labeled images, seed, epoch, real images
        seen, then a column a metric by name, with six digits; empty where it has no value.
    """
    runs = [run for group in groups for run in group.runs]
    names = {name for run in runs for record in run.records for name in record.metrics}
    shown = sorted(name for name in names if "." not in name and "per_second" not in name)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["amount", "labels", "seed", "epoch", "images_seen", *shown])
    for run in runs:
        for record in run.records:
            values = (record.metrics.get(name) for name in shown)
            table.writerow(
                [run.amount, run.labels, run.seed, record.epoch, record.images_seen]
                + ["" if value is None else f"{value:.{_DIGITS}g}" for value in values]
            )
    return text.getvalue().encode()
