"""A round of `ssgan train`."""

from collections.abc import Iterator, Sequence

from ssgan.records.rundir import RunDir
from tests.chaos.checks import check_run, check_store
from tests.chaos.reference import ARGUMENTS, UPDATES
from tests.chaos.rounds import Round


class Training(Round):
    """One run directory, and what is done to it."""

    name = "run"
    identity = "run.json"
    changes_alone = True

    def start_arguments(self) -> Sequence[str]:
        out, name = self.path.split("/")
        return ["train", *ARGUMENTS, "--out", self.place.locate(out), "--name", name]

    def resume_arguments(self) -> Sequence[str]:
        return ["train", "--resume", self.place.locate(self.path)]

    def describe_moment(self, files: Sequence[str]) -> str:
        parts = [name.split("/") for name in files]
        records = {part[1][:4] for part in parts if part[0] == "record" and len(part) == 2
                   and part[1].endswith(".json")}  # fmt: skip
        pictures = {part[1][:4] for part in parts if part[0] == "record"}
        states = {part[1] for part in parts if part[0] == "checkpoints"}
        saved = {part[1] for part in parts if part[-1] == "MANIFEST.json"}
        done = max((int(name[:8]) for name in saved), default=0) // UPDATES
        if any(name.endswith(".tmp") for name in files) or pictures - records or states - saved:
            return "while files were written"
        if len(records) > done:
            return "between a record and its checkpoint"
        if done < self.reference.records:
            return f"in epoch {done + 1}"
        return "after the end" if "summary.json" in files else "while the export was written"

    def check_end(self) -> Iterator[str]:
        run = RunDir.open(self.place.locate(self.path))
        yield from check_run(run, RunDir(self.reference.location))
        yield from check_store(self.sync(), run)
