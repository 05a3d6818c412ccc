"""The space of a search: dotted fields of an experiment, each with a distribution of values.

A distribution is data. It becomes a domain of Ray Tune for the random searcher, and a sequence of
Optuna's suggestions for TPE; both draw the same kinds of values.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field, model_validator

from ssgan.base.config import Config


class Suggester(Protocol):
    """What a distribution asks of an Optuna trial."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Draw a number from [low, high]."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        """Draw an integer from [low, high]."""

    def suggest_categorical(self, name: str, choices: Sequence[int]) -> int:
        """Draw one of the choices."""


class _Interval(Config):
    low: float
    """Least value."""
    high: float
    """Largest value."""

    @model_validator(mode="after")
    def _check(self) -> "_Interval":
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            raise ValueError(f"low={self.low:g} and high={self.high:g} must be finite")
        if self.low >= self.high:
            raise ValueError(f"low={self.low:g} must be below high={self.high:g}")
        return self

    def corners(self) -> Sequence[float]:
        """Return the values at which a bound of the field would be met first."""
        return (self.low, self.high)

    def clip(self, value: float) -> float:
        """Bring a perturbed value back into the interval."""
        return min(max(value, self.low), self.high)


class Uniform(_Interval):
    """Any number of [low, high], all alike."""

    kind: Literal["uniform"]

    def domain(self) -> Any:
        """Return the domain of Ray Tune."""
        from ray import tune

        return tune.uniform(self.low, self.high)

    def suggest(self, trial: Suggester, name: str) -> float:
        """Draw a value by an Optuna trial."""
        return trial.suggest_float(name, self.low, self.high)


class LogUniform(_Interval):
    """Any number of [low, high], all orders of magnitude alike."""

    kind: Literal["loguniform"]
    low: float = Field(gt=0)
    """Least value."""

    def domain(self) -> Any:
        """Return the domain of Ray Tune."""
        from ray import tune

        return tune.loguniform(self.low, self.high)

    def suggest(self, trial: Suggester, name: str) -> float:
        """Draw a value by an Optuna trial."""
        return trial.suggest_float(name, self.low, self.high, log=True)


class Integers(Config):
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

    def suggest(self, trial: Suggester, name: str) -> int:
        """Draw a value by an Optuna trial."""
        return trial.suggest_int(name, self.low, self.high, log=self.log)

    def corners(self) -> Sequence[int]:
        """Return the values at which a bound of the field would be met first."""
        return (self.low, self.high)

    def clip(self, value: float) -> int:
        """Bring a perturbed value back among the integers."""
        return round(min(max(value, self.low), self.high))


class Choice(Config):
    """One of several values, all alike."""

    kind: Literal["choice"]
    values: tuple[Any, ...] = Field(min_length=1)
    """The values, of whatever type the field has."""

    def domain(self) -> Any:
        """Return the domain of Ray Tune."""
        from ray import tune

        return tune.choice(list(self.values))

    def suggest(self, trial: Suggester, name: str) -> Any:
        """Draw a value by an Optuna trial, by its index: values need not be scalars."""
        return self.values[trial.suggest_categorical(name, range(len(self.values)))]

    def corners(self) -> Sequence[Any]:
        """Return all values."""
        return self.values


class Grid(Config):
    """Each of several values in turn, combined with every other grid."""

    kind: Literal["grid"]
    values: tuple[Any, ...] = Field(min_length=1)
    """The values, of whatever type the field has."""

    def domain(self) -> Any:
        """Return what Ray Tune takes for a grid."""
        from ray import tune

        return tune.grid_search(list(self.values))

    def corners(self) -> Sequence[Any]:
        """Return all values."""
        return self.values


Number = Annotated[Uniform | LogUniform | Integers, Field(discriminator="kind")]
"""A distribution of numbers, which population based training can perturb."""
Drawn = Annotated[Uniform | LogUniform | Integers | Choice, Field(discriminator="kind")]
"""A distribution that values are drawn from."""


