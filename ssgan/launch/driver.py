"""`train`: check, prepare, train, export, record."""

import contextlib
import logging
import time
from functools import partial
from pathlib import Path

import torch

from ssgan.base.errors import BadInput, LeaseLost, NonFiniteLoss
from ssgan.base.lease import is_claimed
from ssgan.base.progress import PreparationProgress
from ssgan.base.storage import join, split
from ssgan.base.threads import cores, use_threads
from ssgan.cluster.capacity import Node, preflight
from ssgan.cluster.connection import Cluster, address_in_environment, connect, is_connected
from ssgan.cluster.nodes import require_shared
from ssgan.experiment.fields import check_resume
from ssgan.experiment.tree import Experiment
from ssgan.launch.location import move_aside
from ssgan.launch.machine import record_environment, source_commit
from ssgan.launch.outcome import Result, finish, write_summary
from ssgan.launch.preparation import (
    ComputePlan,
    check_execution,
    check_memory,
    find_judge,
    find_store,
    fit_to_work,
    load_dataset,
    make_plan,
    plan_here,
    save_data,
)
from ssgan.launch.resumption import find_start
from ssgan.launch.signals import stop_on_sigterm
from ssgan.launch.workers import run_under_ray
from ssgan.records.rundir import RunDir
from ssgan.records.searchdir import hold_record
from ssgan.tracking.live_sync import RunSync
from ssgan.tracking.registry import register
from ssgan.tracking.store import (
    Deleted,
    Unreachable,
    check,
    default_uri,
    store_of,
    sync_command,
)
from ssgan.training import loop
from ssgan.training.loop import Stopped, Watch
from ssgan.training.session import InProcess

_log = logging.getLogger(__name__)


def train(
    experiment: Experiment,
    out: str | Path = "runs",
    name: str | None = None,
    *,
    resume: str | Path | None = None,
    replace: bool = False,
    watch: Watch | None = None,
    progress: PreparationProgress | None = None,
) -> Result:
    """Train a generator, score it, record it and export it.

    One worker runs in this process; several, or an elastic number, run under Ray Train on the
    cluster at ``RAY_ADDRESS`` or on a Ray that is started here. Both leave the same run
    directory and, at one worker and equal threads, the same weights, bit for bit.

    The run is `name`, by default the experiment's, in the folder or URI `out`; or it is the run
    directory `resume`, of which only the extent, evaluation and tracking may differ from what it
    was started with. With `replace`, what has the name is moved aside once all else is checked. One
    process at a time writes a run directory (`ssgan.base.lease`). The watch shows progress and may
    stop the run.

    Raises:
        BadInput: Something cannot work; nothing was started.
        Stopped: The watch or a SIGTERM stopped the run, which wrote a checkpoint.
        NonFiniteLoss: A term of the objective became NaN or infinite.
        LeaseLost: This process stood still for minutes, and another one writes the run now; or
            the run was moved or removed.
    """
    started = time.monotonic()
    watch = watch or Watch()
    check_memory(experiment)
    run = _place(experiment, out, name, resume, replace)
    with contextlib.ExitStack() as stack:
        lease = stack.enter_context(hold_record(run))
        if resume is None and not replace:
            run.refuse_taken(experiment.to_yaml())
        before = None if resume is None else run.read_definition(Experiment)
        uri = _tracking_uri(experiment, run, before)
        plan, cluster = _plan(experiment, stack)
        check_execution(experiment, plan)
        if cluster is not None:
            require_shared(cluster, split(run.location)[0])
        store = find_store(experiment, progress)
        check_memory(experiment, store.manifest.shape)
        plan = fit_to_work(plan, experiment, store.manifest.shape)
        dataset = load_dataset(experiment, None if resume is None else run, store, progress)
        start = None if resume is None else find_start(run, experiment, dataset)
        if resume is None:
            if replace and lease.move(partial(move_aside, run.location)):
                lease = stack.enter_context(hold_record(run))
            RunDir.create(run.location, experiment.to_yaml(), name or experiment.name)
        run.write_definition(experiment.to_yaml())
        save_data(run, dataset)
        environment = record_environment(run, experiment, plan, source_commit())
        with use_threads(plan.threads):
            judge = find_judge(experiment, dataset, plan, progress)
        conclude = partial(write_summary, run, experiment, uri, environment, started)
        follower = RunSync(run, uri).start()
        raised = stack.enter_context(stop_on_sigterm())
        asked = watch.stop

        def stops() -> bool:
            if cluster is None:  # else workers are to be asked, by a file
                lease.check()
            return lease.is_lost or raised() or asked()

        watch = Watch(watch.progress, stop=stops)
        try:
            if cluster is not None:
                files = None if judge is None else judge.files()
                run_under_ray(experiment, store.location, files, run, plan, watch)
            else:
                session = InProcess(start)
                with use_threads(plan.threads):
                    loop.run(experiment, dataset, judge, run, session, plan.device_here, watch)
            summary = conclude(export_location=finish(run, experiment, dataset, plan))
        except (Stopped, LeaseLost) as stopped:
            if lease.is_lost:
                follower.close("RUNNING")  # as another process has it
                lease.check()
            conclude(stop_reason=str(stopped))
            follower.close("KILLED")
            raise Stopped(f"{stopped}; resume it with --resume {run.location}") from None
        except NonFiniteLoss as error:
            conclude(stop_reason=str(error))
            follower.close("FAILED")
            raise
        except BaseException:
            follower.close("RUNNING" if lease.is_lost else "FAILED")
            lease.check()  # which explains what happened
            raise
    follower.close()
    _register(run, experiment, uri)
    return Result(run.location, summary, follower.view)


