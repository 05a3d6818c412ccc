"""Schedulers: who stops trials, and who lets one take over another's weights.

All are Ray's own, with what a real search needs besides: no retry where none can help, a memory
that survives the driver, checkpoints that stay while another trial starts from them, and rounds of
population based training that do not wait for the dead.
"""

import logging
import random
from collections.abc import Callable
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, PopulationBasedTraining
from ray.tune.schedulers.pb2 import PB2

from ssgan.base.errors import BadInput
from ssgan.base.storage import join
from ssgan.records.checkpoint_format import parse_location, step_of
from ssgan.records.checkpoints import Checkpoints
from ssgan.records.rundir import RunDir
from ssgan.records.searchdir import FOLDERS, Exploit, SearchDir, Stage
from ssgan.training.session import read_pointer
from ssgan.tuning.lineage import add_exploit
from ssgan.tuning.search import Asha, NoScheduler, Pbt, Search
from ssgan.tuning.space import Choice, Grid, ScheduleChoice
from ssgan.tuning.trial import FAILURE

TIME = "epoch"
"""The attribute that time is counted by: it goes on after a restart, Tune's iteration does not."""

_log = logging.getLogger(__name__)


def make_scheduler(search: Search, search_dir: SearchDir, stage: Stage = "search") -> Any:
    """Return Ray Tune's scheduler.

    Args:
        search: The search.
        search_dir: Its directory.
        stage: Which stage it schedules; the runs of stage two are never stopped.
    """
    runs = search_dir.locate(FOLDERS[stage])
    scheduler = search.scheduler
    measured: dict[str, Any] = {"metric": search.metric, "mode": search.mode, "time_attr": TIME}
    if stage == "final" or isinstance(scheduler, NoScheduler):
        return _Fifo(runs)
    if isinstance(scheduler, Asha):
        return _Asha(
            runs,
            search,
            max_t=search.epochs,
            grace_period=scheduler.grace,
            reduction_factor=scheduler.reduction,
            **measured,
        )
    rounds: dict[str, Any] = {
        **measured,
        "perturbation_interval": scheduler.interval,
        "quantile_fraction": scheduler.quantile,
        "custom_explore_fn": Clip(search),
        "synch": True,
        "log_config": False,
    }
    space = search.space.items()
    if isinstance(scheduler, Pbt):
        return _Pbt(
            runs,
            search,
            resample_probability=scheduler.resample,
            hyperparam_mutations={path: _describe(part, _mutation) for path, part in space},
            **rounds,
        )
    bounds = {path: _describe(part, _bounds) for path, part in space}
    return _Pb2(runs, search, hyperparam_bounds=bounds, **rounds)


class Clip:
    """Brings perturbed values back into their distributions; Ray multiplies without looking."""

    def __init__(self, search: Search) -> None:
        """Take the search, whose space has the bounds."""
        self._space = dict(search.space)

    def __call__(self, config: dict[str, Any]) -> dict[str, Any]:
        """Return a config with all numbers inside their bounds."""
        clipped = {path: _change(part, config[path], _clip) for path, part in self._space.items()}
        return {**config, **clipped}


class _GivesUp:
    """A scheduler that lets no trial be tried again that would fail again."""

    _runs: str

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """End hopeless trials before they start again, then choose as the scheduler does."""
        for trial in tune_controller.get_trials():
            has_failed = trial.status == Trial.PENDING and trial.run_metadata.num_failures
            if has_failed and self.run_of(trial).exists(FAILURE):
                tune_controller._set_trial_status(trial, Trial.ERROR)
                tune_controller.search_alg.on_trial_complete(trial.trial_id, error=True)
        chosen: Trial | None = super().choose_trial_to_run(tune_controller)  # type: ignore[misc]
        return chosen

    def run_of(self, trial: Trial) -> RunDir:
        """Return a trial's run directory."""
        return RunDir(join(self._runs, str(trial)))


