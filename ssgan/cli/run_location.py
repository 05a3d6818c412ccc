"""Where a run goes: its name under the folder of runs, and the way out when that is taken."""

import os
import re

from ssgan.base import storage
from ssgan.base.errors import BadInput
from ssgan.cli.screen import say
from ssgan.records.rundir import RunDir
from ssgan.records.searchdir import SearchDir


def choose_name(
    out: str, name: str | None, preset: str, kind: type[RunDir | SearchDir] = RunDir
) -> str:
    """Return the name of a run or a search: the user's, or the usual with the first free number.

    Args:
        out: Folder of the runs.
        name: The user's.
        preset: The usual name.
        kind: Which of the two it is.

    Raises:
        BadInput: The user's name is no name, or taken.
    """
    if name is not None:
        if not kind(join(out, name)).is_free():
            raise BadInput(
                f"{kind(join(out, name)).location} is taken; choose another --name, go on with "
                f"that {kind.what} by --resume {_resumed_by(out, name, kind)}, or move it aside "
                "with --replace"
            )
        return name
    candidate, number = preset, 1
    while not RunDir(join(out, candidate)).is_free():
        number += 1
        candidate = f"{preset}-{number}"
    if candidate != preset:
        say(
            f"{join(out, preset)} is taken, so this {kind.what} goes to {join(out, candidate)} "
            f"(to go on with a {kind.what}: --resume {_resumed_by(out, preset, kind)})"
        )
    return candidate


def _resumed_by(out: str, name: str, kind: type[RunDir | SearchDir]) -> str:
    """Return what the verb's ``--resume`` takes: a run's directory, a search's name."""
    return name if kind is SearchDir else join(out, name)


def move_aside(out: str, name: str) -> None:
    """Rename what stands at OUT/NAME to the first free NAME.1, NAME.2 ...; delete nothing.

    Raises:
        BadInput: It is not on this machine's file system, or cannot be moved.
    """
    run = RunDir(join(out, name))
    if run.is_free():
        return
    place = run.local_path
    if place is None:
        raise BadInput(f"--replace works on this machine only, not on {run.location}; use --name")
    number = 1
    while (target := place.with_name(f"{place.name}.{number}")).exists():
        number += 1
    try:
        place.rename(target)
    except OSError as error:
        raise BadInput(
            f"cannot move {place} aside to {target}: {error.strerror}; use another --name"
        ) from error
    say(f"moved {join(out, name)} aside to {join(out, target.name)}")


def place_of(run: str) -> tuple[str, str]:
    """Split the location of a run directory into the folder of runs and its name."""
    return storage.split(RunDir(run).location)


def uri_of(record: RunDir | SearchDir) -> str:
    """Return the MLflow tracking URI that a run or search was, or would have been, recorded in."""
    import yaml

    recorded = (record.summary() or {}).get("tracking_uri")
    if recorded:
        return str(recorded)
    tree = yaml.safe_load(record.definition())
    experiment = tree if isinstance(record, RunDir) or not isinstance(tree, dict) else tree["base"]
    chosen = (experiment.get("tracking") or {}).get("uri") if isinstance(experiment, dict) else None
    return str(chosen) if chosen else _uri_beside(record)


def _uri_beside(folder: RunDir | SearchDir) -> str:
    from ssgan.tracking import default_uri

    if folder.local_path is None and not os.environ.get("MLFLOW_TRACKING_URI"):
        raise BadInput(
            f"{folder.location} names no tracking store; give it with --uri or MLFLOW_TRACKING_URI"
        )
    return default_uri(folder.local_path.parent if folder.local_path is not None else "runs")


def refuse_unwritable(out: str) -> None:
    """Find out, before any work starts, whether runs can be written there.

    Raises:
        BadInput: They cannot; the message says why.
    """
    folder = storage.Folder(out)
    try:
        folder.try_writing()
    except OSError as error:
        raise BadInput(
            f"cannot write to {folder.location}: {error}; choose a writable folder with --out"
        ) from error


def join(out: str, name: str) -> str:
    """Return the location of a run.

    Raises:
        BadInput: That is no name.
    """
    if not re.fullmatch(r"[\w.][\w.+ -]*", name) or set(name) == {"."}:
        raise BadInput(
            f"{name!r} cannot name a run; use letters, digits, dots, hyphens and underscores"
        )
    return storage.join(out, name)
