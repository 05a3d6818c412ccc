"""The multi-host proof: a search over three hosts of which one loses its power."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from clusterfile import MLFLOW_PORT, PROJECT, write_cluster_file
from hosts import Host, Lan, make_lan
from launcher import Launcher

SEARCH = "proof"
_PROGRAM = PROJECT / "tune/run.py"
_AUDIT = Path(__file__).with_name("audit.py")
_TRIALS, _EPOCHS = 3, 6
# The shipped search, cut down: what is proved is where it runs, not what it finds.
_ARGUMENTS = (
    *("--search", "quickstart", "--name", SEARCH),
    *(f"search.trials={_TRIALS}", "search.finals.best=1", "search.finals.seeds=1"),
    *(f"training.epochs={_EPOCHS}", "training.steps_per_epoch=60", "training.batch_size=16"),
    *("label_sampling.batch_size=8", "networks.width=4", "networks.hidden=16"),
    *("evaluation.samples=60", "evaluation.real_images=60", "evaluation.held_out_images=40"),
    *("evaluation.judge.epochs=2", "evaluation.judge.least_updates=20"),
    *("scaling.workers=2", "scaling.cpus=0.9", "scaling.threads=1"),
)
_SEARCHES_FOR = 1500.0  # seconds; 300 on two quiet cores

Say = Callable[[str], None]


def prove(say: Say = print, keep: Path | None = None) -> None:
    """Run the proof; it takes about six minutes on two quiet cores.

    Args:
        say: Is told of each step.
        keep: Folder for the runs and all logs, not below /tmp; a temporary one, deleted at the
            end, when None.

    Raises:
        AssertionError: Something is not as it must be.
        Exception: Something did not work at all.
    """
    with tempfile.TemporaryDirectory(prefix="ssgan-hosts-", dir="/var/tmp") as temporary:
        folder = keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        venv = Path(sys.prefix)
        visible = [PROJECT, venv, Path(sys.base_prefix)]
        with make_lan(("head", "worker1", "worker2"), folder, visible) as lan:
            say(f"three hosts and a desk are up; their files are in {folder}")
            processes = [host.pid for host in (lan.desk, *lan.hosts)]
            try:
                _search(lan, folder, venv, say)
            except BaseException:
                log = folder / "launcher.log"
                say(f"the end of {log}:\n{log.read_text()[-6000:] if log.exists() else ''}")
                raise
        left = [pid for pid in processes if Path(f"/proc/{pid}/ns/pid").exists()]
        assert not left, f"hosts are left running: {left}"
        say("the hosts are gone")


def _search(lan: Lan, folder: Path, venv: Path, say: Say) -> None:
    launcher = Launcher(
        lan.desk, write_cluster_file(lan, folder, venv), venv, folder / "launcher.log"
    )
    launcher.up()
    launcher.wait_for_nodes(len(lan.hosts))
    say("ray up: all nodes have joined")
    launcher.execute("ssgan doctor")
    say("ssgan doctor: every node shares the folder of runs and finds the others")
    where = folder / "runs" / SEARCH
    program = launcher.submit(_PROGRAM, _ARGUMENTS)
    try:
        victim = _wait_for_victim(lan, where, program)
        victim.power_off()
        say(f"{victim.name}, one of the two hosts of a trial that had begun, lost its power")
        code = program.wait(_SEARCHES_FOR)
    finally:
        program.kill()
    assert code == 0, f"ray submit ended with {code}"
    summary = json.loads((where / "summary.json").read_text())
    assert (summary["failed"], summary["trials"]) == (0, _TRIALS + 1), summary
    say("ray submit: the search ended well")
    audit = launcher.python(_AUDIT, [str(where), f"http://{lan.hosts[0].address}:{MLFLOW_PORT}"])
    assert audit.returncode == 0, f"MLflow is not what the runs are:\n{audit.stdout}{audit.stderr}"
    say("MLflow has every metric and every picture of every trial, once")
    launcher.down()
    _wait_until(lambda: not _rays(lan), 120, "Ray to end on all hosts")
    say("ray down: Ray has ended everywhere")


def _wait_for_victim(lan: Lan, where: Path, program: "subprocess.Popen[bytes]") -> Host:
    """Wait for a trial that has trained an epoch; return a host, not the head, that it is on."""
    found: list[Host] = []

    def look() -> bool:
        assert program.poll() is None, f"ray submit ended with {program.poll()} too soon"
        if _is_in_the_middle(where):
            found[:] = [host for host in lan.hosts if host.processes("RayTrainWorker")]
        return len(found) == 2

    _wait_until(look, _SEARCHES_FOR, "the two workers of a trial on two hosts")
    return found[1]  # the head, if it is among them, comes first


def _is_in_the_middle(where: Path) -> bool:
    """Whether a trial has trained one epoch, but not its last two."""
    return any(
        (record / "0001.json").exists() and not (record / f"{_EPOCHS - 1:04d}.json").exists()
        for record in where.glob("trials/*/record")
    )


def _rays(lan: Lan) -> list[int]:
    return [
        pid for host in lan.hosts if host.is_up() for pid in host.processes(r"raylet|gcs_server")
    ]


def _wait_until(is_true: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(0.5)
