"""The space of a search: dotted fields of an experiment, each with a distribution of values.

A distribution is data. It becomes a domain of Ray Tune for the random searcher, and a sequence of
Optuna's suggestions for TPE; both draw the same kinds of values.
"""

import math
import random
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, PlainValidator, model_validator

from ssgan.base.config import Config, OpenUnion, nearest
from ssgan.base.errors import BadInput
from ssgan.method.schedules import Schedule

if TYPE_CHECKING:
    from optuna import Trial


class Distribution(OpenUnion):
    """The values of one field that a search tries."""

    is_grid: ClassVar[bool] = False
    """Whether all values are walked, with every draw of the others."""
    is_fractional: ClassVar[bool] = False
    """Whether any number of an interval is drawn."""

    @abstractmethod
    def domain(self) -> Any:
        """Return the domain of Ray Tune."""

    @abstractmethod
    def suggest(self, trial: "Trial", name: str) -> Any:
        """Draw a value by an Optuna trial."""

    @abstractmethod
    def corners(self) -> Sequence[Any]:
        """Return the values at which a bound of the field would be met first."""

    @property
    def combinations(self) -> int:
        """Values that a grid walks; 1 of what is drawn."""
        return 1

    @property
    def alternatives(self) -> int:
        """Kinds of schedules among the values; 1 of other values."""
        return 1

    def check(self, path: str, is_schedule: bool) -> None:
        """Check that the values are of the kind that the field takes, which may be a schedule.

        Raises:
            BadInput: They are not.
        """
        if is_schedule:
            raise BadInput(
                f"{path} is a schedule; search it with kind: schedule, or one of its parameters, "
                f"as {path}.duration"
            )

    def mutation(self) -> Any:
        """Return how Ray's PBT draws a value again: a domain, or a list to step along."""
        return self.domain()

    def bounds(self) -> Any:
        """Return the bounds of Ray's PB2; None where values are not numbers between bounds."""
        return None

    def clip(self, value: Any) -> Any:
        """Bring a perturbed value back into the distribution."""
        return value

    def perturb(self, value: Any) -> Any:
        """Multiply a number by 0.8 or 1.2, within its bounds."""
        return value


class _Interval(Distribution):
    is_fractional = True
    low: float
    """Least value."""
    high: float
    """Largest value."""

    @model_validator(mode="after")
    def _check(self) -> "_Interval":
        if self.low >= self.high:
            raise ValueError(f"low={self.low:g} must be below high={self.high:g}")
        return self

    def corners(self) -> Sequence[float]:
        return (self.low, self.high)

    def bounds(self) -> Any:
        return [self.low, self.high]

    def clip(self, value: float) -> float:
        return min(max(value, self.low), self.high)

    def perturb(self, value: float) -> float:
        return self.clip(value * random.choice((0.8, 1.2)))


class Uniform(_Interval):
    """Any number of [low, high], all alike."""

    kind: Literal["uniform"]

    def domain(self) -> Any:
        from ray import tune

        return tune.uniform(self.low, self.high)

    def suggest(self, trial: "Trial", name: str) -> float:
        return trial.suggest_float(name, self.low, self.high)


class LogUniform(_Interval):
    """Any number of [low, high], all orders of magnitude alike."""

    kind: Literal["loguniform"]
    low: float = Field(gt=0)
    """Least value."""

    def domain(self) -> Any:
        from ray import tune

        return tune.loguniform(self.low, self.high)

    def suggest(self, trial: "Trial", name: str) -> float:
        return trial.suggest_float(name, self.low, self.high, log=True)


class Integers(Distribution):
    """Any integer from low to high, both included."""

    kind: Literal["integers"]
    low: int
    """Least value."""
    high: int
    """Largest value."""
    log: bool = False
    """Whether all orders of magnitude are alike, rather than all values."""

    @model_validator(mode="after")
    def _check(self) -> "Integers":
        if self.low >= self.high:
            raise ValueError(f"low={self.low} must be below high={self.high}")
        if self.log and self.low < 1:
            raise ValueError(f"low={self.low} must be 1 or more where log is true")
        return self

    def domain(self) -> Any:
        """Return the domain of Ray Tune, which excludes its upper end."""
        from ray import tune

        draw = tune.lograndint if self.log else tune.randint
        return draw(self.low, self.high + 1)

    def suggest(self, trial: "Trial", name: str) -> int:
        return trial.suggest_int(name, self.low, self.high, log=self.log)

    def corners(self) -> Sequence[int]:
        return (self.low, self.high)

    def clip(self, value: float) -> int:
        """Bring a perturbed value back among the integers."""
        return round(min(max(value, self.low), self.high))


class _Values(Distribution):
    values: tuple[Any, ...] = Field(min_length=1)
    """The values, of whatever type the field has."""

    def corners(self) -> Sequence[Any]:
        return self.values

    def check(self, path: str, is_schedule: bool) -> None:
        """Take any field: the values are checked when experiments are built of them."""

    def mutation(self) -> Any:
        """Return the list that Ray's PBT steps along."""
        return list(self.values)


class Choice(_Values):
    """One of several values, all alike."""

    kind: Literal["choice"]

    def domain(self) -> Any:
        from ray import tune

        return tune.choice(list(self.values))

    def suggest(self, trial: "Trial", name: str) -> Any:
        return self.values[trial.suggest_categorical(name, range(len(self.values)))]


