from pathlib import Path
from types import SimpleNamespace

import pytest

from ssgan.records.rundir import RunDir
from ssgan.tuning.reasons import explain, read_error

KILLED = """ray::ImplicitFunc.train() (pid=1)
The actor died unexpectedly before finishing this task.
\tclass_name: ImplicitFunc
\tpid: 1
The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit \
detail: Worker unexpectedly exits with a connection error code 2. End of file. Possible SIGKILL.
"""
HUNGRY = """Task was killed due to the node running low on memory.
ray.exceptions.OutOfMemoryError: Memory on the node was 7.9GB / 8GB, above the threshold of 0.95.
Object store memory usage: nothing.
"""
ALLOCATED = """Traceback (most recent call last):
  File "x.py", line 1, in <module>
RuntimeError: [enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried
"""
RAISED = """ray.exceptions.RayTaskError(OSError): ray::ImplicitFunc.train() (pid=1)
  File "x.py", line 1, in <module>
OSError: the disk is full
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (KILLED, "its process died (killed, or the machine is gone). The actor is dead"),
        (HUNGRY, "out of memory: "),
        (ALLOCATED, "out of memory: RuntimeError: [enforce fail"),
        (RAISED, "OSError: the disk is full"),
        ("", "unknown error"),
        ("something\nelse", "else"),
    ],
)
def test_an_error_becomes_one_line(text: str, expected: str) -> None:
    line = read_error(text)
    assert line.startswith(expected)
    assert "\n" not in line


def test_long_lines_are_cut() -> None:
    assert len(read_error("ValueError: " + "x" * 1000)) == 300


def test_what_the_trial_said_goes_before_what_ray_says(tmp_path: Path) -> None:
    error = tmp_path / "error.txt"
    error.write_text(f"Failure # 1 (occurred at x)\n{RAISED}Failure # 2 (occurred at y)\n{KILLED}")
    run, trial = RunDir.create(tmp_path / "run", ""), SimpleNamespace(error_file=str(error))
    assert explain(run, trial).startswith("its process died")
    assert explain(run, SimpleNamespace(error_file=None)) == "unknown error"
    run.write_json("failure.json", {"kind": "NonFiniteLoss", "message": "loss/L_I became NaN"})
    assert explain(run, trial) == "loss/L_I became NaN"