class _Fifo(_GivesUp, FIFOScheduler):
    """Every trial trains to its end."""

    def __init__(self, runs: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._runs = runs


class _Asha(_GivesUp, ASHAScheduler):
    """Successive halving that lets the survivors export, and remembers the rungs."""

    def __init__(self, runs: str, search: Search, **settings: Any) -> None:
        super().__init__(**settings)
        self._runs, self._last = runs, search.epochs

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Add a trial; one from before a restart stands on its rungs as it did."""
        super().on_trial_add(tune_controller, trial)
        reached = (trial.last_result or {}).get(TIME, 0)
        if not reached:
            return
        metric, sign = str(self._metric), float(self._metric_op or 1)
        values = {
            record.epoch: record.metrics.get(metric)
            for record in self.run_of(trial).records()
            if record.epoch <= reached
        }
        for milestone, recorded in self._trial_info[trial.trial_id]._rungs:
            later = (value for epoch, value in values.items() if epoch >= milestone)
            value = next((value for value in later if value is not None), None)
            if value is not None:
                recorded.setdefault(trial.trial_id, sign * value)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: Any) -> str:
        """Decide at a rung; a trial at its end goes on, to export its generator."""
        decision = str(super().on_trial_result(tune_controller, trial, result))
        return self.CONTINUE if result.get(TIME, 0) >= self._last else decision


class _Living:
    """The controller as a population sees it: those who failed are not waited for."""

    def __init__(self, controller: Any) -> None:
        self._controller = controller

    def get_live_trials(self) -> list[Trial]:
        return [one for one in self._controller.get_live_trials() if not one.is_finished()]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._controller, name)


class _Population(_GivesUp):
    """Rounds of take-overs, on top of Ray's population based schedulers.

    At a round all trials have paused at the same epoch. The worst continue from checkpoints of the
    best, which are kept until the copies have saved their own.
    """

    def __init__(self, runs: str, search: Search, **settings: Any) -> None:
        super().__init__(**settings)
        self._runs, self._last = runs, search.epochs
        self._steps = search.base.training.steps_per_epoch
        self._space = dict(search.space)
        self._coming: list[int] = []  # the next rounds of the trials from before a restart

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Add a trial; one from before a restart goes on between the rounds where it was."""
        super().on_trial_add(tune_controller, trial)  # type: ignore[misc]
        reached = (trial.last_result or {}).get(TIME, 0)
        if not reached or trial.is_finished():
            return
        interval = self._perturbation_interval  # type: ignore[attr-defined]
        rounds = reached // interval
        self._trial_state[trial].last_perturbation_time = rounds * interval  # type: ignore[attr-defined]
        self._coming.append((rounds + 1) * interval)
        self._next_perturbation_sync = min(self._coming)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: Any) -> str:
        """Pause at a round; at its end a trial goes on, to export its generator."""
        if result.get(TIME, 0) >= self._last:
            return FIFOScheduler.CONTINUE
        return str(super().on_trial_result(_Living(tune_controller), trial, result))  # type: ignore[misc]

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Hold the round that everybody waits for, if those who were late have failed."""
        chosen = super().choose_trial_to_run(tune_controller)
        waiting = [one for one in tune_controller.get_trials() if not one.is_finished()]
        if chosen is None and waiting and all(one.status == Trial.PAUSED for one in waiting):
            self._hold_round(tune_controller, waiting)
            chosen = super().choose_trial_to_run(tune_controller)
        if chosen is not None and chosen.status == Trial.PENDING:
            # It starts anyway. Ray would let the others wait until its process is up.
            chosen = next((one for one in waiting if self._may_go_on(one)), chosen)
        return chosen

    def _may_go_on(self, trial: Trial) -> bool:
        """Whether a trial has paused for a round that was held."""
        reached = self._trial_state[trial].last_train_time  # type: ignore[attr-defined]
        return bool(trial.status == Trial.PAUSED and reached < self._next_perturbation_sync)

    def _hold_round(self, controller: Any, waiting: list[Trial]) -> None:
        lower, upper = self._quantiles()  # type: ignore[attr-defined]
        rest = [one for one in waiting if one not in lower and one not in upper]
        states = self._trial_state  # type: ignore[attr-defined]
        for trial in [*upper, *rest, *lower]:  # the best save before the worst take over
            states[trial].last_perturbation_time = states[trial].last_train_time
            self._checkpoint_or_exploit(trial, controller, upper, lower)  # type: ignore[attr-defined]
        reached = min(states[trial].last_train_time for trial in waiting)
        self._next_perturbation_sync = reached + self._perturbation_interval  # type: ignore[attr-defined]

    def _exploit(self, tune_controller: Any, trial: Trial, trial_to_clone: Trial) -> None:
        """Let a trial take over another's weights, and keep these until it has saved its own."""
        state = self._trial_state[trial_to_clone]  # type: ignore[attr-defined]
        address = read_pointer(state.last_checkpoint)
        donor, name = parse_location(address)
        try:
            Checkpoints(RunDir(donor)).protect(name, str(trial))
        except BadInput as error:
            _log.warning("%s does not take over %s: %s", trial, trial_to_clone, error)
            return
        super()._exploit(tune_controller, trial, trial_to_clone)  # type: ignore[misc]
        exploit = Exploit(
            epoch=step_of(name) // self._steps,
            donor=str(trial_to_clone),
            values={path: trial.config[path] for path in self._space},
        )
        add_exploit(self.run_of(trial), exploit)


class _Pbt(_Population, PopulationBasedTraining):  # type: ignore[misc]
    """Population based training."""


class _Pb2(_Population, PB2):  # type: ignore[misc]
    """Population based bandits."""

    def _get_new_config(self, trial: Trial, trial_to_clone: Trial) -> tuple[Any, Any]:
        """Choose values; where there is nothing to learn from yet, perturb them as PBT does.

        Ray would keep the donor's, and with common seeds the copy would be its twin for ever.
        """
        config, operations = super()._get_new_config(trial, trial_to_clone)
        if all(config[path] == trial_to_clone.config[path] for path in self._space):
            perturbed = {
                path: _change(part, _change(part, config[path], _perturb), _clip)
                for path, part in self._space.items()
            }
            config = {**config, **perturbed}
        return config, operations


def _describe(part: Any, describe: Callable[[Any], Any]) -> Any:
    """Describe a distribution to Ray; of a schedule each parameter that is drawn."""
    if isinstance(part, ScheduleChoice):
        return {name: _describe(one, describe) for name, one in part.options[0].drawn().items()}
    return describe(part)


def _mutation(part: Any) -> Any:
    """Return how PBT draws a value anew: a domain, or a list to step along."""
    return list(part.values) if isinstance(part, Choice | Grid) else part.domain()


def _bounds(part: Any) -> Any:
    """Return the bounds of PB2."""
    return [part.low, part.high]


def _change(part: Any, value: Any, change: Callable[[Any, Any], Any]) -> Any:
    """Change a value of a distribution; of a schedule each parameter that is drawn."""
    if isinstance(part, ScheduleChoice):
        drawn = part.options[0].drawn()
        return {**value, **{name: _change(one, value[name], change) for name, one in drawn.items()}}
    return change(part, value)


def _perturb(part: Any, value: Any) -> Any:
    """Multiply a number by 0.8 or 1.2."""
    return value * random.choice((0.8, 1.2))


def _clip(part: Any, value: Any) -> Any:
    """Bring a number back into its bounds."""
    return value if isinstance(part, Choice | Grid) else part.clip(value)
