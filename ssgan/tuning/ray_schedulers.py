"""Trial schedulers of Ray Tune: early stopping (ASHA) and population based training.

All are Ray's own, with what a real search needs besides: no retry where none can help, a memory
that survives the driver, checkpoints that stay while another trial starts from them, and rounds of
population based training that do not wait for failed trials.
"""

import logging
from collections.abc import Sequence
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, PopulationBasedTraining
from ray.tune.schedulers.pb2 import PB2

from ssgan.base.errors import BadInput
from ssgan.base.storage import join, split
from ssgan.records.checkpoint_address import parse_location, step_of
from ssgan.records.checkpoints import Checkpoints
from ssgan.records.rundir import RunDir
from ssgan.records.searchdir import FOLDERS, Exploit, SearchDir
from ssgan.training.session import read_pointer
from ssgan.tuning.resume_point import add_exploit, settle
from ssgan.tuning.schedulers import TIME
from ssgan.tuning.search import Search
from ssgan.tuning.trial import FAILURE

_log = logging.getLogger(__name__)


class Clip:
    """Brings perturbed values back into their distributions; Ray multiplies without looking."""

    def __init__(self, search: Search) -> None:
        self._space = dict(search.space)

    def __call__(self, config: dict[str, Any]) -> dict[str, Any]:
        """Return a config with all numbers inside their bounds."""
        return {**config, **{path: part.clip(config[path]) for path, part in self._space.items()}}


class GivesUp:
    """A scheduler that lets no trial be tried again that would fail again.

    It takes the location of the trials' run directories, and the settings of Ray's scheduler, which
    comes after this class among the bases.
    """

    over: frozenset[str] = frozenset()
    """Trials that are not resumed, whatever their status is, in a search that is made longer."""

    def __init__(self, runs: str, **settings: Any) -> None:
        super().__init__(**settings)
        self._runs = runs

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Add a trial."""
        if str(trial) in self.over:
            trial.set_status(Trial.TERMINATED)
        super().on_trial_add(tune_controller, trial)  # type: ignore[misc]

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """End hopeless trials before they start again, then choose as the scheduler does."""
        for trial in list(tune_controller.get_live_trials()):
            has_failed = trial.status == Trial.PENDING and trial.run_metadata.num_failures
            if has_failed and self.run_of(trial).exists(FAILURE):
                tune_controller._set_trial_status(trial, Trial.ERROR)
                tune_controller.search_alg.on_trial_complete(trial.trial_id, error=True)
        chosen: Trial | None = super().choose_trial_to_run(tune_controller)  # type: ignore[misc]
        return chosen

    def run_of(self, trial: Trial) -> RunDir:
        """Return a trial's run directory."""
        return RunDir(join(self._runs, str(trial)))


class Fifo(GivesUp, FIFOScheduler):
    """Every trial trains to its end."""


