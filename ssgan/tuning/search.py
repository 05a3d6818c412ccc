"""Search: a search as data. What is varied, by whom it is chosen, who is stopped, what is best.

A user's file names a base experiment, fields of every trial and a space; `load_search` resolves it
to one frozen tree that is checked as a whole, saved with the search, and builds each trial's
experiment. See ``ssgan/presets/searches``.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError

from ssgan.config import Config, nearest, read_yaml
from ssgan.errors import BadInput
from ssgan.experiment import Experiment
from ssgan.overrides import flatten, load_experiment, with_values
from ssgan.searchdir import Stage
from ssgan.tuning.space import Distribution, grid_size

Overrides = Sequence[str] | Mapping[str, Any]

_PRESETS = resources.files("ssgan") / "presets" / "searches"
_OWN = "search."  # what starts so is a field of the search, not of the experiment
# Without effect in a single run, where one worker has its process and the machine for itself.
_RESERVED = ("scaling.cpus", "scaling.retries")
_DEFAULT_TRIALS = 16

_log = logging.getLogger(__name__)


class RandomSearcher(Config):
    """Draws every trial's values at random, and walks all grids."""

    kind: Literal["random"] = "random"


class OptunaSearcher(Config):
    """Optuna's tree-structured Parzen estimator: later trials are drawn where earlier did well."""

    kind: Literal["optuna"] = "optuna"
    startup: int = Field(default=10, ge=1)
    """Trials drawn at random before the estimator begins."""


class NoScheduler(Config):
    """Every trial trains to its end."""

    kind: Literal["none"] = "none"


class Asha(Config):
    """Asynchronous successive halving: at each rung the worse trials are stopped."""

    kind: Literal["asha"] = "asha"
    grace: int = Field(default=1, ge=1)
    """Epochs that every trial may train; also the first rung."""
    reduction: float = Field(default=3, gt=1)
    """One in so many goes on at a rung; also the factor between two rungs."""


class Pbt(Config):
    """Population based training: the worst take over the best, with perturbed values."""

    kind: Literal["pbt"] = "pbt"
    interval: int = Field(default=2, ge=1)
    """Epochs from one round of take-overs to the next."""
    quantile: float = Field(default=0.25, gt=0, le=0.5)
    """Share of the population that takes over, and that is taken over."""
    resample: float = Field(default=0.25, ge=0, le=1)
    """Probability that a value is drawn anew rather than multiplied by 0.8 or 1.2."""


class Pb2(Config):
    """Population based bandits: as `pbt`, with values chosen by a Gaussian process."""

    kind: Literal["pb2"] = "pb2"
    interval: int = Field(default=2, ge=1)
    """Epochs from one round of take-overs to the next."""
    quantile: float = Field(default=0.25, gt=0, le=0.5)
    """Share of the population that takes over, and that is taken over."""


Searcher = Annotated[RandomSearcher | OptunaSearcher, Field(discriminator="kind")]
Scheduler = Annotated[NoScheduler | Asha | Pbt | Pb2, Field(discriminator="kind")]


