"""Search: a search as data. What is varied, by whom it is chosen, who is stopped, what is best.

It is one frozen tree, saved with the search, that builds each trial's experiment. `load_search`
(`ssgan.tuning.loading`) makes it from what a user wrote.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from ssgan.base.config import STORED, Config, warn_renamed
from ssgan.base.errors import BadInput
from ssgan.base.formatting import flat_values
from ssgan.evaluation.catalog import MAIN, Direction, direction, find
from ssgan.experiment.fields import current_path, differing, flatten
from ssgan.experiment.loading import with_values
from ssgan.experiment.tree import Experiment
from ssgan.records.search_info import PICTURES
from ssgan.records.searchdir import Stage
from ssgan.tuning.schedulers import NoScheduler, Scheduler
from ssgan.tuning.searchers import RandomSearcher, Searcher
from ssgan.tuning.space import Distribution, grid_size

OWN = "search."
"""What starts so is a field of the search, not of its experiment."""

_DEFAULT_TRIALS = 16


class FinalsConfig(Config):
    """Stage two: the best configurations again, unstopped, with fresh seeds."""

    best: int = Field(default=3, ge=0)
    """Configurations that are run again; 0 leaves stage two out."""
    seeds: int = Field(default=3, ge=1)
    """Runs of each of them."""


def _direction(fields: dict[str, Any]) -> Direction:
    """Return how a search without a mode compares its metric; an unknown one is refused later."""
    metric = find(fields["metric"])
    if metric is not None and metric.better is None:
        raise BadInput(
            f"neither less nor more of {metric.name} is better in itself ({metric.meaning}); set "
            "search.mode to min or max"
        )
    return direction(fields["metric"]) or "min"


class Search(Config):
    """Everything that determines a search."""

    name: str = "search"
    """Name of the preset or file it came from."""
    base: Experiment
    """The experiment of every trial, but for the fields of the space."""
    space: dict[str, Distribution] = Field(min_length=1)
    """Dotted fields of the experiment, and the values to try."""
    searcher: Searcher = RandomSearcher()
    """Who draws the values."""
    scheduler: Scheduler = NoScheduler()
    """Who stops trials, or changes their values while they train."""
    metric: str = MAIN
    """What trials are compared by: a metric of every evaluation."""
    mode: Direction = Field(default_factory=_direction)
    """Whether the least or the largest value is best; by default as the metric has it."""
    trials: int | None = Field(default=None, ge=1, le=100_000)
    """Trials of stage one; None is one for each combination of the grids, or 16 without a grid."""
    concurrent: int | None = Field(default=None, ge=1)
    """Trials at a time; None is as many as fit."""
    keep: Literal["best", "all"] = "best"
    """Checkpoints that a trial of stage one keeps when it is over and has not failed: its best
    alone, or all that `training.keep_last` and `training.keep_best` say."""
    seed: int = 0
    """Seed of the searcher. All trials of stage one share the experiment's own seed."""
    finals: FinalsConfig = FinalsConfig()
    """Stage two."""
    pictures: int = Field(default=PICTURES, ge=0)
    """So many trials, the best at the time, have pictures of every epoch in MLflow, and so do those
    of stage two; the others have their last ones. Their run directories keep all."""

    @field_validator("space", mode="before")
    @classmethod
    def _rename_space(cls, space: Any, info: ValidationInfo) -> Any:
        if not isinstance(space, Mapping):
            return space
        names = {path: current_path(str(path)) for path in space}
        for path, current in names.items():
            if path != current and info.context != STORED:
                warn_renamed(path, current)
            if path != current and current in space:
                raise ValueError(f"{path} is the former name of {current}; search {current} alone")
        return {names[path]: part for path, part in space.items()}

    @property
    def total(self) -> int:
        """Trials of stage one."""
        is_drawn = any(not part.is_grid for part in self.space.values())
        combinations = grid_size(self.space)
        usual = _DEFAULT_TRIALS if is_drawn and combinations == 1 else combinations
        return self.trials or usual

    @property
    def chooses(self) -> bool:
        """Whether the metric decides anything; in a grid that all trials finish it does not."""
        is_grid = all(part.is_grid for part in self.space.values())
        return self.finals.best > 0 or self.scheduler.compares or not is_grid

    @property
    def samples(self) -> int:
        """Draws of Ray Tune, each of which walks all grids."""
        return self.total // grid_size(self.space)

    @property
    def epochs(self) -> int:
        """Epochs of a trial that nobody stops."""
        return self.base.training.epochs

    def experiment(
        self, values: Mapping[str, Any], seed: int | None = None, stage: Stage = "search"
    ) -> Experiment:
        """Build the experiment of one run.

        Args:
            values: The searched fields by dotted name.
            seed: The run's seed; None is the base experiment's, or that among the values.
            stage: A run of stage two is measured by another judge than the one that chose it.
                Where nothing is chosen there is one judge, of all rows.

        Raises:
            BadInput: A value is out of its field's range, or does not go with the others.
        """
        deeper = self.base.evaluation.judge.classifier.deeper()
        final: dict[str, Any] = {
            "evaluation.judge.rows": "second half",
            "evaluation.judge.classifier": deeper.model_dump(mode="json"),
        }
        judge = final if stage == "final" else {"evaluation.judge.rows": "first half"}
        if not self.chooses:
            judge = {}
        fresh = {} if seed is None else {"seed": seed}
        return with_values(self.base, {**values, **judge, **fresh})

    @property
    def corner(self) -> dict[str, Any]:
        """One configuration of the space: each field at its first corner."""
        return {path: part.corners()[0] for path, part in self.space.items()}

    def corners(self) -> Iterator[tuple[str, Any, Experiment]]:
        """Yield the experiments at every end of every distribution, one field at a time.

        Each comes with its field and the value there; `refusing` explains what fails on it.

        Raises:
            BadInput: No experiment can be built there.
        """
        for path, part in self.space.items():
            for value in part.corners():
                with refusing(path, value):
                    experiment = self.experiment({**self.corner, path: value})
                yield path, value, experiment


@contextmanager
def refusing(path: str, value: Any) -> Iterator[None]:
    """Say of what fails inside that the space reaches it."""
    try:
        yield
    except BadInput as error:
        raise BadInput(f"the space reaches {path}={value}, which fails: {error}") from error


def difference(old: Search, new: Search) -> dict[str, tuple[Any, Any]]:
    """Return the fields that differ, with their old and new values; None where there is none."""
    return differing(_flat(old), _flat(new))


def _flat(search: Search) -> dict[str, Any]:
    tree = search.model_dump(mode="json")
    own = {key: value for key, value in tree.items() if key not in ("base", "space")}
    leaves = flat_values(own, OWN)
    space = {f"{OWN}space.{path}": value for path, value in tree["space"].items()}
    return {**leaves, **space, **flatten(search.base)}
