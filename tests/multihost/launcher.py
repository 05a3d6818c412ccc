"""Ray's cluster launcher, spoken to from the desk as a user does."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from clusterfile import PROJECT
from hosts import Host


class Launcher:
    """`ray up`, `ray exec`, `ray submit` and `ray down` on one cluster file.

    Args:
        desk: The host to run them on.
        file: The cluster file.
        venv: Virtual environment with Ray.
        log: File that collects what they print.
        keys: Environment variables that open the folder of runs.
    """

    def __init__(
        self, desk: Host, file: Path, venv: Path, log: Path, keys: Mapping[str, str]
    ) -> None:
        self._desk, self._file, self._venv, self._log = desk, file, venv, log
        self._keys = keys

    def up(self) -> None:
        """Start Ray on the head, which then starts it on the others."""
        self._run(["ray", "up", "--yes", "--no-config-cache", str(self._file)], 300)

    def wait_for_nodes(self, count: int, seconds: float = 300) -> None:
        """Wait until as many nodes are alive."""
        deadline = time.monotonic() + seconds
        code = f"import ray; ray.init(); raise SystemExit(len(ray.nodes()) < {count})"
        while self.execute(f"python -c '{code}' 2> /dev/null", check=False):
            if time.monotonic() > deadline:
                raise TimeoutError(f"fewer than {count} nodes joined; see {self._log}")

    def execute(self, command: str, check: bool = True) -> int:
        """Run a command on the head, in the shell that users get there."""
        return self._run(["ray", "exec", str(self._file), command], 300, check)

    def submit(self, program: Path, arguments: Sequence[str]) -> "subprocess.Popen[bytes]":
        """Start a program on the head as `ray submit` does, and do not wait for it."""
        command = ["ray", "submit", str(self._file), str(program), "--", *arguments]
        with self._log.open("ab") as log:
            return subprocess.Popen(self._line(command), stdout=log, stderr=log)

    def down(self) -> None:
        """Stop Ray on all hosts."""
        self._run(["ray", "down", "--yes", str(self._file)], 300)

    def python(self, file: Path, arguments: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        """Run a Python program on the desk, in the project's environment."""
        command = self._line(["python", str(file), *arguments])
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)

    def _run(self, command: Sequence[str], seconds: float, check: bool = True) -> int:
        with self._log.open("ab") as log:
            code = subprocess.run(
                self._line(command), stdout=log, stderr=log, timeout=seconds, check=False
            ).returncode
        if check and code != 0:
            raise RuntimeError(f"{' '.join(command)} ended with {code}; see {self._log}")
        return code

    def _line(self, command: Sequence[str]) -> list[str]:
        environment = {
            "PATH": f"{self._venv / 'bin'}{os.pathsep}/usr/sbin:/usr/bin:/sbin:/bin",
            "RAY_UP_enable_autoscaler_v2": "0",
            "RAY_USAGE_STATS_ENABLED": "0",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            **self._keys,
        }
        changed = [f"{name}={value}" for name, value in environment.items()]
        return self._desk.command(["env", f"--chdir={PROJECT}", *changed, *command])