class FinalsConfig(Config):
    """Stage two: the best configurations again, unstopped, with fresh seeds."""

    best: int = Field(default=3, ge=0)
    """Configurations that are run again; 0 leaves stage two out."""
    seeds: int = Field(default=3, ge=1)
    """Runs of each of them."""


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
    metric: str = "zero_one_loss_ema"
    """What trials are compared by: a metric of every evaluation."""
    mode: Literal["min", "max"] = "min"
    """Whether the least or the largest value is best."""
    trials: int | None = Field(default=None, ge=1)
    """Trials of stage one; None is one for each combination of the grids, or 16 without a grid."""
    concurrent: int | None = Field(default=None, ge=1)
    """Trials at a time; None is as many as fit."""
    seed: int = 0
    """Seed of the searcher. All trials of stage one share the experiment's own seed."""
    finals: FinalsConfig = FinalsConfig()
    """Stage two."""

    @property
    def total(self) -> int:
        """Trials of stage one."""
        combinations = grid_size(self.space)
        return self.trials or (combinations if combinations > 1 else _DEFAULT_TRIALS)

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

        Raises:
            BadInput: A value is out of its field's range, or does not go with the others.
        """
        classifier = self.base.evaluation.judge.classifier
        final: dict[str, Any] = {
            "evaluation.judge.rows": "second half",
            "evaluation.judge.classifier.depth": classifier.depth + _deeper(classifier),
        }
        judge = final if stage == "final" else {"evaluation.judge.rows": "first half"}
        fresh = {} if seed is None else {"seed": seed}
        return with_values(self.base, {**values, **judge, **fresh})

    def is_better(self, one: float, other: float) -> bool:
        """Whether one value of the metric is better than another."""
        return one < other if self.mode == "min" else one > other

    def to_yaml(self) -> str:
        """Write the whole tree; `from_yaml` reads it back."""
        tree = self.model_dump(mode="json", exclude_unset=False)
        tree["space"] = {
            name: part.model_dump(mode="json", exclude_unset=True)
            for name, part in self.space.items()
        }
        return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)

    @classmethod
    def from_yaml(cls, text: str) -> "Search":
        """Read a tree that `to_yaml` wrote.

        Raises:
            BadInput: The text is no resolved search.
        """
        try:
            return cls.model_validate(yaml.safe_load(text))
        except (yaml.YAMLError, ValueError) as error:
            raise BadInput(f"this is no search of ssgan: {error}") from error


def search_names() -> list[str]:
    """Return the names of the searches that ssgan ships."""
    files = (file.name for file in _PRESETS.iterdir())
    return sorted(name.removesuffix(".yaml") for name in files if name.endswith(".yaml"))


def load_search(
    source: str | Path | Mapping[str, Any],
    base: str | Path | None = None,
    overrides: Overrides = (),
) -> Search:
    """Build a search and check all of it that needs no cluster.

    Args:
        source: Name of a search that ships, path of a YAML file, or the same as a mapping.
        base: Preset or YAML file of the experiment, instead of the one that the search names.
        overrides: Fields of every trial, ``"training.epochs=20"`` and so on, or a mapping of
            dotted names to values; ``search.trials=8`` sets a field of the search itself.

    Raises:
        BadInput: Something cannot work; the message says what to change.
    """
    from ssgan.tuning.checks import check_search

    tree, name = _read(source)
    of_search, of_trial = _split(overrides)
    for path, value in of_search.items():
        _assign(tree, path, value)
    tree["name"] = tree.get("name", name)
    unknown = sorted(tree.keys() - (set(Search.model_fields) | {"overrides"}))
    if unknown:
        known = set(Search.model_fields) | {"overrides"}
        raise BadInput(f"a search has no field {unknown[0]!r}{nearest(unknown[0], known)}")
    experiment = base or tree.get("base")
    if experiment is None:
        raise BadInput("the search names no base experiment; set base, for example base: mnist")
    tree["base"] = _experiment(experiment, [tree.pop("overrides", None) or {}, of_trial])
    if not tree.get("space"):
        raise BadInput(
            "the search's space is empty, so there is nothing to search; name at least one field, "
            "for example space: {objective.lambda1: {kind: loguniform, low: 0.05, high: 2}}"
        )
    search = _validate(tree)
    check_search(search)
    return search


def difference(old: Search, new: Search) -> dict[str, tuple[Any, Any]]:
    """Return the fields that differ, with their old and new values; None where there is none."""
    before, after = _flat(old), _flat(new)
    pairs = {path: (before.get(path), after.get(path)) for path in before | after}
    return {path: pair for path, pair in pairs.items() if pair[0] != pair[1]}


def _flat(search: Search) -> dict[str, Any]:
    tree = yaml.safe_load(search.to_yaml())
    own = {key: value for key, value in tree.items() if key not in ("base", "space")}
    leaves = {f"{_OWN}{path}": value for path, value in _leaves(own)}
    space = {f"{_OWN}space.{path}": value for path, value in tree["space"].items()}
    return {**leaves, **space, **flatten(search.base)}


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _deeper(classifier: Any) -> int:
    """Return how many layers more the other judge has."""
    return 6 if classifier.architecture == "wrn" else 1


def _read(source: str | Path | Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return the tree as the user wrote it, and a name for it."""
    if isinstance(source, Mapping):
        return dict(source), "search"
    where = str(source)
    if where in search_names():
        text, name = (_PRESETS / f"{where}.yaml").read_text(encoding="utf-8"), where
    elif where.endswith((".yaml", ".yml")):
        name = Path(where).stem
        try:
            text = Path(where).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"cannot read the search file {where}: {error}") from error
    else:
        raise BadInput(
            f"there is no search {where!r}{nearest(where, search_names())} "
            "(a file of your own ends in .yaml)"
        )
    try:
        tree = read_yaml(text)
    except yaml.YAMLError as error:
        raise BadInput(f"{where} is no YAML: {error}") from error
    if not isinstance(tree, dict):
        raise BadInput(f"{where} must hold fields and their values, as base and space")
    return tree, name


