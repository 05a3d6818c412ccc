"""Where a run goes: its name under the folder of runs, and the way out when that is taken."""

import os
import re
from pathlib import Path

from ssgan.cli.screen import say
from ssgan.errors import BadInput
from ssgan.folder import Folder
from ssgan.rundir import RunDir
from ssgan.searchdir import SearchDir


def choose_name(out: str, name: str | None, preset: str) -> str:
    """Return the run's name: the user's, or the preset's with the first free number.

    Raises:
        BadInput: The user's name is no name, or taken.
    """
    if name is not None:
        run = RunDir(join(out, name))
        if not run.is_free():
            raise BadInput(
                f"{run.location} is taken; choose another --name, go on with that run by "
                f"--resume {join(out, name)}, or move it aside with --replace"
            )
        return name
    candidate, number = preset, 1
    while not RunDir(join(out, candidate)).is_free():
        number += 1
        candidate = f"{preset}-{number}"
    if candidate != preset:
        say(
            f"{join(out, preset)} is taken, so this run goes to {join(out, candidate)} "
            f"(to go on with a run: --resume {join(out, preset)})"
        )
    return candidate


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
    parent, _, name = RunDir(run).location.rpartition("/")
    return parent, name


def uri_of(run: RunDir) -> str:
    """Return the MLflow tracking URI that a run was, or would have been, recorded in."""
    from ssgan.experiment import Experiment

    recorded = (run.summary() or {}).get("tracking_uri")
    if recorded:
        return str(recorded)
    return Experiment.from_yaml(run.experiment_yaml()).tracking.uri or _uri_beside(run)


def uri_of_search(search: SearchDir) -> str:
    """Return the MLflow tracking URI that a search was, or would have been, recorded in."""
    import yaml

    recorded = (search.summary() or {}).get("tracking_uri")
    if recorded:
        return str(recorded)
    base = yaml.safe_load(search.search_yaml()).get("base")
    chosen = (base.get("tracking") or {}).get("uri") if isinstance(base, dict) else None
    return str(chosen) if chosen else _uri_beside(search)


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
    folder = Folder(out)
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
    return f"{out.rstrip('/')}/{name}" if "://" in out else str(Path(out) / name)
