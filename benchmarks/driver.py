"""What a search costs its driver: the real program over trials that train nothing.

``python -m benchmarks.driver --out DIR --store sqlite --trials 20 100 1000 --page PAGE.md`` runs
`ssgan.tuning.program.run_search` for each number of trials, in a process of its own, keeps what was
measured in DIR, runs nothing twice, and writes the page from all that is there.

Trials (`benchmarks.synthetic_trials`) leave records of 50 epochs with real metrics and pictures, by
another process, which tells the driver of each epoch; the driver hands it to the table of trials
and to ASHA as Ray Tune does. With ``--ray`` they run under Ray Tune itself. What is not the driver
is not counted: trials, Ray's processes, MLflow's server, the object store.

Stores: ``sqlite`` (runs on the disk, MLflow in a file), ``http`` (a real ``mlflow server``), ``s3``
(runs on moto's server, 20 ms a request, MLflow in a file), ``none`` (MLflow left out).
"""

import argparse
import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from ray import tune

from benchmarks.driver_page import STORES, page
from benchmarks.synthetic_trials import make_template, template_experiment, train_under_tune
from ssgan.cluster.connection import Cluster
from ssgan.launch.machine import describe_machine
from ssgan.records.searchdir import FOLDERS, SearchDir, Stage
from ssgan.tracking.live_sync import SearchSync
from ssgan.tracking.search import sync_search
from ssgan.tuning import Search, load_search, program, tuner
from ssgan.tuning.preparation import TrialSpec
from ssgan.tuning.schedulers import NoScheduler, Scheduler
from ssgan.tuning.table import TrialTable
from ssgan.tuning.tuner import finals_of
from tests.helpers.servers import mlflow_server
from tests.helpers.trials import FakeTrial

_EPOCHS = 50
_DELAY = 0.02  # seconds a request to the object store


def main(argv: Sequence[str] | None = None) -> None:
    """Measure what is missing, then write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of what was measured")
    parser.add_argument("--store", choices=STORES, nargs="*", default=[], help="where to record")
    parser.add_argument("--trials", type=int, nargs="*", default=[20], help="sizes of searches")
    parser.add_argument("--epochs", type=int, default=_EPOCHS)
    parser.add_argument("--concurrent", type=int, default=64, help="trials at a time")
    parser.add_argument("--rate", type=float, default=50.0, help="epochs a second, at most")
    parser.add_argument("--ray", action="store_true", help="under Ray Tune, four at a time")
    parser.add_argument("--at-once", action="store_true", help="send each epoch by itself")
    parser.add_argument("--page", type=Path, help="the page to write")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args(argv)
    asked.out.mkdir(parents=True, exist_ok=True)
    for store in asked.store:
        for trials in asked.trials:
            kind = "-ray" if asked.ray else "-at-once" if asked.at_once else ""
            file = asked.out / f"{store}-{trials}x{asked.epochs}{kind}.json"
            if asked.measure:
                measure(asked, store, trials, file)
            elif not file.exists():
                _measure_apart(asked, store, trials)
    if asked.page is not None:
        files = sorted(asked.out.glob("*.json"))
        asked.page.write_text(page([json.loads(file.read_text()) for file in files]))


def _measure_apart(asked: argparse.Namespace, store: str, trials: int) -> None:
    """Measure in a process of its own, whose memory and CPU are this measurement's alone."""
    told = {"--out": asked.out, "--store": store, "--trials": trials, "--epochs": asked.epochs}
    told |= {"--concurrent": asked.concurrent, "--rate": asked.rate}
    arguments = [str(part) for pair in told.items() for part in pair]
    arguments += ["--ray"] * asked.ray + ["--at-once"] * asked.at_once
    subprocess.run([sys.executable, "-m", "benchmarks.driver", "--measure", *arguments], check=True)


