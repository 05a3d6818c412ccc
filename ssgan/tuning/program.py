"""`run_search`: both stages of a search, from its definition to a registered generator.

Stage one chooses among all configurations with common seeds; stage two runs the best again with
fresh seeds and another judge, and decides by their mean. What is registered is the winner's run
with the median value: a typical one, not the luckiest.
"""

import contextlib
import logging
import signal
import time
from _thread import interrupt_main
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ssgan.base.lease import is_claimed
from ssgan.base.progress import PreparationProgress
from ssgan.base.storage import join
from ssgan.cluster.connection import connect
from ssgan.experiment.loading import as_file
from ssgan.launch.location import move_aside
from ssgan.launch.outcome import renew_card
from ssgan.launch.signals import handling, interrupt
from ssgan.records.data_info import read_budget
from ssgan.records.search_judges import read_judge_card
from ssgan.records.searchdir import BEST, SearchDir, Stage, TrialRow, hold_record
from ssgan.tracking.live_sync import SearchSync
from ssgan.tracking.registry import register_champion
from ssgan.tracking.store import Busy, check, default_uri, store_of
from ssgan.training.loop import Stopped
from ssgan.tuning.judges import check_judge
from ssgan.tuning.preparation import prepare_data
from ssgan.tuning.search import Search
from ssgan.tuning.summary import SeedTable, summarize
from ssgan.tuning.tuner import build_tuner, restore_tuner

_SAMPLES = "samples_ema.png"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SearchResult:
    """What a search left."""

    directory: SearchDir
    summary: dict[str, Any]
    """Content of its summary.json."""
    view: str | None = None
    """Path of its experiment in MLflow, behind the address of a server; None where MLflow did not
    answer."""


def run_search(
    search: Search,
    out: str = "runs",
    name: str | None = None,
    *,
    resume: bool = False,
    replace: bool = False,
    progress: PreparationProgress | None = None,
    opened: Callable[[SearchDir], None] = lambda directory: None,
) -> SearchResult:
    """Run a search to its end: both stages, the report, the registered model.

    Args:
        search: What to search; of a search that is resumed it must be the same.
        out: Folder of the searches, or its URI; on several machines one that all of them reach.
        name: Name of the search in there; the definition's by default.
        resume: Resume the search of that name.
        replace: Move aside what has that name, once all that needs no Ray is checked.
        progress: Is told of the preparation's progress.
        opened: Is given the search directory as soon as there is one.

    Returns:
        The summary counts the trials that failed; why they did is in the table.

    Raises:
        BadInput: Something cannot work; no trial was started.
        Stopped: Ctrl-C or SIGTERM; it can be resumed.
        LeaseLost: This process stood still for minutes, and another one writes the search now;
            or the search was moved or removed.
    """
    started = time.monotonic()
    location = join(out, name or search.name)
    directory = SearchDir.open(location) if resume else SearchDir(location)
    uri = search.base.tracking.uri or default_uri(out)
    if resume and directory.read_definition(Search).base.tracking.uri == search.base.tracking.uri:
        uri = store_of(search.base.tracking.uri, out)
    _check_store(uri, location)
    if not resume and not replace and not is_claimed(directory):
        directory.refuse_taken(search.to_yaml())
    with contextlib.ExitStack() as stack:
        lease = stack.enter_context(hold_record(directory))
        if not resume and not replace:
            directory.refuse_taken(search.to_yaml())
        # Ray takes ten seconds to start; bad input is found before.
        store = prepare_data(search, progress)
        if replace and lease.move(partial(move_aside, location)):
            lease = stack.enter_context(hold_record(directory))
        cluster = stack.enter_context(connect())
        # A job that is stopped, Slurm's time limit; Tune knows Ctrl-C only.
        stack.enter_context(handling(signal.SIGTERM, interrupt))
        tuner = (
            restore_tuner(location, search, cluster=cluster, tracking_uri=uri, progress=progress)
            if resume
            else build_tuner(search, location, cluster=cluster, tracking_uri=uri, store=store)
        )
        directory = SearchDir.open(location)
        opened(directory)
        follower = SearchSync(directory, uri).start()
        try:
            lease.on_loss = interrupt_main
            lease.check()
            _fit(tuner, directory, "search")
            is_scored = any(row.stage == "search" and row.is_scored for row in directory.rows())
            if search.finals.best and is_scored:
                tuner = restore_tuner(directory, stage="final", cluster=cluster, tracking_uri=uri)
                _fit(tuner, directory, "final")
            elif search.finals.best:
                _log.warning("no trial of stage one has a value, so there is no stage two")
            summary = _conclude(search, directory, uri, started)
        except BaseException:
            follower.close("RUNNING" if lease.is_lost else "KILLED")
            lease.check()
            raise
        follower.close()
    return SearchResult(directory, summary, follower.view)


