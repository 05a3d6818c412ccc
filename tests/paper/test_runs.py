"""All measurements as CSV: one row a run and epoch, as they were recorded."""

import csv
import io
from pathlib import Path

from ssgan.paper.runs import curves_csv, read_groups
from tests.helpers.papers import IMAGES, make_groups


def test_every_epoch_of_every_run_is_a_row_of_what_it_recorded(tmp_path: Path) -> None:
    groups = read_groups(make_groups(tmp_path, amounts=[0, "10%"], seeds=[0, 1], epochs=3))
    rows = list(csv.DictReader(io.StringIO(curves_csv(groups).decode())))
    assert [(row["amount"], row["labels"], row["seed"], row["epoch"]) for row in rows] == [
        (amount, labels, str(seed), str(epoch))
        for amount, labels in (("0", "0"), ("10%", "100"))
        for seed in (0, 1)
        for epoch in (1, 2, 3)
    ]
    last = groups[1].runs[1].records[-1]
    assert int(rows[-1]["images_seen"]) == last.images_seen == 3 * IMAGES
    assert float(rows[-1]["zero_one_loss_ema"]) == float(f"{last.metrics['zero_one_loss_ema']:.6g}")
    for name, value in last.metrics.items():
        assert ("." in name or "per_second" in name) is (name not in rows[-1]), name
        assert value is not None or rows[-1][name] == ""
