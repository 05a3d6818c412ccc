"""From a search to `ray.tune.Tuner`, the plain object of Ray.

::

    from ssgan.tuning import build_tuner, load_search

    results = build_tuner(load_search("lambdas", base="digits"), "runs/my-search").fit()
"""

import atexit
import contextlib
import os
from pathlib import Path
from typing import Any

from ssgan.base.errors import BadInput
from ssgan.base.progress import PreparationProgress
from ssgan.base.storage import split, with_fast_writes
from ssgan.cluster.capacity import object_store_environment
from ssgan.cluster.connection import Cluster, connect
from ssgan.cluster.nodes import require_shared
from ssgan.data.store import Store
from ssgan.experiment.fields import as_diff
from ssgan.launch.machine import source_commit
from ssgan.launch.preparation import find_store
from ssgan.records.searchdir import FOLDERS, SearchDir, Stage, TrialRow
from ssgan.tuning.judges import prepare_judges
from ssgan.tuning.preparation import (
    Need,
    TrialSpec,
    plan_trials,
    prepare_data,
    share_store,
    trials_at_a_time,
)
from ssgan.tuning.schedulers import NoScheduler
from ssgan.tuning.search import Search, difference
from ssgan.tuning.searchers import walk_grid
from ssgan.tuning.summary import best_trials
from ssgan.tuning.trial import FAILURE, FINAL, make_trainable

_RAY = "ray"  # folder of the search directory for Tune's own state
_MAY_CHANGE = (
    "tracking.",
    "name",
    "search.name",
    "search.pictures",
)  # where and how it is recorded


def build_tuner(
    search: Search,
    location: str | Path | SearchDir,
    stage: Stage = "search",
    *,
    cluster: Cluster | None = None,
    tracking_uri: str | None = None,
    progress: PreparationProgress | None = None,
    store: Store | None = None,
) -> Any:
    """Prepare a stage of a search, and return the `ray.tune.Tuner` that runs it.

    Whatever can be known beforehand is checked here; the data are prepared,
    and the judges are trained beside the first trials.

    Args:
        search: The search.
        location: Where its directory goes, a path or a URI that all machines reach; must be free.
            Or the directory of this very search, made already; stage two needs its table.
        stage: ``search``, or ``final``: the best configurations again, with fresh seeds.
        cluster: The Ray that this process is connected to. Without it the one at ``RAY_ADDRESS``
            is joined, or one is started here and ends with the process.
        tracking_uri: Where MLflow records the trials; written into their summaries.
        progress: Is told of the preparation's progress.
        store: The images, where `prepare_data` was called with this search already.

    Raises:
        BadInput: Something cannot work, or no trial of stage one has a value; no trial was started.
    """
    from ray import tune

    is_new = not isinstance(location, SearchDir) and stage == "search"
    if is_new:
        SearchDir(str(location)).refuse_taken(search.to_yaml())
    cluster = cluster or _connect_for_good()
    is_first = stage == "search"
    finals = [] if is_first else finals_of(search, list(_open(location).rows()))
    plan = plan_trials(search, cluster)
    at_a_time = trials_at_a_time(
        Need(search.base.scaling.counts()[0], plan.cpus, plan.gpus),
        search.total if is_first else len(finals),
        cluster.nodes,
        cluster.growth,
        drivers=cluster.drivers.most if plan.under_ray else None,
        asked=search.concurrent,
        population=is_first and search.scheduler.changes_values,
    )
    if is_new:
        require_shared(cluster, split(SearchDir(str(location)).location)[0])
    # Stage one checks the space against the data.
    if store is None:
        store = prepare_data(search, progress) if is_first else find_store(search.base, progress)
    directory = SearchDir.create(str(location), search.to_yaml()) if is_new else _open(location)
    spec = _prepare_spec(search, directory, stage, cluster, store, tracking_uri)
    if is_first:
        names = TrialNames(first=int(search.searcher.suggests))
        space = search.searcher.param_space(search)
        searcher = search.searcher.build(search, at_a_time)
    else:
        names, space = TrialNames(), {FINAL: tune.grid_search(finals)}
        searcher = walk_grid(at_a_time)
    _quieten()
    return tune.Tuner(
        make_trainable(spec),
        param_space=space,
        tune_config=tune.TuneConfig(
            num_samples=search.samples if is_first else 1,
            search_alg=searcher,
            scheduler=_make_scheduler(search, directory, stage),
            reuse_actors=search.base.scaling.workers == 1,
            trial_name_creator=names,
            trial_dirname_creator=names,
        ),
        run_config=tune.RunConfig(
            name=stage,
            storage_path=with_fast_writes(directory.locate(_RAY)),
            failure_config=tune.FailureConfig(max_failures=search.base.scaling.retries),
            callbacks=_make_callbacks(search, directory, stage),
            verbose=0,
        ),
    )


