"""What a run was trained on: `data.json`, `labels.parquet` and `spread.parquet` of its folder."""

from ssgan.base.config import STORED, Config
from ssgan.base.errors import CorruptFile
from ssgan.data.labels import LabelBudget
from ssgan.data.spread_labels import SpreadLabels
from ssgan.data.store import Manifest, split_name
from ssgan.method.codes import Code
from ssgan.records.rundir import RunDir

DATA = "data.json"
"""File of a run directory; version 0.1 wrote none."""
LABELS = "labels.parquet"
"""File of a run directory: which images count as labeled."""
SPREAD = "spread.parquet"
"""File of a run directory with `data.spread`: the labels that other images gain; versions before
0.2.0 wrote none."""


class DataInfo(Config):
    """The data set of a run in short: the store itself may be elsewhere, or gone."""

    name: str
    """Short name of the data set."""
    hash: str
    """Hash of its manifest."""
    shape: tuple[int, int, int]
    """Channels, height and width of every image."""
    columns: tuple[Code, ...]
    """Label columns."""
    counts: dict[str, int]
    """Images of the splits, ``train`` and, where there is one, ``test``."""

    @classmethod
    def of(cls, manifest: Manifest) -> "DataInfo":
        """Take from a store's manifest what a run says of it."""
        counts = {split_name(name): split.count for name, split in manifest.splits.items()}
        return cls(
            name=manifest.name,
            hash=manifest.hash,
            shape=manifest.shape,
            columns=manifest.columns,
            counts=counts,
        )


def read_data_info(run: RunDir) -> DataInfo | None:
    """Read data.json; None where there is none.

    Raises:
        CorruptFile: It says something else.
    """
    if not run.exists(DATA):
        return None
    try:
        return DataInfo.model_validate(run.read_json(DATA), context=STORED)
    except ValueError as error:
        raise CorruptFile(
            f"{run.locate(DATA)} does not describe data; delete it, and a resume writes it again"
        ) from error


def read_budget(run: RunDir) -> LabelBudget | None:
    """Read labels.parquet; None where the run was stopped before there was one.

    Raises:
        CorruptFile: It is not what was written.
    """
    content = run.find_bytes(LABELS)
    return None if content is None else LabelBudget.from_parquet(content)


def read_gained(run: RunDir, budget: LabelBudget) -> SpreadLabels | None:
    """Read spread.parquet, whose hashes a budget names; None where there is none.

    Raises:
        CorruptFile: It is not what was written, or belongs to another budget.
    """
    content = None if budget.spread is None else run.find_bytes(SPREAD)
    if content is None:
        return None
    gained = SpreadLabels.from_parquet(content)
    if gained.hashes != budget.spread:
        raise CorruptFile(
            f"{run.locate(SPREAD)} is of another run than {LABELS} beside it; restore both from "
            "one copy of the run"
        )
    return gained
