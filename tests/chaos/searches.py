"""A round of `ssgan search`: the driver is ended, its trials go on where they were."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from ssgan.experiment.loading import as_file
from ssgan.records.searchdir import SearchDir
from tests.chaos.checks import check_store, check_training
from tests.chaos.programs import Broken, Program
from tests.chaos.reference import Reference
from tests.chaos.rounds import Round
from tests.helpers.searches import small_definition

_FILE = "search.yaml"


class Hunt(Round):
    """One search of two trials and one final, and what is done to it."""

    name = "hunt"
    identity = "search.json"
    changes_alone = False  # trials are processes of their own

    def start_arguments(self) -> Sequence[str]:
        write_definition(self.place.root)
        out, name = self.path.split("/")
        return ["search", "--search", _FILE, "--out", self.place.locate(out), "--name", name]

    def resume_arguments(self) -> Sequence[str]:
        out, name = self.path.split("/")
        return ["search", "--resume", name, "--out", self.place.locate(out)]

    def describe_moment(self, files: Sequence[str]) -> str:
        if "summary.json" in files:
            return "after the end"
        if any(name.startswith("finals/") for name in files):
            return "in stage two of a search"
        records = [name for name in files if "/record/" in name]
        return "in stage one of a search" if records else "before the first epoch of a search"

    def check_end(self) -> Iterator[str]:
        ours = SearchDir.open(self.place.locate(self.path))
        theirs = SearchDir(self.reference.location)
        if (rows := _told(ours)) != _told(theirs):
            yield f"the table differs: {rows}"
            return
        summary, expected = ours.summary() or {}, theirs.summary() or {}
        for name in ("trials", "failed", "best", "winner", "configurations", "epochs"):
            if summary.get(name) != expected.get(name):
                yield f"the summary's {name} is {summary.get(name)!r}, not {expected.get(name)!r}"
        store = self.sync()
        for row in ours.rows():
            run = ours.run(row)
            problems = [*check_training(run, theirs.run(row)), *check_store(store, run)]
            yield from (f"{row.run}: {problem}" for problem in problems)


def make_reference(folder: Path) -> Reference:
    """Search undisturbed, in a process of its own."""
    folder.mkdir(parents=True)
    write_definition(folder)
    began = time.monotonic()
    arguments = ["search", "--search", _FILE, "--out", "runs", "--name", Hunt.name]
    program = Program(arguments, folder, folder / "said.txt")
    if (status := program.wait()) != 0:
        raise Broken(f"{program} ended with {status}:\n{program.said[-3000:]}")
    directory = SearchDir.open(folder / "runs" / Hunt.name)
    names = tuple(name for name in directory.list("") if not name.startswith("ray/"))
    records = sum("/record/" in name and name.endswith(".json") for name in names)
    return Reference(directory.location, time.monotonic() - began, names, records)


def write_definition(folder: Path) -> None:
    """Write the file of the search, beside its base."""
    finals = {"best": 1, "seeds": 1}
    space = {"objective.lambda1": {"kind": "grid", "values": [0.1, 1.0]}}
    definition = small_definition(space, "training.epochs=3", finals=finals)
    (folder / "small.yaml").write_text(as_file(definition["base"]))
    (folder / _FILE).write_text(yaml.safe_dump({**definition, "base": str(folder / "small.yaml")}))


def _told(directory: SearchDir) -> list[tuple[object, ...]]:
    return [
        (row.run, row.values, row.seed, row.status, row.reason, row.epoch, row.metric, row.curve)
        for row in directory.rows()
    ]
