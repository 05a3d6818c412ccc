"""`reproduce`: train the grid of one of the paper's experiments, then write its report."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch

from ssgan.base.errors import BadInput
from ssgan.base.progress import PreparationProgress
from ssgan.base.storage import join
from ssgan.evaluation.grids import Real
from ssgan.launch.machine import describe_commit, describe_machine
from ssgan.launch.preparation import load_dataset, load_run_data
from ssgan.paper.pages import files_of
from ssgan.paper.plans import Plan, Size
from ssgan.paper.report import Facts, make_report
from ssgan.paper.runs import Group, read_groups
from ssgan.records.search_judges import read_judge_card
from ssgan.records.searchdir import SearchDir, hold_record
from ssgan.tuning import Search
from ssgan.tuning.program import run_search

_FOLDER = "paper"  # of the search directory, for the report
_FACTS = f"{_FOLDER}/facts.json"
_SHOWN = 2_000  # real images among which those that stand next to synthetic ones are found

_log = logging.getLogger(__name__)


def reproduce(
    plan: Plan,
    search: Search,
    size: Size,
    out: str,
    name: str,
    command: str,
    *,
    progress: PreparationProgress | None = None,
    opened: Callable[[SearchDir], None] = lambda directory: None,
) -> dict[str, Any]:
    """Run what is not run yet of a search (`Plan.search`), and write the report.

    The search is a folder `name` in `out`; one that was begun is resumed. The report cites
    `command`, which asked for it. `opened` is given the search directory as soon as there is one.

    Returns:
        The search's summary, with ``report``: the names of the report's files.

    Raises:
        BadInput: Something cannot work; no run was started.
        Stopped: Ctrl-C; the same call resumes.
    """
    directory = SearchDir(join(out, name))
    begun = directory.exists(directory.identity_file)

    def prepared(directory: SearchDir) -> None:
        _write_facts(search, size, directory, command)
        opened(directory)

    result = run_search(search, out, name, resume=begun, progress=progress, opened=prepared)
    return {**result.summary, "report": write_report(plan, result.directory)}


def write_report(plan: Plan, directory: SearchDir, others: Sequence[SearchDir] = ()) -> list[str]:
    """Write the report of finished runs. Nothing is trained; equal runs give equal pages.

    Real images stand next to synthetic ones where the data is at hand; faces only in the HTML page,
    since the Markdown page and its pictures are there to be published. Other searches have further
    seeds or label budgets; the report goes to the first. Returns the locations of its files.

    Raises:
        BadInput: No run of a search is finished, or the searches do not belong together, or
            another process writes the first one.
    """
    with hold_record(directory):
        return _write_report(plan, directory, others)


def _write_report(plan: Plan, directory: SearchDir, others: Sequence[SearchDir]) -> list[str]:
    searches = (directory, *others)
    groups = read_groups(*searches)
    facts = [Facts.model_validate(one.read_json(_FACTS)) for one in searches]
    judges = [read_judge_card(one, "search") for one in searches]
    for other, judge in zip(searches, judges, strict=True):
        if (judge and judge.hash) != (judges[0] and judges[0].hash):
            raise BadInput(
                f"the runs of {other.location} were measured by another C than those of "
                f"{directory.location}, so their losses cannot be compared"
            )
    real = _real_images(groups)
    report = make_report(plan, groups, facts, judges[0], real)
    shared = report
    if plan.name == "celeba" and real:
        shared = make_report(plan, groups, facts, judges[0])
    files = files_of(report, f"paper-{plan.name}", shared)
    for file, content in files.items():
        directory.write_bytes(f"{_FOLDER}/{file}", content)
    return [directory.locate(f"{_FOLDER}/{file}") for file in files]


def _write_facts(search: Search, size: Size, directory: SearchDir, command: str) -> None:
    """Keep what the run directories do not say, once, so that a report can be had at any time."""
    if directory.exists(_FACTS):
        return
    dataset = load_dataset(search.experiment(search.corner))
    facts = Facts(
        size=size,
        command=command,
        data=dataset.manifest.name,
        train_images=len(dataset.train),
        judge_images=0 if dataset.test is None else len(dataset.test),
        provenance=dataset.manifest.provenance,
        machine=describe_machine(),
        commit=describe_commit(),
    )
    directory.write_json(_FACTS, facts.model_dump(mode="json"))


def _real_images(groups: tuple[Group, ...]) -> Real | None:
    """Return real images with their labels; None where the data is not at hand."""
    try:
        _, _, dataset = load_run_data(groups[-1].runs[0].run.location)
    except BadInput as error:
        _log.warning("the report shows no real images, because the data is not at hand: %s", error)
        return None
    labels = dataset.y_known[:_SHOWN]
    return Real(dataset.train.take(torch.arange(len(labels))), labels)
