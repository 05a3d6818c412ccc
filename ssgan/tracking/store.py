"""Where MLflow keeps its records: an SQLite file next to the runs, or a server."""

import contextlib
import logging
import os
import shlex
import shutil
import sqlite3
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock, Timeout
from mlflow import MlflowClient
from mlflow.entities import Experiment

from ssgan.base.errors import BadInput
from ssgan.base.storage import Folder, replacing

_SQLITE = "sqlite:///"
_SERVERS = frozenset({"http", "https"})
_DATABASES = frozenset({"postgresql", "mysql", "mssql"})
# A dead server blocks a call for 246 s by MLflow's defaults, a silent one longer; with these for
# about 1 s and 11 s.
_PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
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
# They show tracebacks of errors, and attempts, of which there is one line already.
_LOUD = {"mlflow.store.db.utils": logging.CRITICAL, "urllib3.connectionpool": logging.ERROR}
_FORBIDDEN = "PERMISSION_DENIED"  # MLflow's word for an answer of 403
_SHARED_MEMORY = Path("/dev/shm")  # of Linux
_ROOM = 2**24  # bytes; a new store has a million
_LOCK_WAIT, _BUSY_WAIT = 10.0, 5.0  # seconds for the lock file, and for SQLite's own lock


_log = logging.getLogger(__name__)


class Unreachable(BadInput):
    """The store does not answer, or is none. A single run trains, and may be synced later."""


class Busy(Unreachable):
    """Another process holds the store's lock. It will be free again."""


class Deleted(BadInput):
    """The experiment was deleted in MLflow's interface."""


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
    """Make a client that gives up on a dead server, or on a locked file, within seconds.

    A missing SQLite file is created with its tables, by one process at a time.

    Raises:
        Busy: Another process holds the lock of the SQLite file.
        Unreachable: The SQLite file cannot be used.
    """
    for name, value in (_PATIENCE | _SILENCE).items():
        os.environ.setdefault(name, value)
    for name, level in _LOUD.items():
        logging.getLogger(name).setLevel(level)
    file = _sqlite_file(uri)
    if file is None:
        return MlflowClient(tracking_uri=uri)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{file}.lock", timeout=_LOCK_WAIT):
            if not file.exists() or not file.stat().st_size:
                _make(file)
            probe(uri)
            _settle(file)
            client = MlflowClient(tracking_uri=uri)
            client.search_experiments(max_results=1)
    except Unreachable:
        raise
    except Timeout as error:
        raise _busy(file, f"its lock file {file}.lock is held") from error
    except Exception as error:  # MLflow lets those of databases, drivers and the system through
        raise _unusable(uri, file, error) from error
    return client


def probe(uri: str) -> None:
    """Check that an SQLite file can be written to now; MLflow waits 20 s and longer for each write.

    Nothing is done for other stores.

    Raises:
        Busy: Another process holds its lock.
        Unreachable: It is not a database, or cannot be written to.
    """
    file = _sqlite_file(uri)
    if file is None:
        return
    try:
        with contextlib.closing(
            sqlite3.connect(file, timeout=_BUSY_WAIT, isolation_level=None)
        ) as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("ROLLBACK")
    except sqlite3.Error as error:
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise _busy(file, str(error)) from error
        raise _unusable(uri, file, error) from error


def check(uri: str, experiment: str | None = None) -> None:
    """Check that records can be written, before any work starts or several processes do so at once.

    A missing SQLite file is created with its tables.

    Raises:
        Unreachable: The store does not answer, refuses, is locked (`Busy`) or cannot be used.
        Deleted: The experiment of that name was deleted.
        BadInput: There can be no records at that URI.
    """
    validate(uri)
    try:
        client = connect(uri)
        client.search_experiments(max_results=1)
        found = None if experiment is None else client.get_experiment_by_name(experiment)
    except Unreachable:
        raise
    except Exception as error:
        if (file := _sqlite_file(uri)) is not None:
            raise _unusable(uri, file, error) from error
        name, refused = _name(uri), getattr(error, "error_code", None) == _FORBIDDEN
        remedy = (
            f"start it with --allowed-hosts {urlsplit(uri).hostname}, or use its IP address"
            if refused
            else f"start it, correct {name}, or leave {name} out and record in a file"
        )
        raise Unreachable(
            f"the tracking server {uri} {'refuses us' if refused else 'does not answer'} "
            f"({_first_line(error)}); {remedy}"
        ) from error
    if found is not None:
        refuse_deleted(found)


def refuse_deleted(experiment: Experiment) -> None:
    """Raise `Deleted` where an experiment is in MLflow's trash: nothing can be written to it."""
    if experiment.lifecycle_stage != "active":
        raise Deleted(
            f"the MLflow experiment {experiment.name!r} was deleted; restore it, or name another "
            "one, with tracking.experiment or, of a search, with --name"
        )


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


def _make(file: Path) -> None:
    """Make a store that is there whole or not at all.

    MLflow makes its tables in hundreds of steps, each of which waits for the disk; what was killed
    between two of them can never be used again.
    """
    with replacing(file) as new, tempfile.TemporaryDirectory(dir=_memory()) as scratch:
        made = Path(scratch, _STORE)
        MlflowClient(tracking_uri=f"{_SQLITE}{made}").search_experiments(max_results=1)
        shutil.copyfile(made, new)


def _memory() -> Path | None:
    """Return a folder in memory with room for a new store; None where there is none, as on macOS.

    There MLflow takes two seconds for what takes seven on a slow disk.
    """
    try:
        has_room = shutil.disk_usage(_SHARED_MEMORY).free > _ROOM
    except OSError:
        return None
    return _SHARED_MEMORY if has_room and os.access(_SHARED_MEMORY, os.W_OK | os.X_OK) else None


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


def _busy(file: Path, why: str) -> Busy:
    return Busy(
        f"MLflow's records in {file} are locked by another process ({why}); end the one that "
        "writes there, or wait"
    )


def _unusable(uri: str, file: Path, error: Exception) -> Unreachable:
    return Unreachable(
        f"cannot use MLflow's records in {file}: {_first_line(error)}; choose a writable place "
        f"with tracking.uri, or bring an old file up to date with `mlflow db upgrade {uri}`"
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300]