def measure(asked: argparse.Namespace, store: str, trials: int, file: Path) -> None:
    """Run one search in this process, and write what it cost to a file."""
    from ssgan.tuning.program import run_search

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="driver")))
        template = make_template(folder)
        out, uri = stack.enter_context(_places(store, folder))
        search = _define(trials, asked.epochs, 4 if asked.ray else asked.concurrent, uri)
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        calls = _count_calls(patch)
        if asked.ray:
            _put_under_tune(patch, template)
        else:
            _put_in_the_place_of_tune(patch, template, asked.concurrent, asked.rate)
        if asked.at_once:
            patch.setattr(SearchSync.__init__, "__kwdefaults__", {"interval": 0.0})
        if store == "none":
            patch.setattr(program, "SearchSync", _NoSync)
            patch.setattr(program, "_register", lambda *args: {})
        warnings = stack.enter_context(_warnings())
        began, cpu = time.monotonic(), time.process_time()
        result = run_search(search, out, "search")
        ended, spent = time.time(), time.process_time() - cpu
        wall = time.monotonic() - began
        if warnings:  # MLflow lacks something; what it costs to send that is of the search's cost
            sync_search(uri, result.directory)
        summary = result.summary
        assert not summary["failed"], result.directory.rows()
        found = {
            "store": store,
            "kind": "under Ray Tune"
            if asked.ray
            else "each epoch by itself"
            if asked.at_once
            else "",
            "trials": trials,
            "epochs": asked.epochs,
            "trial_epochs": sum(row.epoch for row in result.directory.rows()),
            "concurrent": search.concurrent,
            "rate": asked.rate,
            "cpu_seconds": spent,
            "catch_up_cpu_seconds": time.process_time() - cpu - spent,
            "wall_seconds": wall,
            "end_seconds": ended - _last_end(result.directory),
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "calls": dict(calls),
            "sheet_bytes": len(result.directory.read_bytes("report/contact-sheet.html"))
            if store != "none"
            else 0,
            "warnings": warnings,
            "machine": describe_machine(),
        }
        file.write_text(json.dumps(found, indent=2))  # before the trials are deleted, which is long


def _define(trials: int, epochs: int, concurrent: int, uri: str) -> Search:
    return load_search(
        {
            "base": template_experiment(epochs),
            "overrides": {"tracking.uri": uri, "scaling.cpus": 0.5, "scaling.threads": 1},
            "space": {
                "objective.lambda1": {"kind": "loguniform", "low": 0.05, "high": 2},
                "objective.lambda2": {"kind": "loguniform", "low": 0.2, "high": 8},
            },
            # Its only rung is the last epoch, so it decides and stops nobody.
            "scheduler": {"kind": "asha", "grace": epochs},
            "trials": trials,
            "concurrent": concurrent,
            "finals": {"best": 1, "seeds": 1},
        }
    )


@contextmanager
def _places(store: str, folder: Path) -> Iterator[tuple[str, str]]:
    """Give the place of runs and MLflow's URI, with the servers that they need."""
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    if store == "http":
        (folder / "server").mkdir()
        server = mlflow_server(folder / "server")
        try:
            yield str(folder / "runs"), server.start().url
        finally:
            server.kill()
    elif store == "s3":
        keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
        os.environ.update(keys)
        command = [sys.executable, "-c", _BUCKET]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as bucket:
            assert bucket.stdout is not None
            yield bucket.stdout.readline().decode().strip(), uri
            bucket.terminate()
    else:
        yield str(folder / "runs"), uri


_BUCKET = f"""
import sys
from tests.helpers.buckets import Bucket
bucket = Bucket()
bucket.delay = {_DELAY}
print(bucket.locate("runs"), flush=True)
while sys.stdin.read(1):
    pass
"""


def _count_calls(patch: pytest.MonkeyPatch) -> Counter[str]:
    """Count calls to MLflow's client by name, from now on."""
    calls: Counter[str] = Counter()
    for name in [name for name in vars(MlflowClient) if not name.startswith("_")]:
        original = getattr(MlflowClient, name)
        if callable(original):
            patch.setattr(MlflowClient, name, _counting(calls, name, original))
    return calls


def _put_under_tune(patch: pytest.MonkeyPatch, template: str) -> None:
    """Let Ray Tune run synthetic trials."""

    def make_trainable(spec: TrialSpec) -> Any:
        def trial(config: dict[str, Any]) -> None:
            train_under_tune(spec, template, 0.0, config)

        return tune.with_resources(trial, {"CPU": 0.5})

    patch.setattr(tuner, "make_trainable", make_trainable)