class Grid(_Values):
    """Each of several values in turn, combined with every other grid."""

    is_grid = True
    kind: Literal["grid"]

    @property
    def combinations(self) -> int:
        return len(self.values)

    def domain(self) -> Any:
        """Return what Ray Tune takes for a grid."""
        from ray import tune

        return tune.grid_search(list(self.values))

    def suggest(self, trial: "Trial", name: str) -> Any:
        raise BadInput(f"{name} is a grid, which is walked; use kind: choice to draw from it")


def _read_parameter(value: Any) -> Any:
    """Read a distribution where one is given; a schedule checks its own fixed values."""
    if not isinstance(value, Mapping | Distribution):
        return value
    part = Distribution.model_validate(value)
    if part.is_grid:
        raise ValueError("a parameter of a schedule is drawn, not walked; use kind: choice")
    return part


class ScheduleOption(Config):
    """One kind of schedule, with the parameters to draw and those that are fixed.

    It takes the fields of the schedule that `kind` names, each a value or a distribution.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Annotated[Any, PlainValidator(_read_parameter)]]
    kind: str
    """Kind of the schedule (`ssgan.method.schedules`)."""

    @model_validator(mode="after")
    def _check(self) -> "ScheduleOption":
        known = Schedule.member(self.kind).model_fields.keys() - {"kind"}
        for name in self.parameters:
            if name not in known:
                raise ValueError(
                    f"a schedule of kind {self.kind} has no {name!r}{nearest(name, known)}"
                )
        return self

    @property
    def parameters(self) -> dict[str, Any]:
        """The fields that are not left to the base experiment, in one order however written."""
        return dict(sorted(self.__pydantic_extra__.items()))

    def drawn(self) -> dict[str, Distribution]:
        """Return the parameters that are drawn, with their distributions."""
        parts = self.parameters.items()
        return {name: part for name, part in parts if isinstance(part, Distribution)}

    def filled(self, draw: Callable[[str, Distribution], Any]) -> dict[str, Any]:
        """Return the schedule as data, what is drawn replaced by what `draw` makes of it."""
        drawn = {name: draw(name, part) for name, part in self.drawn().items()}
        return {"kind": self.kind, **self.parameters, **drawn}

    def corners(self) -> Sequence[dict[str, Any]]:
        """Return the schedules in which each parameter is at one of its ends."""
        ends = max((len(part.corners()) for part in self.drawn().values()), default=1)
        return [
            self.filled(lambda name, part, index=index: part.corners()[: index + 1][-1])  # type: ignore[misc]
            for index in range(ends)
        ]


class ScheduleChoice(Distribution):
    """A whole annealing schedule: one of several kinds, each with its own parameters."""

    kind: Literal["schedule"]
    options: tuple[ScheduleOption, ...] = Field(min_length=1)
    """The kinds, all alike. Each takes the fields of its schedule, as values or distributions."""

    @property
    def alternatives(self) -> int:
        return len(self.options)

    def check(self, path: str, is_schedule: bool) -> None:
        """Take only fields that are schedules."""
        if not is_schedule:
            raise BadInput(
                f"{path} is not a schedule; search it with uniform, loguniform, integers, choice "
                "or grid"
            )

    def domain(self) -> Any:
        """Return the domain of Ray Tune; it draws the parameters after the kind."""
        from ray import tune

        domains = [option.filled(lambda name, part: part.domain()) for option in self.options]
        return domains[0] if len(domains) == 1 else tune.choice(domains)

    def suggest(self, trial: "Trial", name: str) -> dict[str, Any]:
        index = 0
        if len(self.options) > 1:
            index = trial.suggest_categorical(name, range(len(self.options)))
        return self.options[index].filled(
            lambda parameter, part: part.suggest(trial, f"{name}[{index}].{parameter}")
        )

    def corners(self) -> Sequence[dict[str, Any]]:
        return [corner for option in self.options for corner in option.corners()]

    def mutation(self) -> Any:
        """Return how Ray's PBT draws each parameter again; there is one option."""
        return {name: part.mutation() for name, part in self.options[0].drawn().items()}

    def bounds(self) -> Any:
        """Return the bounds of each parameter; None without some, or with several options."""
        found = {name: part.bounds() for name, part in self.options[0].drawn().items()}
        return None if len(self.options) > 1 or None in found.values() else found

    def clip(self, value: dict[str, Any]) -> dict[str, Any]:
        """Bring each parameter back into its distribution."""
        drawn = self.options[0].drawn().items()
        return {**value, **{name: part.clip(value[name]) for name, part in drawn}}

    def perturb(self, value: dict[str, Any]) -> dict[str, Any]:
        """Perturb each parameter."""
        drawn = self.options[0].drawn().items()
        return {**value, **{name: part.perturb(value[name]) for name, part in drawn}}


Space = Mapping[str, Distribution]
"""Dotted fields of an experiment to their distributions."""


class DefineByRun:
    """A space as Optuna's define-by-run function; Ray keeps it with the searcher's state."""

    def __init__(self, space: Space) -> None:
        self._space = dict(space)

    def __call__(self, trial: "Trial") -> dict[str, Any]:
        return {name: part.suggest(trial, name) for name, part in self._space.items()}


def grid_size(space: Space) -> int:
    """Return the number of combinations of all grids; 1 without any."""
    return math.prod(part.combinations for part in space.values())