def _place(
    experiment: Experiment,
    out: str | Path,
    name: str | None,
    resume: str | Path | None,
    replace: bool,
) -> RunDir:
    if resume is not None:
        run = RunDir.open(resume)
        try:
            check_resume(run.read_definition(Experiment), experiment)
        except BadInput as error:
            hint = f"`ssgan train --resume {run.location}` resumes it with the run's own values"
            raise BadInput(f"{error}\n{hint}") from None
        return run
    run = RunDir(join(out, name or experiment.name))
    if not replace and not is_claimed(run):
        run.refuse_taken(experiment.to_yaml())
    return run


def _plan(
    experiment: Experiment, stack: contextlib.ExitStack
) -> tuple[ComputePlan, Cluster | None]:
    scaling = experiment.scaling
    least = scaling.counts()[0]
    if scaling.workers == 1:
        return plan_here(scaling), None
    if address_in_environment() is None and not is_connected():
        # Ray takes ten seconds to start here; what cannot fit is known before.
        plan = plan_here(scaling)
        here = Node(float(cores()), float(torch.cuda.device_count()))
        preflight(least, plan.cpus, plan.gpus, [here])
    cluster = stack.enter_context(connect())
    has = [sum(values) for values in zip(*cluster.capacity, strict=True)]
    plan = make_plan(scaling, has[0], has[1], shared=not cluster.started)
    preflight(least, plan.cpus, plan.gpus, cluster.nodes, cluster.growth)
    return plan, cluster


def _tracking_uri(experiment: Experiment, run: RunDir, before: Experiment | None) -> str:
    """Return where MLflow records; training does not wait for a store that is of no use now.

    Of a run that is resumed, `before` is what it was.
    """
    out, tracking = split(run.location)[0], experiment.tracking
    uri = tracking.uri or default_uri(out)
    if before is not None and before.tracking.uri == tracking.uri:
        uri = store_of(tracking.uri, out)
    try:
        check(uri, tracking.experiment or experiment.name)
    except (Unreachable, Deleted) as error:
        _log.warning(
            "%s. The run is recorded in %s meanwhile; `%s` catches up",
            *(error, run.location, sync_command(run.location, uri)),
        )
    return uri


def _register(run: RunDir, experiment: Experiment, uri: str) -> None:
    model = experiment.tracking.register_as
    if model is None:
        return
    try:
        with run.local_copy("export") as folder:
            _log.info("registered as %s, version %s", *register(uri, folder, model, run))
    except Exception as error:  # the run is whole, whatever MLflow says
        _log.warning("the export could not be registered as %s: %s", model, error)