def _put_in_the_place_of_tune(
    patch: pytest.MonkeyPatch, template: str, concurrent: int, rate: float
) -> None:
    """Let another process write all trials, and hand their epochs on as Ray Tune does."""

    def build(search: Search, location: str, *args: Any, **more: Any) -> Replay:
        directory = SearchDir.create(location, search.to_yaml())
        values = {f"{i:05d}": _values(search, i) for i in range(search.total)}
        return Replay(search, directory, "search", values, template, concurrent, rate)

    def restore(directory: SearchDir, *args: Any, **more: Any) -> Replay:
        search = Search.from_yaml(directory.definition())
        finals = finals_of(search, list(directory.rows()))
        values = {one["trial"]: one["values"] for one in finals}
        return Replay(search, directory, "final", values, template, concurrent, rate)

    patch.setattr(program, "connect", lambda: nullcontext(Cluster("nowhere", (), started=True)))
    patch.setattr(program, "build_tuner", build)
    patch.setattr(program, "restore_tuner", restore)


def _values(search: Search, number: int) -> dict[str, float]:
    draw = np.random.default_rng(number)
    return {path: float(np.exp(draw.uniform(np.log(0.2), np.log(2)))) for path in search.space}


class Replay:
    """In the place of a `ray.tune.Tuner`."""

    def __init__(
        self,
        search: Search,
        directory: SearchDir,
        stage: Stage,
        values: Mapping[str, Any],
        template: str,
        concurrent: int,
        rate: float,
    ) -> None:
        scheduler: Scheduler = search.scheduler if stage == "search" else NoScheduler()
        self._scheduler = scheduler.build(search, directory.locate(FOLDERS[stage]))
        self._table = TrialTable(directory.location, stage)
        self._stage, self._values = stage, values
        self._told = {
            "template": template,
            "location": directory.location,
            "stage": stage,
            "trials": values,
            "concurrent": concurrent,
            "rate": rate,
        }

    def fit(self) -> None:
        """Hand every epoch to the scheduler and to the table, in the order of Ray Tune."""
        self._table.setup()
        trials: dict[str, Any] = {}
        command = [sys.executable, "-c", "from benchmarks import synthetic_trials as s; s.main()"]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdin is not None
            assert writer.stdout is not None
            writer.stdin.write(json.dumps(self._told))
            writer.stdin.close()
            for step, (name, told) in enumerate(map(json.loads, writer.stdout)):
                if name not in trials:
                    trials[name] = self._begin(name)
                    self._scheduler.on_trial_add(None, trials[name])
                self._table.on_step_begin(step, list(trials.values()))
                self._hand_on(trials, step, trials[name], told)
        self._table.on_experiment_end(list(trials.values()))

    def _hand_on(self, trials: Mapping[str, Any], step: int, trial: Any, told: Any) -> None:
        everybody = list(trials.values())
        if told is None:
            self._table.on_trial_complete(step, everybody, trial)
            trial.status = "TERMINATED"
        else:
            assert self._scheduler.on_trial_result(None, trial, told) == "CONTINUE"
            self._table.on_trial_result(step, everybody, trial, told)
            trial.last_result = told

    def _begin(self, name: str) -> Any:
        values = self._values[name]
        is_final = self._stage == "final"
        config = {"final": {"trial": name, "values": values, "seed": 1}} if is_final else values
        trial = FakeTrial(name, config)
        trial.status = "RUNNING"
        return trial


def _counting(calls: Counter[str], name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **more: Any) -> Any:
        calls[name] += 1
        return original(*args, **more)

    return call


class _NoSync:
    """In the place of what follows a search into MLflow."""

    def __init__(self, *args: Any) -> None: ...

    def start(self) -> "_NoSync":
        return self

    def close(self, status: str | None = None) -> bool:
        return True


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """Collect what ssgan warns about."""
    found: list[str] = []

    class Collecting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage())

    handler, log = Collecting(logging.WARNING), logging.getLogger("ssgan")
    log.addHandler(handler)
    try:
        yield found
    finally:
        log.removeHandler(handler)


def _last_end(directory: SearchDir) -> float:
    """Return when the last trial ended, a time of day: that of stage two."""
    finals = [row for row in directory.rows() if row.stage == "final"]
    ends = [(directory.run(row).summary() or {}).get("ended", 0.0) for row in finals]
    return max(map(float, ends))


if __name__ == "__main__":
    main()
