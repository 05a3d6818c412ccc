"""Why a trial failed, in one line."""

import json
import re
from typing import Any

from ssgan.records.rundir import RunDir
from ssgan.tuning.trial import FAILURE

_LONGEST = 300  # characters


def explain(run: RunDir, trial: Any) -> str:
    """Say why a trial of Ray Tune failed.

    Args:
        run: Its run directory, where a trial leaves what no retry can mend.
        trial: The `ray.tune.experiment.Trial`.
    """
    if run.exists(FAILURE):
        return _shorten(str(json.loads(run.read_bytes(FAILURE))["message"]))
    return read_error(_error_text(trial))


def read_error(text: str) -> str:
    """Make one line of an error that Ray wrote down, which may be pages long."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if re.search(r"OutOfMemoryError|memory monitor|\(OOM\)|out of memory|can't allocate", text):
        known = [one for one in lines if re.search(r"memory|allocate", one)]
        return _shorten(f"out of memory: {known[-1] if known else lines[-1]}")
    if re.search(r"ActorDiedError|ActorUnavailable|actor died|worker process has died", text):
        died = next((one for one in lines if "SIGKILL" in one or "exit" in one), "")
        return _shorten(f"its process died (killed, or the machine is gone). {died}".strip())
    causes = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Interrupt)\b", line)]
    return _shorten((causes or lines or ["unknown error"])[-1])


def _error_text(trial: Any) -> str:
    """Return the last of the errors that Tune wrote beside the trial."""
    try:
        with open(trial.error_file, encoding="utf-8") as file:
            text = file.read()
    except (OSError, TypeError):
        return "unknown error"
    return str(re.split(r"^Failure # \d+ .*$", text, flags=re.MULTILINE)[-1])


def _shorten(line: str) -> str:
    line = " ".join(line.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