def restore_tuner(
    location: str | Path | SearchDir,
    search: Search | None = None,
    stage: Stage = "search",
    *,
    cluster: Cluster | None = None,
    tracking_uri: str | None = None,
    progress: PreparationProgress | None = None,
) -> Any:
    """Return a `ray.tune.Tuner` that resumes a stage of a search, as `build_tuner` starts it.

    Trials resume from their last checkpoints, also those that had failed. A stage that had not
    begun begins. The search may have been moved or copied since. If given, `search` is the search
    as it is defined now, which must be what was started, but may have more trials, epochs and
    finals.

    Raises:
        BadInput: There is no such search, or it was started with another definition.
    """
    from ray import tune

    from ssgan.tuning.ray_searchers import continuing

    directory = _open(location)
    started = directory.read_definition(Search)
    is_changed = search is not None and check_same(started, search)
    started = search or started
    state = f"{_RAY}/{stage}"
    has_state = any(one.startswith(f"{state}/experiment_state") for one in directory.list(state))
    if not has_state or (stage == "final" and _lacks_finals(started, directory)):
        directory.delete(state)  # killed before Tune had written anything down, or of fewer finals
        tuner: Any = build_tuner(
            started, directory, stage, cluster=cluster, tracking_uri=tracking_uri, progress=progress
        )
        if is_changed:
            directory.write_definition(started.to_yaml())
        return tuner
    cluster = cluster or _connect_for_good()
    require_shared(cluster, directory.location)
    store = find_store(started.base, progress)
    spec = _prepare_spec(started, directory, stage, cluster, store, tracking_uri)
    for row in directory.rows():
        if row.stage == stage and row.status == "FAILED":
            directory.run(row).delete(FAILURE)
    _quieten()
    where = with_fast_writes(directory.locate(state))
    tuner = tune.Tuner.restore(where, make_trainable(spec), resume_errored=True)
    restored = tuner._local_tuner  # whose parts, which Ray pickled, know where the search was
    restored._run_config.callbacks = _make_callbacks(started, directory, stage)
    settings = restored._tune_config
    settings.scheduler = scheduler = _make_scheduler(started, directory, stage)
    samples = started.samples if stage == "search" else settings.num_samples
    settings.search_alg = continuing(settings.search_alg, split(where)[0], samples)
    if stage == "search" and _is_longer(started, directory):
        rows = directory.rows()
        scheduler.over = frozenset(row.trial for row in rows if row.status == "STOPPED")
        restored._resume_config.finished = tune.ResumeConfig.ResumeType.RESUME
    if is_changed:
        directory.write_definition(started.to_yaml())
    return tuner


def check_same(started: Search, search: Search) -> bool:
    """Refuse to resume a search as another one; return whether something that may differ does.

    Raises:
        BadInput: The definitions differ; the message is a diff.
    """
    changes = {
        path: pair
        for path, pair in difference(started, search).items()
        if not path.startswith(_MAY_CHANGE)
    }
    grows = [path for path in changes if _grows(path, started, search)]
    if len(grows) < len(changes):
        others = {path: pair for path, pair in changes.items() if path not in grows}
        raise BadInput(
            f"the search was started with another definition:\n{as_diff(others)}\n"
            "leave these out to resume it, or start another one with --name; search.trials, "
            "training.epochs, search.finals.best and search.finals.seeds may become more"
        )
    return search != started


def _grows(path: str, started: Search, search: Search) -> bool:
    before, now = (
        {
            "search.trials": one.total,
            "search.finals.best": one.finals.best,
            "search.finals.seeds": one.finals.seeds,
            "training.epochs": one.epochs,
        }
        for one in (started, search)
    )
    if path == "search.trials" and search.scheduler.changes_values:
        return False  # nobody can join a population later
    return path in before and now[path] >= before[path]


def _is_longer(search: Search, directory: SearchDir) -> bool:
    """Whether a search that was over has been given more epochs."""
    done = (directory.summary() or {}).get("epochs")
    return done is not None and done < search.epochs