def _check_store(uri: str, location: str) -> None:
    """Refuse a store of no use: a search that nobody can compare is not worth its cost.

    One that is locked now is written to later, or by `ssgan track sync`.
    """
    directory = SearchDir(location)
    is_there = directory.exists(directory.identity_file)
    try:
        check(uri, directory.info.name if is_there else directory.base_name)
    except Busy as error:
        _log.warning("%s. The search is recorded in %s meanwhile", error, location)


def _conclude(search: Search, directory: SearchDir, uri: str, started: float) -> dict[str, Any]:
    """Pick the winner, register it, and write summary.json."""
    rows = directory.rows()
    table = summarize(rows, search.metric, search.mode)
    winner = _typical_run(rows, table)
    summary: dict[str, Any] = {
        "name": directory.info.name,
        "search_id": directory.info.search_id,
        "search_dir": directory.location,
        "tracking_uri": uri,
        "metric": search.metric,
        "trials": len(rows),
        "stopped_early": sum(row.status == "STOPPED" for row in rows),
        "failed": sum(row.status == "FAILED" for row in rows),
        "images_in_all": sum(_images(search, row) for row in rows),
        "configurations": [
            {
                "trial": one.trials[0].partition("-")[0],
                "values": one.values,
                "mean": one.mean,
                "spread": one.spread,
                "n": one.n,
                "seeds": list(one.seeds),
                "failed": one.failed,
            }
            for one in table.configurations
        ],
        "best": None,
        "model": None,
        "model_version": None,
        "champion": False,
        "winner": None,
    }
    if winner is not None and table.best is not None:
        run = directory.run(winner)
        best = search.experiment(table.best.values, winner.seed)
        best = best.model_copy(update={"evaluation": search.base.evaluation})
        directory.write_bytes(BEST, as_file(best).encode())
        with contextlib.suppress(FileNotFoundError):
            directory.write_bytes(f"report/{_SAMPLES}", run.read_bytes(f"figures/{_SAMPLES}"))
        renew_card(run)  # with the spread over its seeds, which are all over
        for file in run.list("export"):
            directory.write_bytes(file, run.read_bytes(file))
        summary |= {**(run.summary() or {}), **summary}
        summary |= {"best": table.best.values, "winner": winner.run}
        if search.chooses:
            summary |= _register(search, directory, winner, uri)
    summary["seconds"] = round(time.monotonic() - started, 1)
    directory.write_summary(summary)
    return summary


def _register(search: Search, directory: SearchDir, winner: TrialRow, uri: str) -> dict[str, Any]:
    """Register the winner's export; return what summary.json says of it, nothing on a failure."""
    run = directory.run(winner)
    name = search.base.tracking.register_as or f"ssgan-{search.base.name}"
    assert winner.metric is not None
    budget, judge = read_budget(run), read_judge_card(directory, winner.stage)
    identity = {  # two versions must share it to be compared
        "data": budget.data_hash if budget else "none",
        "labels": budget.hash if budget else "none",
        "judge": judge.hash if judge else "none",
    }
    try:
        with run.local_copy("export") as folder:
            champion = register_champion(
                uri,
                folder,
                name,
                run,
                metric=(search.metric, winner.metric),
                identity=identity,
                mode=search.mode,
                experiment=directory.info.name,
            )
    except Exception as error:  # whatever MLflow says, nothing else is lost
        _log.warning("the winner could not be registered as %s: %s", name, error)
        return {}
    _log.info("registered as %s, version %d: %s", name, champion.version, champion.reason)
    return {
        "model": name,
        "model_version": champion.version,
        "champion": champion.is_champion,
        "champion_reason": champion.reason,
    }


def _images(search: Search, row: TrialRow) -> int:
    """Return how many images a trial saw, by its row: reading its records would take long."""
    extent = search.base.training
    batch = row.values.get("training.batch_size", extent.batch_size)
    steps = row.values.get("training.steps_per_epoch", extent.steps_per_epoch)
    return int(row.epoch * batch * steps)


def _typical_run(rows: Sequence[TrialRow], table: SeedTable) -> TrialRow | None:
    """Return the best configuration's run with the median value.

    Of an even number of runs it is the worse of the two in the middle: the better one of two would
    be the luckiest.
    """
    if table.best is None:
        return None
    runs = [
        row
        for row in rows
        if row.trial in table.best.trials and row.metric is not None and row.status == "FINISHED"
    ]
    runs.sort(key=lambda row: (row.metric or 0.0, row.trial), reverse=table.mode == "max")
    return runs[len(runs) // 2] if runs else None


def _fit(tuner: Any, directory: SearchDir, stage: Stage) -> None:
    """Run a stage to its end; raise `Stopped` if Tune returns before, as it does on Ctrl-C.

    Where there was no judge, that is what is raised (`check_judge`).
    """
    tuner.fit()
    check_judge(directory, stage)
    rows = [row for row in directory.rows() if row.stage == stage]
    going = sum(not row.is_over for row in rows)
    if going or not rows:
        raise Stopped(
            f"stopped with {going} trials on their way; "
            f"continue with --resume {directory.base_name}"
        )