def _split(overrides: Overrides) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part overrides into those of the search and those of its experiment."""
    pairs: dict[str, Any] = {}
    if isinstance(overrides, Mapping):
        pairs |= overrides
    else:
        for override in overrides:
            path, equals, text = override.partition("=")
            if not equals or not path.strip():
                raise BadInput(
                    f"{override!r} is no override; write field=value, as training.epochs=20"
                )
            try:
                pairs[path.strip()] = read_yaml(text)
            except yaml.YAMLError as error:
                raise BadInput(f"cannot read the value {text!r}: {error}") from error
    own = {path: value for path, value in sorted(pairs.items(), key=_kind_first) if _is_own(path)}
    rest = {path: value for path, value in pairs.items() if path not in own}
    return {path.removeprefix(_OWN): value for path, value in own.items()}, rest


def _is_own(path: str) -> bool:
    return path.startswith(_OWN)


def _kind_first(pair: tuple[str, Any]) -> bool:
    return not pair[0].endswith(".kind")


def _assign(tree: dict[str, Any], path: str, value: Any) -> None:
    """Set a field of the search's tree; a new kind leaves the fields of the old one behind."""
    *parents, leaf = path.split(".")
    for part in parents:
        below = tree.get(part)
        tree[part] = dict(below) if isinstance(below, Mapping) else {}
        tree = tree[part]
    if leaf == "kind" and tree.get("kind") != value:
        tree.clear()
    tree[leaf] = value


def _experiment(source: Any, layers: Sequence[Mapping[str, Any]]) -> Experiment:
    """Build the base experiment, later layers over earlier ones."""
    if isinstance(source, Experiment):
        experiment = source
        return with_values(experiment, {k: v for layer in layers for k, v in layer.items()})
    given = {path: value for layer in layers for path, value in layer.items()}
    reserved = {path: value for path, value in given.items() if path in _RESERVED}
    others = {path: value for path, value in given.items() if path not in reserved}
    return with_values(load_experiment(str(source), others), reserved)


def _validate(tree: Mapping[str, Any]) -> Search:
    try:
        return Search.model_validate(tree)
    except ValidationError as error:
        raise BadInput("\n".join(map(_explain, error.errors()))) from error


def _explain(detail: Any) -> str:
    """Turn one of pydantic's complaints into a sentence that names the field."""
    path = ".".join(map(str, detail["loc"]))
    message = str(detail["msg"]).removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden" and path.endswith("time_attr"):
        message = "time is always counted in epochs, which go on after a restart; leave it out"
    elif detail["type"] == "extra_forbidden":
        message = "there is no such field here"
    return f"search.{path}: {message}"