class Halving(GivesUp, ASHAScheduler):
    """Successive halving that lets the survivors export, and remembers the rungs."""

    # One that an older version pickled has none of its own.
    _curves: dict[str, Sequence[tuple[int, float]]] | None = None  # of the table, once it was read
    _every = 1

    def __init__(self, runs: str, search: Search, **settings: Any) -> None:
        super().__init__(runs, **settings)
        self._last = search.epochs
        self._every = search.base.evaluation.every

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Add a trial; one from before a restart keeps its rungs."""
        super().on_trial_add(tune_controller, trial)
        reached = (trial.last_result or {}).get(TIME, 0)
        if not reached:
            return
        sign = float(self._metric_op or 1)
        curve = self._curve(trial, reached)
        for milestone, recorded in self._trial_info[trial.trial_id]._rungs:
            value = next((value for epoch, value in curve if epoch >= milestone), None)
            if value is not None:
                recorded.setdefault(trial.trial_id, sign * value)

    def _curve(self, trial: Trial, reached: int) -> Sequence[tuple[int, float]]:
        """Return the epochs and values of a trial from before a restart, by the table."""
        if self._curves is None:
            directory, stage = split(self._runs)
            rows = SearchDir(directory).rows()
            self._curves = {row.trial: row.curve for row in rows if FOLDERS[row.stage] == stage}
        found = [point for point in self._curves.get(str(trial), ()) if point[0] <= reached]
        if len(found) >= reached // self._every:
            return found
        # An older version kept no curves, or the driver died before the table was written.
        records = [one for one in self.run_of(trial).records() if one.epoch <= reached]
        values = ((one.epoch, one.metrics.get(str(self._metric))) for one in records)
        return [(epoch, value) for epoch, value in values if value is not None]

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: Any) -> str:
        """Decide at a rung; a trial at its end continues, to export its generator."""
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


class _Population(GivesUp):
    """Rounds of exploit and explore, on top of Ray's population based schedulers.

    At a round all trials have paused at the same epoch. The worst continue from checkpoints of the
    best, which are kept until the copies have saved their own.
    """

    def __init__(self, runs: str, search: Search, **settings: Any) -> None:
        super().__init__(runs, **settings)
        self._last = search.epochs
        self._steps = search.base.training.steps_per_epoch
        self._space = dict(search.space)
        self._coming: list[int] = []  # the next rounds of the trials from before a restart

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Add a trial; one from before a restart continues between the rounds where it was."""
        super().on_trial_add(tune_controller, trial)
        reached = (trial.last_result or {}).get(TIME, 0)
        if not reached or trial.is_finished():
            return
        interval = self._perturbation_interval  # type: ignore[attr-defined]
        rounds = reached // interval
        self._trial_state[trial].last_perturbation_time = rounds * interval  # type: ignore[attr-defined]
        self._coming.append((rounds + 1) * interval)
        self._next_perturbation_sync = min(self._coming)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: Any) -> str:
        """Pause at a round; at its end a trial continues, to export its generator."""
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
            chosen = next((one for one in waiting if self._may_continue(one)), chosen)
        return chosen

    def _may_continue(self, trial: Trial) -> bool:
        """Whether a trial has paused for a round that was held."""
        reached = self._trial_state[trial].last_train_time  # type: ignore[attr-defined]
        return bool(trial.status == Trial.PAUSED and reached < self._next_perturbation_sync)

    def _hold_round(self, controller: Any, waiting: list[Trial]) -> None:
        lower, upper = self._quantiles()  # type: ignore[attr-defined]
        rest = [one for one in waiting if one not in lower and one not in upper]
        states = self._trial_state  # type: ignore[attr-defined]
        for trial in [*upper, *rest, *lower]:  # the best save before the worst exploit them
            states[trial].last_perturbation_time = states[trial].last_train_time
            self._checkpoint_or_exploit(trial, controller, upper, lower)  # type: ignore[attr-defined]
        reached = min(states[trial].last_train_time for trial in waiting)
        self._next_perturbation_sync = reached + self._perturbation_interval  # type: ignore[attr-defined]

    def _exploit(self, tune_controller: Any, trial: Trial, trial_to_clone: Trial) -> None:
        """Let a trial continue from another's checkpoint, kept until it has saved its own."""
        state = self._trial_state[trial_to_clone]  # type: ignore[attr-defined]
        source, name = parse_location(settle(read_pointer(state.last_checkpoint), self._runs))
        try:
            Checkpoints(RunDir(source)).protect(name, str(trial))
        except BadInput as error:
            _log.warning("%s cannot exploit %s: %s", trial, trial_to_clone, error)
            return
        super()._exploit(tune_controller, trial, trial_to_clone)  # type: ignore[misc]
        exploit = Exploit(
            epoch=step_of(name) // self._steps,
            source_trial=str(trial_to_clone),
            values={path: trial.config[path] for path in self._space},
        )
        add_exploit(self.run_of(trial), exploit)


class Pbt(_Population, PopulationBasedTraining):  # type: ignore[misc]
    """Population based training."""


class Pb2(_Population, PB2):  # type: ignore[misc]
    """Population based bandits."""

    def _get_new_config(self, trial: Trial, trial_to_clone: Trial) -> tuple[Any, Any]:
        """Choose values; where there is nothing to learn from yet, perturb them as PBT does.

        Ray would keep those of the source trial, and with common seeds the copy would stay its
        twin.
        """
        config, operations = super()._get_new_config(trial, trial_to_clone)
        if all(config[path] == trial_to_clone.config[path] for path in self._space):
            perturbed = {path: part.perturb(config[path]) for path, part in self._space.items()}
            config = {**config, **perturbed}
        return config, operations
