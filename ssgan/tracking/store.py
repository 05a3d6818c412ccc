"""Where MLflow keeps its records: an SQLite file next to the runs, or a server."""

import os
import shlex
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
# Or it prints two lines to stdout for every run that ends.
_SILENCE = {"MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}


class Unreachable(BadInput):
    """The tracking server does not answer. A single run may train and be synced later."""


def default_uri(out: str | Path) -> str:
    """Return where runs are recorded that name no store themselves.

    That is ``MLFLOW_TRACKING_URI``, or else an SQLite file: next to the runs if their folder `out`
    is local, and in the folder ``runs`` if it is not.
    """
    chosen = os.environ.get("MLFLOW_TRACKING_URI")
    folder = Folder(out).local_path or Path("runs").absolute()
    return chosen or f"{_SQLITE}{folder / 'mlflow.db'}"


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


def artifact_location(uri: str) -> str | None:
    """Return where a new experiment's files go: next to an SQLite file; else the server decides."""
    file = _sqlite_file(uri)
    return None if file is None else (file.parent / "mlartifacts").as_uri()


def has_one_writer(uri: str) -> bool:
    """Whether the store is an SQLite file, which one thread at a time can write."""
    return _sqlite_file(uri) is not None


def _sqlite_file(uri: str) -> Path | None:
    return Path(uri.removeprefix(_SQLITE)).absolute() if uri.startswith(_SQLITE) else None


def _name(uri: str) -> str:
    """Return the name of the setting that a URI came from."""
    return "MLFLOW_TRACKING_URI" if uri == os.environ.get("MLFLOW_TRACKING_URI") else "tracking.uri"
