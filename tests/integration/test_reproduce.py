"""One of the paper's experiments from the images to its report, on digits in MNIST's own format."""

import struct
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from ssgan.cluster.connection import Cluster
from ssgan.data.sources import torchvision_sets
from ssgan.paper.plans import PLANS
from ssgan.paper.program import reproduce, write_report
from ssgan.records.searchdir import SearchDir

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.usefixtures("isolated_cache"),
]

COUNTS = {"train": 1200, "test": 500}
TINY = (
    "training.epochs=2",
    "training.steps_per_epoch=4",
    "training.batch_size=16",
    "label_sampling.batch_size=8",
    "networks.width=4",
    "networks.hidden=16",
    "evaluation.samples=40",
    "evaluation.real_images=60",
    "evaluation.held_out_images=60",
    "evaluation.judge.least_updates=20",
    "evaluation.judge.validation_images=100",
    "scaling.threads=1",
)


@pytest.fixture
def mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write scikit-learn's digits as MNIST's four files."""
    monkeypatch.setattr(torchvision_sets, "IDX_COUNTS", COUNTS)
    digits = load_digits()
    large = np.kron(digits.images * 255 / 16, np.ones((3, 3))).astype(np.uint8)
    images = np.pad(large, ((0, 0), (2, 2), (2, 2)))
    labels = digits.target.astype(np.uint8)
    parts = {"train": slice(0, 1200), "t10k": slice(1200, 1700)}
    folder = tmp_path / "mnist"
    folder.mkdir()
    for name, rows in parts.items():
        count = rows.stop - rows.start
        head = struct.pack(">BBBBIII", 0, 0, 8, 3, count, 28, 28)
        (folder / f"{name}-images-idx3-ubyte").write_bytes(head + images[rows].tobytes())
        head = struct.pack(">BBBBI", 0, 0, 8, 1, count)
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(head + labels[rows].tobytes())
    return folder


def test_an_experiment_ends_in_its_report_and_is_not_run_twice(
    ray_here: Cluster, tmp_path: Path, mnist: Path
) -> None:
    plan, out = PLANS["mnist"], str(tmp_path / "runs")
    fields = [*TINY, f"data.source.root={mnist}"]
    search = plan.search("smoke", 1, fields, amounts=[0, 132])
    summary = reproduce(plan, search, "smoke", out, "paper", "ssgan reproduce mnist")
    assert (summary["trials"], summary["failed"], summary["model"]) == (2, 0, None)
    directory = SearchDir.open(f"{out}/paper")
    page = directory.read_bytes("paper/paper-mnist.md").decode()
    for said in (
        "| 0 (InfoGAN) | 1 |",
        "| 132 labels | 1 |",
        "| G, D and Q learned from | 1,200 images (train split) |",
        "| C learned from | 500 others (test split) |",
        "Figure 2: the unsupervised code style_1",
    ):
        assert said in page
    assert page.count("| not decided |") == 3  # one seed decides nothing

    pages = {file: Path(file).read_bytes() for file in summary["report"]}
    records = {row.trial: directory.run(row).run_id for row in directory.rows()}
    again = reproduce(plan, search, "smoke", out, "paper", "ssgan reproduce mnist")
    assert again["report"] == summary["report"]
    assert {row.trial: directory.run(row).run_id for row in directory.rows()} == records
    assert write_report(plan, directory) == summary["report"]
    assert {file: Path(file).read_bytes() for file in pages} == pages
