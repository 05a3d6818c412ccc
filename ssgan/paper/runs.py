"""The runs of one of the paper's experiments, by label budget and seed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import mean

import pandas as pd

from ssgan.base.config import nearest
from ssgan.base.errors import BadInput
from ssgan.evaluation.catalog import safe_names
from ssgan.experiment.fields import as_diff, difference
from ssgan.experiment.tree import Experiment
from ssgan.export import NamedGenerator
from ssgan.export.format import MANIFEST
from ssgan.records.data_info import read_budget
from ssgan.records.rundir import Record, RunDir
from ssgan.records.searchdir import SearchDir

# What tells the rows of `Group.measurements` apart; all other columns are metrics.
_COLUMNS = ("amount", "labels", "seed", "epoch", "images_seen")
_MAY_DIFFER = ("seed", "name", "scaling", "tracking")  # among the runs of one label budget


@dataclass(frozen=True)
class PaperRun:
    """One finished run."""

    amount: str
    """The label budget as it was asked for: ``"0"``, ``"132"``, ``"10%"``."""
    labels: int
    """Labeled images; 0 makes it InfoGAN."""
    seed: int
    run: RunDir
    experiment: Experiment

    @cached_property
    def records(self) -> Sequence[Record]:
        """Its evaluated epochs, in order."""
        return tuple(one for one in self.run.records() if one.is_evaluated)

    @property
    def has_export(self) -> bool:
        """Whether its generator was exported."""
        return self.run.exists(f"export/{MANIFEST}")

    def generator(self) -> NamedGenerator:
        """Load its export, from whatever file system it is on; BadInput where there is none."""
        with self.run.local_copy("export") as folder:
            return NamedGenerator.load(folder)


@dataclass(frozen=True)
class Group:
    """All runs of one label budget, by seed."""

    amount: str
    labels: int
    runs: tuple[PaperRun, ...]

    @property
    def title(self) -> str:
        """How figures name it: ``0 (InfoGAN)``, ``132 labels``, ``10% (6,000 labels)``."""
        if self.labels == 0:
            return "0 (InfoGAN)"
        count = f"{self.labels:,} labels"
        return count if self.amount == str(self.labels) else f"{self.amount} ({count})"

    def spell(self, code: str) -> str:
        """Spell a code as the names of its metrics do.

        Raises:
            BadInput: No code has that name.
        """
        codes = self.runs[0].experiment.codes
        names = [*codes.supervised, *(one.name for one in codes.unsupervised)]
        if code not in names:
            raise BadInput(f"no code is named {code!r}{nearest(code, names)}")
        return safe_names(names)[code]

    def supervised(self, *, continuous: bool) -> list[str]:
        """Return the supervised codes of one kind: of continuous ones C measures the value."""
        return [
            code
            for code in self.runs[0].experiment.codes.supervised
            if (f"rmse/{self.spell(code)}" in self.measurements) is continuous
        ]

    @cached_property
    def measurements(self) -> pd.DataFrame:
        """What its runs measured: a row an evaluated epoch of a run, by seed and epoch.

        The columns are `amount`, `labels`, `seed`, `epoch` and `images_seen`, then the metrics,
        float64, by name; NaN where one has no value.
        """
        rows = [
            {"amount": run.amount, "labels": run.labels, "seed": run.seed}
            | {"epoch": record.epoch, "images_seen": record.images_seen, **record.metrics}
            for run in self.runs
            for record in run.records
        ]
        metrics = sorted({name for row in rows for name in row} - set(_COLUMNS))
        table = pd.DataFrame(rows, columns=[*_COLUMNS, *metrics])
        return table.astype(dict.fromkeys(metrics, float))

    def curves(self, metric: str) -> pd.DataFrame:
        """Return a metric over the images seen: a column for each seed that has a value."""
        if metric not in self.measurements:
            return pd.DataFrame()
        by_seed = self.measurements.pivot(index="images_seen", columns="seed", values=metric)
        return by_seed.dropna(how="all").dropna(axis=1, how="all")

    def finals(self, metric: str) -> list[float]:
        """Return the last value of a metric, of each run that has one."""
        return [float(curve.dropna().iloc[-1]) for _, curve in self.curves(metric).items()]


def curves_csv(groups: Sequence[Group]) -> bytes:
    """Write all measurements of a report as CSV, so that no run is needed to check it.

    Left out are metrics of single classes, and speeds, which say nothing of the method. Numbers
    have six digits; a cell is empty where a metric has no value.
    """
    table = pd.concat([group.measurements for group in groups], ignore_index=True)
    metrics = sorted(set(map(str, table)) - set(_COLUMNS))
    shown = [name for name in metrics if "." not in name and "per_second" not in name]
    text: str = table[[*_COLUMNS, *shown]].to_csv(index=False, float_format="%.6g")
    return text.encode()


def mean_final(groups: Sequence[Group], metric: str) -> float | None:
    """Return the mean of the last values of a metric over all runs; None where no run has one."""
    values = [value for group in groups for value in group.finals(metric)]
    return mean(values) if values else None


def read_groups(search: SearchDir, *others: SearchDir) -> tuple[Group, ...]:
    """Read the finished runs of a search over label budgets and seeds, fewest labels first.

    Other searches may have further seeds or label budgets of the same experiment.

    Raises:
        BadInput: No run of a search is finished, or the searches do not belong together.
    """
    runs: list[PaperRun] = []
    for one in (search, *others):
        found = list(_finished(one))
        if not found:
            raise BadInput(
                f"no run of {one.location} is finished, so there is nothing to report; resume it "
                "first"
            )
        for run in found:
            _check_joins(run, runs)
        runs += found
    runs.sort(key=lambda one: (one.labels, one.seed))
    return tuple(
        Group(amount, labels, tuple(one for one in runs if one.amount == amount))
        for amount, labels in dict.fromkeys((one.amount, one.labels) for one in runs)
    )


def _check_joins(run: PaperRun, runs: Sequence[PaperRun]) -> None:
    """Refuse a run that is not a further seed of what ran with its label budget."""
    for other in runs:
        if other.amount != run.amount:
            continue  # a preset's fields that a label budget makes idle are dropped
        if other.seed == run.seed:
            raise BadInput(
                f"{run.run.location} and {other.run.location} both have data.labels={run.amount} "
                f"and seed={run.seed}; a report counts a seed once"
            )
        changes = difference(other.experiment, run.experiment)
        wrong = {path: both for path, both in changes.items() if not path.startswith(_MAY_DIFFER)}
        if wrong:
            raise BadInput(
                f"{run.run.location} is not a further seed of the same experiment as "
                f"{other.run.location}:\n{as_diff(wrong)}"
            )


def _finished(search: SearchDir) -> Iterator[PaperRun]:
    for row in search.rows():
        run = search.run(row)
        if row.status != "FINISHED" or run.summary() is None:
            continue
        experiment = run.read_definition(Experiment)
        labels = len(read_budget(run) or ())
        yield PaperRun(str(experiment.data.labels), labels, experiment.seed, run, experiment)
