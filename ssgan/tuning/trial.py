"""One run of a search, as Ray Tune starts it: in its own process, or with workers of its own.

A trial is a run directory that grows. Tune hears of every epoch that carries the search's metric,
with a pointer to the checkpoint of that epoch.
"""

import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

from ssgan.base.errors import BadInput, NonFiniteLoss
from ssgan.base.threads import use_threads
from ssgan.cluster.capacity import object_store_environment
from ssgan.data.dataset import Dataset
from ssgan.evaluation.judge import Judge
from ssgan.launch.machine import record_environment
from ssgan.launch.outcome import finish, write_summary
from ssgan.launch.preemption import heed_sigterm, preempted, watch_for_preemption
from ssgan.launch.preparation import (
    find_store,
    keep_to_share,
    load_dataset,
    save_data,
)
from ssgan.launch.workers import run_under_ray
from ssgan.records.checkpoint_address import step_at, step_of
from ssgan.records.checkpoints import Checkpoints
from ssgan.records.rundir import Record, RunDir
from ssgan.records.searchdir import SearchDir
from ssgan.training import loop
from ssgan.training.loop import Progress, Stopped, Watch
from ssgan.training.session import Commit, Measure, TuneSession
from ssgan.tuning.judges import check_judge, wait_for_judge
from ssgan.tuning.preparation import TrialSpec
from ssgan.tuning.resume_point import ResumePoint, find_resume_point, is_saved, release
from ssgan.tuning.schedulers import SPEED, TIME
from ssgan.tuning.search import Search

FAILURE = "failure.json"
"""File of the run directory that says why no retry can help."""
FINAL = "final"
"""Key of a trial's config in stage two: name, values and seed of the run."""


def make_trainable(spec: TrialSpec) -> Any:
    """Return the trainable that Ray Tune runs for each trial, with what it reserves.

    A trial with workers of its own reserves memory for its own process, and no core: it computes
    nothing, and must not take cores from them.
    """
    from ray import tune
    from ray.tune.trainable import wrap_function

    def trial(config: dict[str, Any], environment: dict[str, str]) -> None:
        os.environ.update(environment)
        Trial(spec, config).run()

    plan = spec.plan
    gpus = {"GPU": plan.gpus} if plan.cuda else {}
    needs = dict(spec.driver) if plan.under_ray else {"CPU": plan.cpus, **gpus}
    # Tune writes the function to disk, but parameters go through the object store.
    started = tune.with_parameters(trial, environment=object_store_environment())

    class HeedingTrial(wrap_function(tune.with_resources(started, needs))):  # type: ignore[misc]
        def setup(self, config: dict[str, Any]) -> None:  # in the main thread of its process
            heed_sigterm()
            super().setup(config)

    return HeedingTrial


