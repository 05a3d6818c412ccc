"""Trials that train nothing: they leave what trials leave, and report it to Ray Tune.

All is copied from one small run that was trained for real, the template: records of as many
metrics, pictures of the same sizes, an export that can be registered. Only the values of the
search's metric differ.
"""

import json
import logging
import math
import os
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from ssgan.experiment.loading import assign, load_experiment
from ssgan.experiment.tree import Experiment
from ssgan.launch.driver import train
from ssgan.records.rundir import Record, RunDir
from ssgan.records.searchdir import SearchDir, Stage
from ssgan.training.session import TuneSession
from ssgan.tuning.preparation import TrialSpec
from ssgan.tuning.schedulers import SPEED, TIME
from ssgan.tuning.search import Search
from ssgan.tuning.trial import read_assignment

SMALL = (
    "training.epochs=1",
    "training.steps_per_epoch=2",
    "training.batch_size=16",
    "label_sampling.batch_size=8",
    "networks.width=4",
    "networks.hidden=16",
    "networks.q_hidden=8",
    "evaluation.samples=100",
    "evaluation.real_images=200",
    "evaluation.held_out_images=200",
    "evaluation.judge.epochs=1",
    "evaluation.judge.least_updates=2",
)
_COPIED = ("labels.parquet", "environment.json")
_FOLDERS = ("figures", "export")


def template_experiment(epochs: int) -> Experiment:
    """Return the experiment of the trials: the digits, cut down, for so many epochs."""
    return load_experiment("digits", [*SMALL, f"training.epochs={epochs}"])


def make_template(folder: Path) -> str:
    """Train the run that all trials copy; return its directory."""
    place = folder / "template"
    if not (place / "summary.json").exists():
        uri = f"sqlite:///{folder / 'mlflow.db'}"
        train(load_experiment("digits", [*SMALL, f"tracking.uri={uri}"]), folder, "template")
    return str(place)


class SyntheticTrial:
    """One trial: its run directory, and its epochs one after the other."""

    def __init__(self, template: RunDir, search: Search, run: RunDir, values: Mapping[str, Any]):
        self._template, self._search, self._values = template, search, values
        (self._source,) = template.records()
        self._pictures = template.pictures(self._source)
        tree = yaml.load(template.definition(), yaml.CSafeLoader)
        for path, value in values.items():
            assign(tree, path, value)
        text = yaml.dump(tree, Dumper=yaml.CSafeDumper, sort_keys=False)
        self.run = RunDir.create(run.location, text)
        for file in _COPIED:
            self.run.write_bytes(file, template.read_bytes(file))

    def epochs(self, pause: float = 0.0) -> Iterator[dict[str, float]]:
        """Leave every epoch, and yield what Ray Tune is told of it."""
        run, metric = self.run, self._search.metric
        for epoch in range(1, self._search.epochs + 1):
            time.sleep(pause)
            loss = loss_of(self._values, epoch)
            record = self._source.model_copy(
                update={
                    "epoch": epoch,
                    "step": 2 * epoch,
                    "images_seen": 32 * epoch,
                    "timestamp_ms": time.time_ns() // 1_000_000,
                    "metrics": {**self._source.metrics, metric: loss},
                }
            )
            if run.local_path is None:
                run.commit_record(record, *self._pictures, is_new=True)
            else:
                _commit_by_links(run, record, self._template)
            yield {TIME: epoch, metric: loss, SPEED: 1000.0}

    def conclude(self) -> None:
        """Leave figures, export and summary, in which stands when that was."""
        for folder in _FOLDERS:
            for file in self._template.list(folder):
                self.run.write_bytes(file, self._template.read_bytes(file))
        summary = self._template.summary() or {}
        self.run.write_summary({**summary, "run_id": self.run.run_id, "ended": time.time()})


def train_under_tune(
    spec: TrialSpec, template: str, pause: float, config: Mapping[str, Any]
) -> None:
    """Be the function that Ray Tune runs for a trial."""
    from ray import tune

    logging.disable(logging.INFO)  # as a real trial does; Ray prints every line
    directory = SearchDir(spec.search)
    search = Search.from_yaml(directory.definition())
    values, seed = read_assignment(search, config)
    name = str(tune.get_context().get_trial_name())
    run = directory.run_of(spec.stage, name)
    trial = SyntheticTrial(RunDir(template), search, run, {**values, "seed": seed or 0})
    session = TuneSession(tune)
    for told in trial.epochs(pause):
        address = trial.run.locate(f"checkpoints/{2 * int(told[TIME]):08d}")
        session.report(partial(dict, told), partial(str, address))
    trial.conclude()


def write_trials(
    template: str,
    location: str,
    stage: Stage,
    trials: Mapping[str, Any],
    concurrent: int,
    rate: float,
) -> Iterator[tuple[str, dict[str, float] | None]]:
    """Be the processes of all trials of a stage without Ray: so many at a time, in turns.

    Args:
        template: Location of the run that they copy.
        location: That of the search.
        stage: Which of its stages.
        trials: Values by name.
        concurrent: Trials at a time.
        rate: Epochs a second over all trials, at most.

    Yields:
        A trial's name, with what Ray Tune would be told, or None at its end.
    """
    directory, source = SearchDir(location), RunDir(template)
    search = Search.from_yaml(directory.definition())
    waiting = deque(trials.items())
    running: deque[tuple[str, SyntheticTrial, Iterator[dict[str, float]]]] = deque()
    next_epoch = time.monotonic()
    while waiting or running:
        while waiting and len(running) < concurrent:
            name, values = waiting.popleft()
            trial = SyntheticTrial(source, search, directory.run_of(stage, name), values)
            running.append((name, trial, trial.epochs()))
        name, trial, epochs = running.popleft()
        time.sleep(max(0.0, next_epoch - time.monotonic()))
        next_epoch = max(next_epoch + 1 / rate, time.monotonic() - 1)
        told = next(epochs, None)
        if told is None:
            trial.conclude()
        else:
            running.append((name, trial, epochs))
        yield name, told


def loss_of(values: Mapping[str, Any], epoch: int) -> float:
    """Fall toward a level that is lowest where λ1 is 0.5."""
    far = math.log(float(values["objective.lambda1"]) / 0.5) ** 2
    return min(0.9, 0.004 + 0.03 * far + 0.85 * math.exp(-epoch / (3 + far)))


def _commit_by_links(run: RunDir, record: Record, template: RunDir) -> None:
    """Commit an epoch whose pictures are the template's, without writing them to the disk."""
    home, source = run.local_path, template.local_path
    assert home is not None
    assert source is not None
    files: dict[str, dict[str, str]] = {}
    (home / f"record/{record.epoch:04d}").mkdir(parents=True)
    for field in ("images", "thumbnails"):
        before: dict[str, str] = getattr(record, field)
        now = {n: f"record/{record.epoch:04d}/{Path(file).name}" for n, file in before.items()}
        for name, file in now.items():
            os.link(source / before[name], home / file)
        files[field] = now
    text = record.model_copy(update=files).model_dump_json()
    temporary = home / f"record/{record.epoch:04d}.json.tmp"
    temporary.write_text(text)
    temporary.rename(home / f"record/{record.epoch:04d}.json")


def main() -> None:
    """Be the process that writes trials: arguments as JSON come in, what happened goes out."""
    for event in write_trials(**json.loads(sys.stdin.read())):
        print(json.dumps(event), flush=True)