class ScheduleOption(Config):
    """One kind of schedule, with the parameters to draw and those that are fixed."""

    kind: Literal["constant", "step", "linear", "cosine", "exponential"]
    """Kind of the schedule (`ssgan.method.schedules`)."""
    value: Drawn | float | None = None
    """Of a constant: the value."""
    start: Drawn | float | None = None
    """Value before the descent."""
    delay: Drawn | float | None = None
    """Length of the time before the descent, in `unit`."""
    floor: Drawn | float | None = None
    """Value that it never goes below."""
    duration: Drawn | float | None = None
    """Length of the descent, in `unit`."""
    drop: Drawn | float | None = None
    """Of a step: height of one stair."""
    unit: Literal["images", "epochs"] | None = None
    """Unit of `delay` and `duration`."""

    @property
    def given(self) -> dict[str, Any]:
        """The parameters that are not left to the base experiment, as they were written."""
        return {name: getattr(self, name) for name in self.model_fields_set if name != "kind"}

    def domain(self) -> dict[str, Any]:
        """Return the schedule as data, with domains of Ray Tune in it."""
        return {"kind": self.kind, **self._filled(lambda name, drawn: drawn.domain())}

    def suggest(self, trial: Suggester, name: str) -> dict[str, Any]:
        """Draw a schedule by an Optuna trial."""
        filled = self._filled(lambda part, drawn: drawn.suggest(trial, f"{name}.{part}"))
        return {"kind": self.kind, **filled}

    def corners(self) -> Sequence[dict[str, Any]]:
        """Return the schedules in which each parameter stands at one of its ends."""
        most = max((len(part.corners()) for part in self.drawn().values()), default=1)
        return [{"kind": self.kind, **self._filled(_corner(index))} for index in range(most)]

    def drawn(self) -> dict[str, Any]:
        """Return the parameters that are drawn, with their distributions."""
        return {name: part for name, part in self.given.items() if isinstance(part, Config)}

    def _filled(self, draw: Callable[[str, Any], Any]) -> dict[str, Any]:
        given = sorted(self.given.items())  # one order of draws, however the file was written
        return {
            name: draw(name, part) if isinstance(part, Config) else part for name, part in given
        }


def _corner(index: int) -> Callable[[str, Any], Any]:
    """Return a draw that takes the value at a place among the corners, or the last one."""
    return lambda name, drawn: drawn.corners()[: index + 1][-1]


class ScheduleChoice(Config):
    """A whole annealing schedule: one of several kinds, each with its own parameters."""

    kind: Literal["schedule"]
    options: tuple[ScheduleOption, ...] = Field(min_length=1)
    """The kinds, all alike."""

    def domain(self) -> Any:
        """Return the domain of Ray Tune; it draws the parameters after the kind."""
        from ray import tune

        if len(self.options) == 1:
            return self.options[0].domain()
        return tune.choice([option.domain() for option in self.options])

    def suggest(self, trial: Suggester, name: str) -> dict[str, Any]:
        """Draw a schedule by an Optuna trial: its kind, then that kind's parameters."""
        index = 0
        if len(self.options) > 1:
            index = trial.suggest_categorical(name, range(len(self.options)))
        return self.options[index].suggest(trial, f"{name}[{index}]")

    def corners(self) -> Sequence[dict[str, Any]]:
        """Return every kind at the ends of its parameters."""
        return [corner for option in self.options for corner in option.corners()]


Distribution = Annotated[
    Uniform | LogUniform | Integers | Choice | Grid | ScheduleChoice, Field(discriminator="kind")
]
"""Any distribution; `kind` says which."""
Space = Mapping[str, Distribution]
"""Dotted fields of an experiment to their distributions."""


class DefineByRun:
    """A space as Optuna's define-by-run function; Ray keeps it with the searcher's state."""

    def __init__(self, space: Space) -> None:
        """Take the space, which has no grid."""
        self._space = dict(space)

    def __call__(self, trial: Suggester) -> dict[str, Any]:
        """Draw one configuration."""
        return {name: part.suggest(trial, name) for name, part in self._space.items()}  # type: ignore[union-attr]


def grid_size(space: Space) -> int:
    """Return the number of combinations of all grids; 1 without any."""
    return math.prod(len(part.values) for part in space.values() if isinstance(part, Grid))
