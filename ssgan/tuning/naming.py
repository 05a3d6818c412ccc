"""Names of trials: counted in the order in which they are made, the same after a restart."""

from typing import Any

from ssgan.tuning.trial import FINAL


class TrialNames:
    """Names a trial of Ray Tune, whose own ids are random.

    The number stands in front of the tag that Tune gives each trial, and Tune keeps its count over
    restarts.

    Args:
        first: The number of the first trial in Tune's tags: 1 for searchers that suggest, else 0.
    """

    def __init__(self, first: int = 0) -> None:
        self._first = first

    def __call__(self, trial: Any) -> str:
        """Return the name of a `ray.tune.experiment.Trial`, ``00003`` or ``00003-s7``."""
        final = trial.config.get(FINAL)
        if final is not None:
            return str(final["trial"])
        number = int(str(trial.experiment_tag).partition("_")[0])
        return f"{number - self._first:05d}"
