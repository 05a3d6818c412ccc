"""The multi-host proof: a search over three hosts of which one drains and one loses its power."""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from clusterfile import (
    METADATA_PORT,
    MLFLOW_PORT,
    PROJECT,
    start_commands,
    write_cluster_file,
)
from hosts import Host, Lan, make_lan, wait_until
from launcher import Launcher
from objectstore import KEYS, ObjectStore, run_object_store

SEARCH = "proof"
_PROGRAM = PROJECT / "tune/run.py"
_AUDIT = Path(__file__).with_name("audit.py")
_METADATA = PROJECT / "tests/helpers/metadata.py"
_TRIALS, _EPOCHS, _STEPS = 2, 6, 60
# The shipped search, cut down: what is proved is where it runs, not what it finds.
_ARGUMENTS = (
    *("--search", "quickstart", "--name", SEARCH),
    *(f"search.trials={_TRIALS}", "search.finals.best=1", "search.finals.seeds=1"),
    *(f"training.epochs={_EPOCHS}", f"training.steps_per_epoch={_STEPS}", "training.batch_size=16"),
    *("label_sampling.batch_size=8", "networks.width=4", "networks.hidden=16"),
    *("evaluation.samples=60", "evaluation.real_images=60", "evaluation.held_out_images=40"),
    *("evaluation.judge.epochs=2", "evaluation.judge.least_updates=20"),
    *("scaling.workers=2", "scaling.cpus=0.9", "scaling.threads=1", "training.check_every=5"),
)
_SEARCHES_FOR = 1500.0  # seconds; 300 on two quiet cores
_NOTICE = 120  # seconds that a cloud leaves; Ray itself starts workers elsewhere after them

Say = Callable[[str], None]


def prove(say: Say = print, keep: Path | None = None) -> None:
    """Run the proof; it takes about eight minutes on two cores.

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
    with ExitStack() as stack:
        store = stack.enter_context(run_object_store(lan.desk, folder / "store.log"))
        for host in lan.hosts[1:]:
            stack.enter_context(_metadata_service(host))
        _search_in(store, lan, folder, venv, say)


def _search_in(store: ObjectStore, lan: Lan, folder: Path, venv: Path, say: Say) -> None:
    file = write_cluster_file(lan, store.locate("runs"), KEYS, venv)
    launcher = Launcher(lan.desk, file, venv, folder / "launcher.log", KEYS)
    launcher.up()
    launcher.wait_for_nodes(len(lan.hosts))
    say("ray up: all nodes have joined")
    launcher.execute("ssgan doctor")
    say("ssgan doctor: every node reaches the object store and finds the others")
    program = launcher.submit(_PROGRAM, _ARGUMENTS)
    try:
        drained = _wait_for_victim(lan, store, program)
        _take_back(drained)
        # It ends when the last worker has left it by itself, which is before the time is up.
        wait_until(lambda: not drained.processes("raylet"), "the host to drain", _NOTICE - 30)
        say(f"{drained.name} was taken back by its cloud: the workers left it, at {_last(store)}")
        assert not any(host.processes("HeedingTrial") for host in lan.hosts[1:])
        _join(drained, file, lan.hosts[0])
        say(f"another machine came in the place of {drained.name}")
        victim = _wait_for_victim(lan, store, program)
        victim.power_off()
        say(f"{victim.name}, one of the two hosts of a trial that had begun, lost its power")
        code = program.wait(_SEARCHES_FOR)
    finally:
        program.kill()
    assert code == 0, f"ray submit ended with {code}"
    say("ray submit: the search ended well")
    where, uri = store.locate(f"runs/{SEARCH}"), f"http://{lan.hosts[0].address}:{MLFLOW_PORT}"
    audit = launcher.python(_AUDIT, [where, uri, str(_TRIALS + 1)])
    assert audit.returncode == 0, f"the search is not as it must be:\n{audit.stdout}{audit.stderr}"
    say("no trial failed, and MLflow has every metric and every picture of each, once")
    launcher.down()
    wait_until(lambda: not _rays(lan), "Ray to end on all hosts", 120)
    say("ray down: Ray has ended everywhere")


def _wait_for_victim(lan: Lan, store: ObjectStore, program: "subprocess.Popen[bytes]") -> Host:
    """Wait for a trial that has trained an epoch; return a host, not the head, that it is on."""
    found: list[Host] = []

    def look() -> bool:
        assert program.poll() is None, f"ray submit ended with {program.poll()} too soon"
        found[:] = [host for host in lan.hosts if host.processes("RayTrainWorker")]
        return len(found) == 2 and _is_in_the_middle(store)

    wait_until(look, "the two workers of a trial on two hosts", _SEARCHES_FOR)
    return found[1]  # the head, if it is among them, comes first


def _is_in_the_middle(store: ObjectStore) -> bool:
    """Whether a trial has trained one epoch, but not its last two."""
    committed = re.findall(
        r"^trials/(\d+)/record/(\d+)\.json$", "\n".join(store.keys(f"runs/{SEARCH}")), re.MULTILINE
    )
    epochs = {trial: int(epoch) for trial, epoch in sorted(committed)}
    return any(1 <= epoch < _EPOCHS - 1 for epoch in epochs.values())


def _last(store: ObjectStore) -> str:
    """Name the newest checkpoint of the trials."""
    steps = [
        key for key in store.keys(f"runs/{SEARCH}") if re.match(r"trials/\d+/checkpoints/", key)
    ]
    return max(step.rpartition("/")[0] for step in steps)


@contextmanager
def _metadata_service(host: Host) -> Iterator[None]:
    """Run the service on a host by which its cloud tells it that it is taken back."""
    (host.folder / "cloud").mkdir()
    command = [sys.executable, str(_METADATA), "127.0.0.1", str(METADATA_PORT)]
    process = subprocess.Popen(host.command([*command, str(host.folder / "cloud")]))
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _take_back(host: Host) -> None:
    """Announce to a host that it is taken back."""
    when = datetime.now(UTC) + timedelta(seconds=_NOTICE)
    action = {"action": "terminate", "time": when.strftime("%Y-%m-%dT%H:%M:%SZ")}
    (host.folder / "cloud/instance-action").write_text(json.dumps(action))


def _join(host: Host, file: Path, head: Host) -> None:
    """Let a host join the cluster as a new machine does."""
    (host.folder / "cloud/instance-action").unlink()
    script = start_commands(file, head.address)
    subprocess.run(
        host.command(["bash", "-c", script]), check=True, capture_output=True, timeout=120
    )


def _rays(lan: Lan) -> list[int]:
    return [
        pid for host in lan.hosts if host.is_up() for pid in host.processes(r"raylet|gcs_server")
    ]
