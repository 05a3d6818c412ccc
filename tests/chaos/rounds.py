"""A round: processes that write one directory and are ended, second writers, moves, the end."""

import contextlib
import io
import signal
import socket
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from ssgan.base.lease import is_part_of_lease
from ssgan.cli import main
from tests.chaos.places import Place
from tests.chaos.plans import Life, Moment, Plan, Then
from tests.chaos.programs import Broken, Program, is_alive, wait_until
from tests.chaos.reference import Reference
from tests.helpers.tracking import DEAD

_IMPORTS = 4.0  # seconds, about, until a process begins to look at its directory


class Round(ABC):
    """One directory, and what is done to it."""

    name: str
    """What the directory is called at first."""
    identity: str
    """The file by which it is known that there is one."""
    changes_alone: bool
    """Whether nothing is written while the process that holds it stands still."""

    def __init__(self, plan: Plan, place: Place, reference: Reference) -> None:
        self.plan, self.place, self.reference = plan, place, reference
        self.path = f"runs/{self.name}"
        self.events: list[str] = []
        """What happened, in words."""
        self.moments: list[str] = []
        """In the midst of what processes were ended."""
        self.counts: Counter[str] = Counter()
        """How often what was done."""
        self._left: dict[str, dict[str, str]] = {}  # what copies were made of, as it was then
        self._gone: list[str] = []  # from where something was moved
        self._programs: list[Program] = []
        self._more = {"MLFLOW_TRACKING_URI": DEAD} if plan.tracking == "dead" else {}
        if plan.tracking == "made":
            reference.copy_store(place.root / "runs")

    @abstractmethod
    def start_arguments(self) -> Sequence[str]:
        """Return what makes the directory."""

    @abstractmethod
    def resume_arguments(self) -> Sequence[str]:
        """Return what resumes it."""

    @abstractmethod
    def describe_moment(self, files: Sequence[str]) -> str:
        """Say in the midst of what the directory was left, by the names of its files."""

    @abstractmethod
    def check_end(self) -> Iterator[str]:
        """Say what is wrong in the end."""

    def perform(self) -> list[str]:
        """Do what is planned, and return what is wrong in the end.

        Raises:
            Broken: A process did what it must not.
        """
        try:
            for life in self.plan.lives:
                self._live(life)
                self._relocate(life.then)
            last = self._start()
            self._note(f"{last} is left alone")
            if (status := last.wait()) != 0:
                raise Broken(f"{last} ended with {status}:\n{last.said[-3000:]}")
            return [*self.check_end(), *self._check_places()]
        finally:
            for program in self._programs:
                program.kill()

    def sync(self) -> Path:
        """Let MLflow catch up, and return its file."""
        location = self.place.locate(self.path)
        # Of directories in a bucket it is beside the programs.
        folder = self.path.split("/")[0] if self.plan.where == "folder" else "runs"
        if self.plan.tracking == "dead":
            folder = "late"
            self.reference.copy_store(self.place.root / folder)
        store = self.place.root / folder / "mlflow.db"
        arguments = ["track", "sync", location, "--json"]
        if self.plan.where == "s3" or self.plan.tracking == "dead":
            arguments += ["--uri", f"sqlite:///{store}"]
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                main(arguments)
        except SystemExit as left:
            if left.code:
                raise Broken(f"ssgan {' '.join(arguments)}: {said.getvalue()}") from None
        return store

    def _live(self, life: Life) -> None:
        before = self.place.count_writes(self.path)
        share = life.moment.share * (1 - self._done())
        started = [self._start()]
        if life.rival == "at the same time":
            time.sleep(life.behind)
            started.append(self._start())
        if life.moment.by == "imports":
            time.sleep(max(0.0, started[0].began + life.moment.share * _IMPORTS - time.monotonic()))
            self._end(started[0], life)
        elif (holder := self._find_holder(started)) is not None:
            if life.rival == "while it stands still":
                self._refuse_another(holder)
            self._wait_for(life.moment, share, before, holder)
            self._end(holder, life)
        for program in started:
            self._judge(program, life, program.wait(), has_rival=len(started) == 2)
        names = [name for name in self.place.files(self.path) if not is_part_of_lease(name)]
        there = self.identity in names
        self.moments.append(self.describe_moment(names) if there else "before it was made")
        self._note(f"that was {self.moments[-1]}")

    def _start(self) -> Program:
        is_made = self.place.exists(f"{self.path}/{self.identity}")
        arguments = self.resume_arguments() if is_made else self.start_arguments()
        log = self.place.root / f"said-{len(self._programs)}.txt"
        program = Program([*arguments], self.place.root, log, **self._more)
        self._programs.append(program)
        return program

    def _done(self) -> float:
        """Return which share of what is to be written there is, about."""
        files = [name for name in self.place.files(self.path) if "record/" in name]
        records = sum(name.endswith(".json") for name in files)
        return records / (self.reference.records + 1)

    def _find_holder(self, started: Sequence[Program]) -> Program | None:
        """Wait until a process holds the directory; None where all end before that is seen."""
        found: list[Program] = []

        def looks() -> bool:
            holders = self.place.holders(self.path)
            found.extend(one for one in started if one.pid in holders)
            return bool(found) or all(one.is_over for one in started)

        wait_until(looks, f"no process came to hold {self.path}", self.place.poll)
        return found[0] if found else None

    def _refuse_another(self, holder: Program) -> None:
        """Start a second process while the first one stands still; it must change nothing."""
        if not holder.stop():
            return
        before = self._settle() if self.changes_alone else {}
        second = self._start()
        status = second.wait()
        after = self.place.files(self.path) if self.changes_alone else {}
        names = f"being written by process {holder.pid} on host {socket.gethostname()}"
        if status != 2 or names not in second.said_in_a_line:
            raise Broken(f"{second} ended with {status} beside {holder}:\n{second.said[-3000:]}")
        if before != after:
            changed = sorted({name for name, _ in before.items() ^ after.items()})
            raise Broken(f"{second} was refused, and changed {changed}")
        self._note(f"{second} was refused")
        self.counts["second writers refused"] += 1
        holder.signal(signal.SIGCONT)

    def _settle(self) -> dict[str, str]:
        """Return the files once storage has served all that was asked of it."""
        before, now = None, self.place.files(self.path)
        while before != now:
            time.sleep(0.1 + 10 * self.plan.delay)
            before, now = now, self.place.files(self.path)
        return now

    def _wait_for(self, moment: Moment, share: float, before: int, holder: Program) -> None:
        """Wait for a share of what a run takes, or of its writes; or for the program's end."""
        began, writes = time.monotonic(), self.reference.count_writes(self.plan.where)

        def comes() -> bool:
            if moment.by == "time":
                return holder.is_over or time.monotonic() - began > share * self.reference.seconds
            written = self.place.count_writes(self.path) - before
            return holder.is_over or written > share * writes

        wait_until(comes, f"{holder} does not end", self.place.poll)

    def _end(self, program: Program, life: Life) -> None:
        if program.is_over:
            self._note(f"{program} was over before it was ended")
            return
        self._note(f"{program} gets {life.end} ({life.moment.by}, {life.moment.share:.2f})")
        self.counts[life.end] += 1
        if life.end == "mv" and self.place.exists(f"{self.path}/{self.identity}"):
            self._relocate("move")
            program.wait()
            return
        children = program.workers()
        program.signal(signal.SIGTERM if life.end == "SIGTERM" else signal.SIGKILL)
        program.wait()
        wait_until(
            lambda: not any(map(is_alive, children)),
            f"processes outlive {program}: {children}",
        )

    def _judge(self, program: Program, life: Life, status: int, *, has_rival: bool) -> None:
        """Raise `Broken` unless a process ended as it may."""
        said = program.said_in_a_line
        self._note(f"{program} ended with {status}")
        if status in (0, -signal.SIGTERM if life.end == "SIGTERM" else -signal.SIGKILL):
            return
        # Where the first one was killed by then, the second one is told to resume what it left.
        refused = ("is being written by process", "taken", "is already at")
        if status == 2 and has_rival and any(words in said for words in refused):
            self.counts["second writers refused"] += 1
            return
        if status == 1 and life.end == "mv" and "was moved or removed while" in said:
            return
        # While Ray connects, its native handler takes a SIGTERM, and aborts.
        if status == -signal.SIGABRT and life.end == "SIGTERM" and "SIGTERM received at" in said:
            return
        if status != 1 or life.end != "SIGTERM":
            raise Broken(f"{program} ended with {status}:\n{program.said[-3000:]}")
        if "--resume" not in said and "interrupted" not in said:
            raise Broken(f"{program} does not say how to resume:\n{program.said[-3000:]}")
        if not has_rival and any(map(is_part_of_lease, self.place.files(self.path))):
            raise Broken(f"{program} has left its lease")

    def _relocate(self, then: Then) -> None:
        old = self.path
        if then == "stay" or not self.place.exists(f"{old}/{self.identity}"):
            return  # or it has no name of its own yet, which the next process would give another
        number = len(self._gone) + len(self._left) + 1
        out, name = old.split("/")
        is_beside = then in ("move", "copy")
        self.path = f"{out}/{self.name}-{number}" if is_beside else f"runs-{number}/{name}"
        pair = (out, f"runs-{number}") if then.endswith("all") else (old, self.path)
        if then.startswith("copy"):
            self._left[old] = self._files_of(old)
            self.place.copy(*pair)
        else:
            self._gone.append(old)
            self.place.move(*pair)
        if then == "move all":
            self._left = {
                path.replace(f"{out}/", f"{pair[1]}/", 1)
                if path.startswith(f"{out}/")
                else path: had
                for path, had in self._left.items()
            }
        self._note(f"{then}: {pair[0]} -> {pair[1]}")
        self.counts["copied" if then.startswith("copy") else "moved"] += 1

    def _check_places(self) -> Iterator[str]:
        yield from (f"{one} was left over" for one in self.place.leftovers(self.path))
        for path, before in self._left.items():
            if self._files_of(path) != before:
                yield f"{path}, of which a copy was made, was changed afterwards"
        for path in self._gone:
            if self.place.files(path):
                yield f"{path} is there again after it was moved"

    def _files_of(self, path: str) -> dict[str, str]:
        files = self.place.files(path)
        return {name: digest for name, digest in files.items() if not is_part_of_lease(name)}

    def _note(self, event: str) -> None:
        self.events.append(event.replace(f"{self.place.root}/", ""))
