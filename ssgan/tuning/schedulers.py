"""Schedulers: who stops trials, or changes their values while they train."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from ssgan.base.config import OpenUnion
from ssgan.base.errors import BadInput
from ssgan.experiment.fields import field_class
from ssgan.tuning.space import Distribution

if TYPE_CHECKING:
    from ssgan.tuning.search import Search

TIME = "epoch"
"""The metric that time is counted by: it continues after a restart, Tune's iteration does not."""
SPEED = "images_per_second"
"""The third metric that Ray Tune is told, beside the time and what trials are compared by."""


class Scheduler(OpenUnion):
    """Who stops trials, or changes their values while they train."""

    compares: ClassVar[bool] = True
    """Whether it decides anything by the metric."""
    changes_values: ClassVar[bool] = False
    """Whether it changes the values of trials that train, all of which wait for each other."""

    @abstractmethod
    def build(self, search: "Search", runs: str) -> Any:
        """Return Ray Tune's scheduler.

        `runs` is the location of the trials' run directories, which are named like the trials.
        """

    def check(self, search: "Search") -> None:
        """Check what can be known before a search starts.

        Raises:
            BadInput: The search cannot work with this scheduler.
        """

    @staticmethod
    def measured_by(search: "Search") -> dict[str, Any]:
        """Return what every scheduler of Ray Tune takes: the metric, its direction, the time."""
        return {"metric": search.metric, "mode": search.mode, "time_attr": TIME}


class NoScheduler(Scheduler):
    """Every trial trains to its end."""

    compares = False
    kind: Literal["none"] = "none"

    def build(self, search: "Search", runs: str) -> Any:
        from ssgan.tuning.ray_schedulers import Fifo

        return Fifo(runs)


class Asha(Scheduler):
    """Asynchronous successive halving: at each rung the worse trials are stopped."""

    kind: Literal["asha"] = "asha"
    grace: int = Field(default=1, ge=1)
    """Epochs that every trial may train; also the first rung."""
    reduction: float = Field(default=3, gt=1)
    """One in so many continues at a rung; also the factor between two rungs."""

    def build(self, search: "Search", runs: str) -> Any:
        from ssgan.tuning.ray_schedulers import Halving

        return Halving(
            runs,
            search,
            max_t=search.epochs,
            grace_period=self.grace,
            reduction_factor=self.reduction,
            **self.measured_by(search),
        )

    def check(self, search: "Search") -> None:
        """Check that some trial could be stopped."""
        if self.grace > search.epochs:
            raise BadInput(
                f"search.scheduler.grace={self.grace} is beyond training.epochs={search.epochs}, "
                "so no trial would ever be stopped; lower it, or use search.scheduler.kind=none"
            )


class _Population(Scheduler):
    """What `pbt` and `pb2` have in common."""

    changes_values = True
    kind: str  # no member of the union, because it names no kind
    interval: int = Field(default=2, ge=1)
    """Epochs between two rounds, at which bad trials exploit good ones."""
    quantile: float = Field(default=0.25, gt=0, le=0.5)
    """Share of the population that exploits another trial, and that is exploited."""

    def rounds(self, search: "Search") -> dict[str, Any]:
        """Return the settings of Ray's population based schedulers."""
        from ssgan.tuning.ray_schedulers import Clip

        return {
            **self.measured_by(search),
            "perturbation_interval": self.interval,
            "quantile_fraction": self.quantile,
            "custom_explore_fn": Clip(search),
            "synch": True,
            "log_config": False,
        }

    def check(self, search: "Search") -> None:
        """Check the size of the population, the rounds, and that all fields may change."""
        if search.searcher.suggests:
            raise BadInput(
                f"search.scheduler.kind={self.kind} chooses values itself and goes with no "
                "searcher but search.searcher.kind=random"
            )
        if search.total < 2:
            raise BadInput(f"{self.kind} needs a population: set search.trials to 4 or more")
        if self.interval >= search.epochs:
            raise BadInput(
                f"search.scheduler.interval={self.interval} leaves no round before the end at "
                f"training.epochs={search.epochs}; lower it"
            )
        every = search.base.evaluation.every
        if self.interval % every:
            raise BadInput(
                f"{self.kind} compares trials every {self.interval} epochs "
                f"(search.scheduler.interval), but they are evaluated every {every} "
                "(evaluation.every); make the one a multiple of the other"
            )
        if search.concurrent is not None and search.concurrent < search.total:
            raise BadInput(
                f"{self.kind} trains the whole population in turns, so search.concurrent="
                f"{search.concurrent} would cut it; leave search.concurrent out"
            )
        for path, part in search.space.items():
            if field_class(path) != "mutable":
                raise BadInput(
                    f"{self.kind} changes values while trials train, and {path} is fixed for a "
                    "run; search it with another scheduler, or leave it out of the space"
                )
            self._check_distribution(path, part)

    @abstractmethod
    def _check_distribution(self, path: str, part: Distribution) -> None:
        """Check that the values of a field can be changed in this way."""


class Pbt(_Population):
    """Population based training: the worst trials exploit the best, with perturbed values."""

    kind: Literal["pbt"] = "pbt"
    resample: float = Field(default=0.25, ge=0, le=1)
    """Probability that a value is drawn again rather than multiplied by 0.8 or 1.2."""

    def build(self, search: "Search", runs: str) -> Any:
        from ssgan.tuning.ray_schedulers import Pbt as RayPbt

        mutations = {path: part.mutation() for path, part in search.space.items()}
        return RayPbt(
            runs,
            search,
            resample_probability=self.resample,
            hyperparam_mutations=mutations,
            **self.rounds(search),
        )

    def _check_distribution(self, path: str, part: Distribution) -> None:
        if part.alternatives > 1:
            raise BadInput(
                f"{self.kind} perturbs the parameters of one kind of schedule, and {path} has "
                f"{part.alternatives} options; leave one of them"
            )


class Pb2(_Population):
    """Population based bandits: as `pbt`, with values chosen by a Gaussian process."""

    kind: Literal["pb2"] = "pb2"

    def build(self, search: "Search", runs: str) -> Any:
        from ssgan.tuning.ray_schedulers import Pb2 as RayPb2

        bounds = {path: part.bounds() for path, part in search.space.items()}
        return RayPb2(runs, search, hyperparam_bounds=bounds, **self.rounds(search))

    def _check_distribution(self, path: str, part: Distribution) -> None:
        if part.bounds() is None:
            raise BadInput(
                f"pb2 chooses numbers between bounds, and {path} is none; use kind: uniform "
                "there, or search.scheduler.kind=pbt"
            )
