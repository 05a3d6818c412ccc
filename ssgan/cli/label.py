"""``ssgan label``: answers about a heap of pictures, at a page in the browser or in a terminal."""

from __future__ import annotations

import shlex
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ssgan.base.errors import BadInput
from ssgan.cli.screen import program, progress, say
from ssgan.cli.verb import Answer, Verb, writing

if TYPE_CHECKING:
    from ssgan.labeling.place import Place
    from ssgan.labeling.session import Session

_COUNT = 20  # answers of known labels


@click.command(
    cls=Verb,
    short_help="Answer a few questions about your pictures.",
    json="what was answered",
    examples="""\
  ssgan label photos.yaml                  the questions of an experiment file, in your browser
  ssgan label photos                       a folder alone: answers go to photos.csv beside it
  ssgan label photos --label shape --label angle=0..90      a class and a number
  ssgan label photos.yaml --no-browser     in the terminal
  ssgan label photos.yaml --run runs/photos                 ask where a trained model is unsure
  ssgan label photos.yaml --answers known.csv:shape --count 20
""",
)
@click.argument("source", metavar="FOLDER|FILE.yaml")
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="NAME|NAME=LOW..HIGH",
    help="What is asked: a class, or a number. By default what FILE.yaml trains on, the columns of "
    "the CSV, or `class`.",
)
@click.option(
    "--csv", type=click.Path(path_type=Path), help="The CSV of answers, in place of the usual one."
)
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the page; a free one else.")
@click.option("--no-browser", is_flag=True, help="Ask in the terminal; lines may come by a pipe.")
@click.option("--run", help="Ask where the Q_ss of this run, or export, is least sure.")
@click.option(
    "--answers",
    metavar="COLUMN|FILE.csv:COLUMN",
    help="Let known labels answer, without a page: for experiments.",
)
@click.option("--count", type=click.IntRange(min=1), help="Answers of --answers; 20 by default.")
@click.option(
    "--merge",
    is_flag=True,
    help="Make one class of those in the CSV that differ only in case or spaces.",
)
def label(
    source: str,
    labels: tuple[str, ...],
    csv: Path | None,
    port: int | None,
    no_browser: bool,
    run: str | None,
    answers: str | None,
    count: int | None,
    merge: bool,
) -> Answer:
    """Ask about one picture after the other, the most telling one first.

    Each answer is at once a row of the CSV that `ssgan train` reads; nothing else is kept, and
    whoever starts again goes on from there. The page is on 127.0.0.1, for you alone, and no request
    leaves this machine.
    """
    if count is not None and answers is None:
        raise BadInput("--count has no effect without --answers; you end by closing the page")
    if port is not None and (no_browser or answers is not None):
        raise BadInput("--port has no effect: there is no page")
    from ssgan.base.lease import hold
    from ssgan.base.local_server import listen, serve
    from ssgan.base.storage import Folder
    from ssgan.labeling.server import make_app
    from ssgan.labeling.terminal import ask

    place, own = _find_place(source, labels, csv)
    listener = None if no_browser or answers is not None else listen(port)
    file = place.csv.resolve()
    guard = file.with_name(f".{file.name}.lease")
    with ExitStack() as stack:
        stack.callback(_remove_empty, guard)  # one that was killed has left it
        with writing(place.csv, "--csv"):
            lease = stack.enter_context(hold(Folder(guard), "file of answers", str(place.csv)))
        session = _open(place, run, merge)
        session.check = lease.check
        if answers is not None:
            return _answer_known(session, place, answers, own, count or _COUNT)
        if listener is None:
            ask(session, sys.stdin, say)
        else:
            serve(make_app(session), "ssgan label", listener, _say_address, opens=True)
        return _report(session, place)


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _find_place(
    source: str, labels: tuple[str, ...], csv: Path | None
) -> tuple[Place, Path | None]:
    """Return what is asked, and the CSV that the source itself has if it is another one."""
    from ssgan.experiment.loading import load_experiment
    from ssgan.labeling.column import parse_label
    from ssgan.labeling.place import place_of_file, place_of_folder

    asked = [parse_label(text) for text in labels]
    if csv is not None and not csv.absolute().parent.is_dir():
        raise BadInput(f"--csv {csv}: there is no folder {csv.absolute().parent}; make it first")
    if Path(source).is_dir():
        return place_of_folder(Path(source), csv, asked), None
    if not Path(source).is_file() and not source.endswith((".yaml", ".yml")):
        raise BadInput(f"there is no folder {source}, and an experiment file ends in .yaml")
    experiment = load_experiment(source)
    place = place_of_file(source, experiment.data.source, experiment.codes.supervised, asked)
    return (place, None) if csv is None else (place._replace(csv=csv), place.csv)


def _open(place: Place, run: str | None, merge: bool) -> Session:
    from ssgan.export.generator import NamedGenerator
    from ssgan.labeling.opening import open_session

    reader = None if run is None else NamedGenerator.load(run)
    with progress("reading the pictures") as advance:
        return open_session(place, reader, merge=merge, progress=advance)


def _say_address(address: str) -> None:
    say(f"the page is at {address}")
    say("Ctrl-C ends it; every answer is in the file by then")


def _answer_known(
    session: Session, place: Place, spec: str, own: Path | None, count: int
) -> Answer:
    from ssgan.labeling.known import answer_known

    told = answer_known(session, place, spec, own, count)
    report = _report(session, place)
    return Answer([*told.lines, *report.screen], {**told.facts, **report.facts})


def _report(session: Session, place: Place) -> Answer:
    counts = {column.name: dict(session.answers.counts(column.name)) for column in place.columns}
    line = f"{session.summary()}; next: {shlex.join([program('ssgan'), *place.next])}"
    return Answer([line], {"file": str(place.csv), "answers": counts})