class Trial:
    """One run of a search: what the driver told all trials, and what Ray Tune gives this one."""

    def __init__(self, spec: TrialSpec, config: Mapping[str, Any]) -> None:
        from ray import tune

        self._started = time.monotonic()
        self._spec = spec
        self._search_dir = SearchDir(spec.search)
        self.search = self._search_dir.read_definition(Search)
        name = str(tune.get_context().get_trial_name())
        values, seed = read_assignment(self.search, config)
        self.experiment = self.search.experiment(values, seed, spec.stage)
        self._plan = spec.plan
        self._session = TuneSession(tune)
        self._at: ResumePoint = find_resume_point(
            self._search_dir.run_of(spec.stage, name).location,
            self.experiment,
            values,
            pointer=self._session.restore(),
        )

    def run(self) -> None:
        """Train to the end, then export.

        Raises:
            NonFiniteLoss: A term of the objective became NaN or infinite.
            BadInput: The data is not here, or no epoch had the search's metric.
            RayActorError: This process is about to be taken away, and has saved a checkpoint; Tune
                starts the trial again from there.
        """
        logging.disable(logging.INFO)  # Ray prints every line of every trial
        run = self._at.run
        run.delete(FAILURE)
        try:
            check_judge(self._search_dir, self._spec.stage)
            save_data(run, self.dataset)
            commit = self._spec.commit
            environment = record_environment(run, self.experiment, self._plan, commit)
            self._catch_up()
            with watch_for_preemption() as is_taken:
                if self._plan.under_ray:
                    self._train_nested(is_taken)
                else:
                    self._train_here(is_taken)
            self._check_metric()
            self._conclude(environment)
        except (NonFiniteLoss, BadInput) as error:
            run.write_json(FAILURE, {"kind": type(error).__name__, "message": str(error)})
            raise
        except Stopped as stopped:
            raise preempted(f"{stopped}: its machine is taken away") from None

    @cached_property
    def dataset(self) -> Dataset:
        """The images, mapped, with the labels of this run's budget."""
        store = find_store(self.experiment, location=self._spec.store)
        return load_dataset(self.experiment, self._at.run, store)

    def restore(self) -> str | None:
        """Return the address of the checkpoint to start from (`ssgan.training.session.Session`)."""
        return self._at.start

    def report(self, metrics: Measure, checkpoint: Commit | None = None) -> None:
        """Tell Tune of an epoch, once it is measured, if it carries the search's metric.

        Tune keeps what it is told, and saves all of it again and again, so it is told no more than
        searchers, schedulers and the table of trials take; the record has the rest.
        """
        if checkpoint is not None and self._at.held is not None:
            checkpoint()
            release(self._at)
            self._at = replace(self._at, held=None)
        found = metrics()
        told = {name: found.get(name) for name in (TIME, self.search.metric, SPEED)}
        if told[self.search.metric] is not None:
            # It does not return if the trial has to pause or stop.
            known = {name: value for name, value in told.items() if value is not None}
            self._session.report(lambda: known, checkpoint)

    def _catch_up(self) -> None:
        """Report the epochs that the run directory holds and Tune does not know of."""
        start = self._at.start
        if start is None:
            return
        step = step_at(start)
        for record in self._at.run.records():
            if record.epoch > self._at.known and record.step <= step:
                self.report(partial(dict, record.numbered_metrics), lambda: start)

    def _train_here(self, is_taken: Callable[[], bool]) -> None:
        device = self._plan.device_here
        keep_to_share(self._plan.gpus, device)

        def judge() -> Judge | None:
            files = self._judge_files()
            return None if files is None else Judge.from_files(files, device)

        with use_threads(self._plan.threads):
            watch = Watch(stop=is_taken)
            loop.run(self.experiment, self.dataset, judge, self._at.run, self, device, watch)

    def _judge_files(self) -> dict[str, bytes] | None:
        """Return the files of the judge, as soon as they are there; None where there is none."""
        if not self._spec.is_judged:
            return None
        return wait_for_judge(self._search_dir, self._spec.stage)

    def _train_nested(self, is_taken: Callable[[], bool]) -> None:
        run, start, told = self._at.run, self._at.start, self._at.known
        if start is not None:
            told = max(told, step_at(start) // self.experiment.training.steps_per_epoch)
        run_under_ray(
            self.experiment,
            self._spec.store,
            self._judge_files(),
            run,
            self._plan,
            Watch(progress=self._follow, stop=is_taken),
            start=start,
            told=told,
            is_ready=lambda record: is_saved(run, record.step),
        )

    def _follow(self, now: Progress) -> None:
        """Report an epoch that the workers committed, with the checkpoint that is there by now."""
        if now.record is not None:
            checkpoint = partial(_address, self._at.run, now.record)
            metrics = now.record.numbered_metrics
            self.report(lambda: metrics, checkpoint)

    def _check_metric(self) -> None:
        """Refuse to end without a single value to be compared by."""
        metric, records = self.search.metric, self._at.run.records()
        if any(record.metrics.get(metric) is not None for record in records):
            return
        reasons = records[-1].reasons if records else {}
        raise BadInput(
            f"no epoch has a value of {metric}: {reasons.get(metric, 'it was not measured')}; "
            "search by another search.metric"
        )

    def _conclude(self, environment: dict[str, Any]) -> None:
        """Export the generator and write summary.json, as `ssgan train` does."""
        run, experiment = self._at.run, self.experiment
        summary = run.summary()
        if summary is not None and summary.get("epochs") == experiment.training.epochs:
            return
        location = finish(run, experiment, self.dataset, self._plan)
        uri = self._spec.tracking_uri
        write_summary(run, experiment, uri, environment, self._started, export_location=location)


def read_assignment(search: Search, config: Mapping[str, Any]) -> tuple[dict[str, Any], int | None]:
    """Return the searched values in Ray Tune's config of a trial, and its seed in stage two.

    With Optuna the config also holds the draws behind the values.
    """
    final = config.get(FINAL)
    if final is not None:
        return dict(final["values"]), int(final["seed"])
    return {path: config[path] for path in search.space}, None


def _address(run: RunDir, record: Record) -> str:
    """Return the address of a record's checkpoint, or of the first one after it."""
    checkpoints = Checkpoints(run)
    names = [name for name in checkpoints.manifests() if step_of(name) >= record.step]
    exact = [name for name in names if step_of(name) == record.step]
    return checkpoints.location((exact[-1:] or names)[0])
