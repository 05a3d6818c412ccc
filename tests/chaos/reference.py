"""What rounds are compared with: the same work, left alone, and how long it took."""

import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from ssgan.base.storage import split
from ssgan.launch.driver import train
from ssgan.records.rundir import RunDir
from tests.chaos.plans import Where
from tests.helpers.runs import SMALL, small

UPDATES = small().training.steps_per_epoch
"""How many updates an epoch has."""
ARGUMENTS = ("digits", *SMALL)
"""What `ssgan train` is given."""


@dataclass(frozen=True)
class Reference:
    """An undisturbed run or search in a folder of its own, and the MLflow store beside it."""

    location: str
    seconds: float
    """From the moment that it held the directory to its end, about."""
    names: tuple[str, ...]
    """Files that it wrote."""
    records: int
    """Records of epochs among them."""

    def count_writes(self, where: Where) -> int:
        """Return how many files that is, or objects, of which an epoch's pictures are one."""
        if where == "folder":
            return len(self.names)
        return len({re.sub(r"record/(\d+)/.*", r"record/\1.zip", name) for name in self.names})

    def copy_store(self, folder: Path) -> None:
        """Put an MLflow store that knows nothing of any round into a folder of runs."""
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(split(self.location)[0], "mlflow.db"), folder)


def make_reference(folder: Path) -> Reference:
    """Train undisturbed, in this process."""
    began = time.monotonic()
    run = RunDir.open(train(small(), folder / "runs", "run").run_dir)
    seconds = time.monotonic() - began
    return Reference(run.location, seconds, tuple(run.list("")), len(run.epochs()))
