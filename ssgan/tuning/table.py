"""The table of trials, ``trials.json``: kept by the driver from what Ray Tune tells it.

Of a trial that failed it says why, in one line.
"""

import contextlib
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from ray.tune import Callback
from ray.tune.experiment import Trial

from ssgan.base.errors import CorruptFile
from ssgan.records.rundir import RunDir
from ssgan.records.searchdir import SearchDir, Stage, Status, TrialRow
from ssgan.tuning.resume_point import read_lineage
from ssgan.tuning.schedulers import SPEED, TIME
from ssgan.tuning.search import Search
from ssgan.tuning.trial import FAILURE, read_assignment

_PAUSE = 1.0  # seconds between two writes, and between two looks at the state of all trials
_CROWD = 500  # trials; of more, both come so many times later
_LONGEST = 300  # characters of a reason


class TrialTable(Callback):
    """Keeps the rows of one stage of a search directory; those of the other stay as they are."""

    _search: Search
    _directory: SearchDir
    _looked = 0.0  # a table that an older version pickled has none of its own

    def __init__(self, search_dir: str, stage: Stage) -> None:
        self._location, self._stage = search_dir, stage
        self._rows: dict[str, TrialRow] = {}
        self._others: Sequence[TrialRow] = ()
        self._ended: set[str] = set()
        self._reasons: dict[str, str] = {}
        self._written = 0.0
        self._is_stale = False

    def setup(self, *args: Any, **info: Any) -> None:
        """Read what the directory holds when the stage begins, or is resumed."""
        self._directory = SearchDir(self._location)
        self._search = self._directory.read_definition(Search)
        rows = self._directory.rows()
        self._others = [row for row in rows if row.stage != self._stage]
        self._rows = {row.trial: row for row in rows if row.stage == self._stage}

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Notice changes of state, whoever made them: once in a while, because Tune steps often."""
        if time.monotonic() - self._looked >= self._pause:
            for trial in trials:
                row = self._rows.get(str(trial))
                if row is None or row.status != self._status(trial):
                    self._update(trial, at_once=True)
            self._looked = time.monotonic()
        self._flush()

    @property
    def _pause(self) -> float:
        return _PAUSE * max(1.0, len(self._rows) / _CROWD)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Take an epoch into the row."""
        self._update(trial, result)

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Note that the trial ended, by itself or by the scheduler."""
        self._ended.add(str(trial))
        self._update(trial, at_once=True)

    def on_trial_recover(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Note why a trial is tried again."""
        count = trial.run_metadata.num_failures
        again = "once" if count == 1 else f"{count} times"
        self._reasons[str(trial)] = f"tried again {again} after: {self._why(trial)}"
        self._update(trial, at_once=True)

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Note why a trial failed."""
        self._reasons[str(trial)] = self._why(trial)
        self.on_trial_complete(iteration, trials, trial)

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        """Write the table at the end, or when somebody stopped the search."""
        for trial in trials:
            self._update(trial, at_once=True)
        self._flush()

    def get_state(self) -> None:
        """Have no state of its own: the table is read back from the search directory."""

    def _update(
        self, trial: Trial, result: dict[str, Any] | None = None, *, at_once: bool = False
    ) -> None:
        name, metric = str(trial), self._search.metric
        latest = result or trial.last_result or {}
        before = self._rows.get(name)
        values, seed = read_assignment(self._search, trial.config)
        if seed is None:
            seed = int(values.get("seed", self._search.base.seed))
        status, epoch, value = self._status(trial), latest.get(TIME, 0), latest.get(metric)
        lineage, curve = (before.lineage, before.curve) if before else ((), ())
        is_other = before is None or (before.status, before.values) != (status, values)
        if self._search.scheduler.changes_values and (is_other or at_once):
            lineage = read_lineage(self._run(trial))
        if value is not None and (epoch, value) != (curve[-1] if curve else None):
            # Epochs from there on were of a past that was lost, or before an exploit.
            curve = (*(point for point in curve if point[0] < epoch), (epoch, value))
        row = TrialRow(
            trial=name,
            stage=self._stage,
            values=values,
            seed=seed,
            status=status,
            epoch=latest.get(TIME, before.epoch if before else 0),
            metric=latest.get(metric, before.metric if before else None),
            images_per_second=latest.get(SPEED, before.images_per_second if before else None),
            curve=curve,
            lineage=lineage,
        )
        row = row.model_copy(update={"reason": self._reason(trial, row, before)})
        if row != before:
            self._rows[name] = row
            self._is_stale = True
        if at_once and self._is_stale:
            self._written = 0.0

    def _status(self, trial: Trial) -> Status:
        name = str(trial)
        if trial.status == Trial.ERROR:
            return "FAILED"
        if trial.status != Trial.TERMINATED and name not in self._ended:
            return cast(Status, trial.status)  # PENDING, RUNNING or PAUSED
        before = self._rows.get(name)
        if name not in self._ended and not (before and before.is_over):
            return "PAUSED"  # the driver was interrupted; a resume continues
        reached = (trial.last_result or {}).get(TIME, before.epoch if before else 0)
        return "FINISHED" if reached >= self._search.epochs else "STOPPED"

    def _reason(self, trial: Trial, row: TrialRow, before: TrialRow | None) -> str | None:
        if row.status == "STOPPED":
            return f"stopped by {self._search.scheduler.kind} at epoch {row.epoch}"
        if row.status == "FAILED":
            return self._reasons.get(row.trial) or self._why(trial)
        kept = before.reason if before is not None and before.status != "STOPPED" else None
        return self._reasons.get(row.trial) or kept

    def _why(self, trial: Trial) -> str:
        return explain(self._run(trial), trial)

    def _run(self, trial: Trial) -> RunDir:
        return self._directory.run_of(self._stage, str(trial))

    def _flush(self) -> None:
        if self._is_stale and time.monotonic() - self._written >= self._pause:
            self._directory.write_rows([*self._others, *self._rows.values()])
            self._written, self._is_stale = time.monotonic(), False


def explain(run: RunDir, trial: Any) -> str:
    """Say why a `ray.tune.experiment.Trial` failed: what its run directory says, or else Tune."""
    if run.exists(FAILURE):
        with contextlib.suppress(CorruptFile, KeyError, TypeError):
            return _shorten(str(run.read_json(FAILURE)["message"]))
    try:
        text = Path(trial.error_file).read_text(encoding="utf-8")
    except (OSError, TypeError):
        return "unknown error"
    return read_error(re.split(r"^Failure # \d+ .*$", text, flags=re.MULTILINE)[-1])  # the last


def read_error(text: str) -> str:
    """Make one line of an error that Ray wrote down, which may be pages long."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if re.search(r"OutOfMemoryError|memory monitor|\(OOM\)|out of memory|can't allocate", text):
        known = [one for one in lines if re.search(r"memory|allocate", one)]
        return _shorten(f"out of memory: {known[-1] if known else lines[-1]}")
    if re.search(r"ActorDiedError|ActorUnavailable|actor died|worker process has died", text):
        died = next((one for one in lines if "SIGKILL" in one or "exit" in one), "")
        return _shorten(f"its process died (killed, or the machine is gone). {died}".strip())
    causes = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Interrupt)\b", line)]
    return _shorten((causes or lines or ["unknown error"])[-1])


def _shorten(line: str) -> str:
    line = " ".join(line.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