def _lacks_finals(search: Search, directory: SearchDir) -> bool:
    """Whether finals are missing, or have fewer epochs, because the search has grown."""
    rows = directory.rows()
    done = {row.trial: row.epoch for row in rows if row.stage == "final" and row.is_over}
    if any(row.stage == "final" and not row.is_over for row in rows):
        return False  # Tune knows what is left of them
    names = [one["trial"] for one in finals_of(search, list(rows))]
    return any(name not in done for name in names) or _is_longer(search, directory)


def finals_of(search: Search, rows: list[TrialRow]) -> list[dict[str, Any]]:
    """Return what stage two trains: name, values and seed of each run.

    Raises:
        BadInput: No trial of stage one has a value to be chosen by.
    """
    best = best_trials(rows, search.finals.best, search.mode)
    if not best:
        raise BadInput(
            f"no trial of stage one has a value of {search.metric}, so there is none to run again; "
            "their reasons stand in trials.json"
        )
    return [
        {
            "trial": f"{row.trial}-s{row.seed + fresh}",
            "values": {path: value for path, value in row.values.items() if path != "seed"},
            "seed": row.seed + fresh,
        }
        for row in best
        for fresh in range(1, search.finals.seeds + 1)
    ]


def _make_callbacks(search: Search, directory: SearchDir, stage: Stage) -> list[Any]:
    from ssgan.tuning.retention import KeepBest
    from ssgan.tuning.table import TrialTable

    callbacks: list[Any] = [TrialTable(directory.location, stage)]
    if stage == "search" and search.keep == "best":
        callbacks.append(KeepBest(directory.locate(FOLDERS[stage])))
    return callbacks


def _make_scheduler(search: Search, directory: SearchDir, stage: Stage) -> Any:
    scheduler = search.scheduler if stage == "search" else NoScheduler()  # finals are never stopped
    return scheduler.build(search, directory.locate(FOLDERS[stage]))


def _connect_for_good() -> Cluster:
    """Connect to Ray until the process ends."""
    stack = contextlib.ExitStack()
    cluster = stack.enter_context(connect())
    atexit.register(stack.close)
    return cluster


def _quieten() -> None:
    """Keep Tune's tables off the screen, and from writing and reading what nobody needs.

    It would hand AWS's keys on in runtime environments, which Ray logs; see `make_trainable`.
    """
    from ray.tune.execution.class_cache import ENV_VARS_TO_PROPAGATE

    ENV_VARS_TO_PROPAGATE.difference_update(object_store_environment())
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    _spare_dataframes()


def _spare_dataframes() -> None:
    """Keep Tune from looking in storage for the log of each trial of ours: there is none.

    It would do so when a stage begins again and when it ends, one trial after the other.
    """
    from ray.tune import ExperimentAnalysis

    fetch = ExperimentAnalysis._fetch_trial_dataframes
    if hasattr(fetch, "spares"):
        return

    def fetch_others(analysis: ExperimentAnalysis) -> dict[str, Any]:
        *_, folder, stage = analysis.experiment_path.rstrip("/").split("/")
        return {} if folder == _RAY and stage in FOLDERS else dict(fetch(analysis))

    fetch_others.spares = True  # type: ignore[attr-defined]
    ExperimentAnalysis._fetch_trial_dataframes = fetch_others  # type: ignore


def _prepare_spec(
    search: Search,
    directory: SearchDir,
    stage: Stage,
    cluster: Cluster,
    store: Store,
    tracking_uri: str | None,
) -> TrialSpec:
    """Prepare the judges, share the images, and return what trials are told of it."""
    plan = plan_trials(search, cluster)
    place = share_store(store, directory, cluster.capacity)
    # That of stage two is trained early, lest everybody wait for it between the stages.
    later: list[Stage] = ["final"] if stage == "search" and search.finals.best else []
    is_judged = prepare_judges(search, [stage, *later], directory, store, plan, cluster, place)
    return TrialSpec(
        search=directory.location,
        stage=stage,
        store=place,
        tracking_uri=tracking_uri,
        plan=plan,
        driver=cluster.drivers.resources,
        is_judged=is_judged,
        commit=source_commit(),
    )


def _open(location: str | Path | SearchDir) -> SearchDir:
    return location if isinstance(location, SearchDir) else SearchDir.open(location)


class TrialNames:
    """Names a trial of Ray Tune, whose own ids are random.

    The number stands in front of the tag that Tune gives each trial, and Tune keeps its count over
    restarts. It counts from `first`: 1 for searchers that suggest, else 0.
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
