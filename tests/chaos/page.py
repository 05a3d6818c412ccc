"""The page of docs/results that says what came of the rounds."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ssgan.launch.machine import describe_machine
from tests.chaos.harness import Outcome

PAGE = Path(__file__).parents[2] / "docs/results/chaos.md"


def write_page(file: Path, outcomes: Sequence[Outcome]) -> None:
    """Write the page."""
    file.write_text(make_page(outcomes))


def make_page(outcomes: Sequence[Outcome]) -> str:
    """Return the page as text."""
    counts = sum((Counter(one.counts) for one in outcomes), Counter[str]())
    moments = Counter(moment for one in outcomes for moment in one.moments)
    kinds = Counter((one.kind, one.where) for one in outcomes)
    failed = [one for one in outcomes if one.problems]
    commits = ", ".join(sorted({one.commit or "no commit" for one in outcomes}))
    seeds = [one.seed for one in outcomes]
    minutes = sum(one.seconds for one in outcomes) / 60
    return f"""# Killed, doubled, moved and resumed

{len(outcomes)} rounds of real programs, seeds {min(seeds)} to {max(seeds)}, commit {commits},
{minutes:.0f} minutes. `make chaos` plays them and writes this page;
`python -m tests.chaos --rounds 1 --seed SEED --where folder|s3` repeats one.

**{len(outcomes) - len(failed)} of {len(outcomes)} ended as if nothing had happened.**
{_failures(failed)}
A round draws from its seed what happens to one directory: up to three processes write it one after
the other. Each is ended by SIGKILL or SIGTERM, or its directory is moved away (mv), at a moment of
its life or after a number of files or objects; a second one may come meanwhile, while the first
stands still or at the same time; then the directory is moved, copied, or left where it is, alone or
with all runs. The last process is left alone. S3 is moto's server, in some rounds 20 ms away, in
some with one request in ten refused. MLflow's file is there before, is made by the first process,
or is a server that is down.

| what was done | times |
| --- | --- |
{_table({f"{kind} rounds, {where}": count for (kind, where), count in sorted(kinds.items())})}
{_table(counts)}

| a process was ended | times |
| --- | --- |
{_table(moments)}

What has to hold in the end, next to a run that was left alone: every epoch has one record, with the
same metrics and pictures bit for bit (but for images a second); the last checkpoint holds the same
state, and so does the export; the summary is that of the whole run, at the place of today; MLflow
has every point once, every picture, the summary, and says FINISHED. Who comes second is refused
with exit code 2, is told host and process, and changes no file. No lease and no file or upload that
was begun is left, nothing is written where the directory was before, and a copy's original stays as
it was. No program prints a traceback. Of a search the table of trials, its winner and every trial
are compared.

{describe_machine()}
"""


def _table(counts: dict[str, int]) -> str:
    return "\n".join(f"| {name} | {count} |" for name, count in sorted(counts.items()))


def _failures(failed: Sequence[Outcome]) -> str:
    if not failed:
        return ""
    lines = [f"- seed {one.seed}, {one.where}: {one.problems[0].splitlines()[0]}" for one in failed]
    return "\n" + "\n".join(lines) + "\n"
