"""Plays rounds, and keeps what came of them in a file, so that fifty can be played in parts."""

import dataclasses
import json
import os
import shutil
import subprocess
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ssgan.launch.machine import describe_commit
from tests.chaos import reference
from tests.chaos.places import BucketPlace, FolderPlace, Place
from tests.chaos.plans import Plan
from tests.chaos.programs import Broken
from tests.chaos.reference import Reference
from tests.chaos.rounds import Round
from tests.chaos.trainings import Training
from tests.helpers.buckets import running_bucket


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of a round."""

    seed: int
    where: str
    kind: str
    tracking: str
    commit: str | None
    seconds: float
    counts: dict[str, int]
    moments: list[str]
    events: list[str]
    problems: list[str]
    """None of them if all is well."""

    @property
    def command(self) -> str:
        """The command that repeats it."""
        return f"python -m tests.chaos --rounds 1 --seed {self.seed} --where {self.where}"

    def __str__(self) -> str:
        lines = [f"round {self.seed} ({self.kind}, {self.where}, {self.seconds:.0f} s)"]
        if self.problems:
            lines += [*self.events, "failed:", *self.problems, f"repeat it by: {self.command}"]
        return "\n  ".join(lines)


class Harness:
    """Plays rounds in a folder, each compared with one reference of its kind."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._references: dict[str, Reference] = {}

    def play(self, plan: Plan) -> Outcome:
        """Play a round; what it leaves is deleted if all is well."""
        self.find_reference(plan.kind)  # whose time is not the round's
        began = time.monotonic()
        root = Path(tempfile.mkdtemp(dir=self._folder, prefix=f"round-{plan.seed}-"))
        with place_of(plan, root / plan.where) as place:
            played = self._make(plan, place)
            try:
                problems = played.perform()
            except Broken as broken:
                problems = [str(broken)]
            except Exception:
                problems = [traceback.format_exc()]
        if not problems:
            shutil.rmtree(root)
        return Outcome(
            seed=plan.seed,
            where=plan.where,
            kind=plan.kind,
            tracking=plan.tracking,
            commit=describe_commit(),
            seconds=time.monotonic() - began,
            counts=dict(played.counts),
            moments=played.moments,
            events=played.events,
            problems=problems,
        )

    def _make(self, plan: Plan, place: Place) -> Round:
        made = self.find_reference(plan.kind)
        if plan.kind == "train":
            return Training(plan, place, made)
        from tests.chaos.searches import Hunt  # imports Ray

        return Hunt(plan, place, made)

    def find_reference(self, kind: str) -> Reference:
        """Return what rounds of a kind are compared with, which is made when it is needed."""
        if kind not in self._references:
            make = reference.make_reference
            if kind == "search":
                from tests.chaos.searches import make_reference as make
            self._references[kind] = make(self._folder / f"reference-{kind}")
        return self._references[kind]


class Ledger:
    """The outcomes of rounds, one JSON line each."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def read(self) -> dict[int, Outcome]:
        """Return by seed the rounds that ended well with the very package that is here.

        What has changed beside it since, as the checks of other rounds, does not matter to them.
        """
        here = _package(describe_commit())
        if here is None or not self._file.exists():
            return {}
        lines = self._file.read_text().splitlines()
        found = [Outcome(**json.loads(line)) for line in lines if line.endswith("}")]
        well = [one for one in found if not one.problems]
        same = {commit: _package(commit) == here for commit in {one.commit for one in well}}
        return {one.seed: one for one in well if same[one.commit]}

    def append(self, outcome: Outcome) -> None:
        """Add an outcome."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a") as file:
            file.write(f"{json.dumps(dataclasses.asdict(outcome))}\n")


def _package(commit: str | None) -> str | None:
    """Return the hash of the package at a commit; None of a checkout that was changed."""
    if commit is None or commit.endswith("+"):
        return None
    command = ["git", "-C", str(Path(__file__).parents[2]), "rev-parse", f"{commit}:ssgan"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.strip() if found.returncode == 0 else None


@contextmanager
def place_of(plan: Plan, root: Path) -> Iterator[Place]:
    """Make the place of a round."""
    if plan.where == "folder":
        yield FolderPlace(root)
        return
    with running_bucket() as bucket:
        bucket.delay, bucket.refuse_every = plan.delay, plan.refuse_every
        yield BucketPlace(root, bucket)


def isolate(folder: Path) -> None:
    """Keep the user's own cache, runs and cluster out of it."""
    for name in ("MLFLOW_TRACKING_URI", "SSGAN_OUT", "RAY_ADDRESS"):
        os.environ.pop(name, None)
    os.environ["SSGAN_CACHE"] = str(folder / "cache")
