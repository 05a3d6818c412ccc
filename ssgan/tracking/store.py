"""Where MLflow keeps its records: an SQLite file next to the runs, or a server."""

import contextlib
import logging
import os
import shlex
import sqlite3
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock
from mlflow import MlflowClient

from ssgan.base.errors import BadInput
from ssgan.base.storage import Folder

_SQLITE = "sqlite:///"
_SERVERS = frozenset({"http", "https"})
_DATABASES = frozenset({"postgresql", "mysql", "mssql"})
# A dead server blocks a call for 246 s by MLflow's defaults; with these for about 3 s.
_PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
}
_STORE, _ARTIFACTS = "mlflow.db", "mlartifacts"
# Where a store names the place of a file.
_PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
# Or it prints two lines to stdout for every run that ends.
_SILENCE = {"MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}


_log = logging.getLogger(__name__)


class Unreachable(BadInput):
    """The tracking server does not answer. A single run may train and be synced later."""


def default_uri(out: str | Path) -> str:
    """Return where runs are recorded that name no store themselves.

    That is ``MLFLOW_TRACKING_URI``, or else an SQLite file: next to the runs if their folder `out`
    is local, and in the folder ``runs`` if it is not.
    """
    chosen = os.environ.get("MLFLOW_TRACKING_URI")
    folder = Folder(out).local_path or Path("runs").absolute()
    return chosen or f"{_SQLITE}{folder / _STORE}"


def store_of(recorded: str | None, out: str) -> str:
    """Return the store of a run or search that was begun before, wherever its folder `out` is now.

    It is the one that was recorded, unless that was a file that is gone: then it is what stands
    beside the runs, and a warning says so.
    """
    if recorded is None:
        return default_uri(out)
    file, beside = _sqlite_file(recorded), _file_beside(out)
    if file is None or beside is None or file.exists():
        return recorded
    if not beside.exists() and file.parent.exists():
        return recorded
    _log.warning("the MLflow store %s is gone; %s, beside the runs, is used", file, beside)
    return f"{_SQLITE}{beside}"


def store_beside(out: str) -> str | None:
    """Return the store that stands beside runs in a folder, if there is one."""
    beside = _file_beside(out)
    return f"{_SQLITE}{beside}" if beside is not None and beside.exists() else None


def sync_command(location: str, uri: str) -> str:
    """Return the command that brings a store up to date with a run or search."""
    asks = not has_one_writer(uri) and uri != os.environ.get("MLFLOW_TRACKING_URI")
    return f"ssgan track sync {location}{f' --uri {shlex.quote(uri)}' if asks else ''}"


def validate(uri: str) -> None:
    """Raise `BadInput` where MLflow cannot keep records at such a URI; nothing is contacted."""
    scheme = urlsplit(uri).scheme.partition("+")[0]
    if scheme not in _SERVERS | _DATABASES | {"sqlite"}:
        raise BadInput(
            f"{_name(uri)}={uri!r} cannot hold MLflow's records; give a server, "
            "http://HOST:PORT, or a file, sqlite:////absolute/path/mlflow.db"
        )


def connect(uri: str) -> MlflowClient:
    """Make a client that gives up on a dead server within seconds.

    A missing SQLite file is created with its tables, by one process at a time.
    """
    for name, value in (_PATIENCE | _SILENCE).items():
        os.environ.setdefault(name, value)
    file = _sqlite_file(uri)
    if file is None:
        return MlflowClient(tracking_uri=uri)
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{file}.lock"):
        _settle(file)
        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)
    return client


def check(uri: str) -> None:
    """Check that records can be written, before any work starts or several processes do so at once.

    A missing SQLite file is created with its tables.

    Raises:
        Unreachable: The server does not answer, or refuses.
        BadInput: There can be no records at that URI, or an older MLflow made the file.
    """
    validate(uri)
    file = _sqlite_file(uri)
    try:
        connect(uri).search_experiments(max_results=1)
    except Exception as error:  # MLflow lets those of databases, drivers and the system through
        said = str(error).strip().partition("\n")[0][:300]
        if file is not None:
            raise BadInput(
                f"cannot use MLflow's records in {file}: {said}; choose a writable place with "
                f"tracking.uri, or bring an old file up to date with `mlflow db upgrade {uri}`"
            ) from error
        name, refused = _name(uri), "403" in str(error)
        remedy = (
            f"start it with --allowed-hosts {urlsplit(uri).hostname}, or use its IP address"
            if refused
            else f"start it, correct {name}, or leave {name} out and record in a file"
        )
        raise Unreachable(
            f"the tracking server {uri} {'refuses us' if refused else 'does not answer'} "
            f"({said}); {remedy}"
        ) from error


def ui_command(uri: str, port: int = 5000) -> str:
    """Return the command that shows the records in a browser, or the server's own address."""
    if urlsplit(uri).scheme in _SERVERS:
        return uri
    return f"mlflow ui --backend-store-uri {shlex.quote(uri)} --port {port}"


def ui_address(uri: str, port: int = 5000) -> str:
    """Return the address at which the records are shown, once `ui_command` runs."""
    return uri.rstrip("/") if urlsplit(uri).scheme in _SERVERS else f"http://127.0.0.1:{port}"


def artifact_location(uri: str) -> str | None:
    """Return where a new experiment's files go: next to an SQLite file; else the server decides."""
    file = _sqlite_file(uri)
    return None if file is None else (file.parent / _ARTIFACTS).as_uri()


def has_one_writer(uri: str) -> bool:
    """Whether the store is an SQLite file, which one thread at a time can write."""
    return _sqlite_file(uri) is not None


def _settle(file: Path) -> None:
    """Let a store that was moved or copied, with its artifacts, find them where they are now."""
    here = file.parent / _ARTIFACTS
    if not (file.exists() and here.is_dir()):
        return
    # What cannot be read or written here, MLflow cannot either, and says so.
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(file)) as database:
        found = database.execute("SELECT DISTINCT artifact_location FROM experiments")
        places = {place for (place,) in found if place and place.endswith(f"/{_ARTIFACTS}")}
        for old in sorted(places - {here.as_uri()}):
            for table, column in _PLACES:
                database.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                    f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                    (here.as_uri(), len(old) + 1, old, len(old) + 1, f"{old}/"),
                )
            database.commit()
            _log.warning("the files of %s are %s now, no longer %s", file, here.as_uri(), old)


def _file_beside(out: str) -> Path | None:
    folder = Folder(out).local_path
    return None if folder is None else folder / _STORE


def _sqlite_file(uri: str) -> Path | None:
    return Path(uri.removeprefix(_SQLITE)).absolute() if uri.startswith(_SQLITE) else None


def _name(uri: str) -> str:
    """Return the name of the setting that a URI came from."""
    return "MLFLOW_TRACKING_URI" if uri == os.environ.get("MLFLOW_TRACKING_URI") else "tracking.uri"
