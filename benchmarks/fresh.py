"""Measurements in processes of their own, so that none finds the memory that another has left."""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any


def in_new_process(module: str, words: Sequence[str]) -> Any:
    """Run ``python -m module words`` and return what it prints, one JSON value."""
    command = [sys.executable, "-m", module, *words]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)
