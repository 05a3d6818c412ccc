"""Hosts that are namespaces: each has a network, processes, mounts and a name of its own.

All of them stand on one bridge that no other network touches. Nothing of it outlives this
program: a host is the first process of its namespaces, which the kernel ends with it.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

NETWORK = "10.77.0"
TOOLS = ("unshare", "nsenter", "setpriv", "ip", "sshd", "ssh", "ssh-keygen", "rsync", "flock")
PACKAGES = "openssh-server openssh-client rsync iproute2 util-linux"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NAMESPACES = ("--net", "--pid", "--mount", "--uts")
# The host ends with its parent, and that with this program, however it ends.
_BOOT = (
    *("setpriv", "--pdeathsig=KILL"),
    *("unshare", *_NAMESPACES, "--mount-proc", "--fork", "--kill-child=KILL"),
)


def why_not() -> str | None:
    """Say why there can be no hosts on this machine; None where there can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "hosts are namespaces, which needs Linux and root"
    missing = [tool for tool in TOOLS if shutil.which(tool, path=_PATH) is None]
    if missing:
        return f"{', '.join(missing)} not found: apt-get install {PACKAGES}"
    tried = subprocess.run(
        ["unshare", *_NAMESPACES, "--fork", "--mount-proc", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode != 0:
        return f"no namespaces on this machine: {tried.stderr.strip()}"
    return None


@dataclass(frozen=True)
class Host:
    """One machine on the bridge.

    Attributes:
        name: Its host name.
        address: Its address on the bridge.
        folder: Its private files: home, temporary files, its sshd's log.
        pid: Its first process, as this program sees it.
    """

    name: str
    address: str
    folder: Path
    pid: int

    @property
    def home(self) -> Path:
        """Home of the user root there."""
        return self.folder / "home"

    def command(self, command: Sequence[str]) -> list[str]:
        """Return the command line that runs a command on this host."""
        inside = ["nsenter", f"--target={self.pid}", *_NAMESPACES, "--"]
        environment = {"HOME": str(self.home), "PATH": _PATH, "LC_ALL": "C.UTF-8", "USER": "root"}
        return [*inside, "env", "-i", *map("=".join, environment.items()), *command]

    def processes(self, pattern: str = "") -> list[int]:
        """Return the processes here whose command line matches, as this program numbers them."""
        mine = os.readlink(f"/proc/{self.pid}/ns/pid") if self.is_up() else ""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if os.readlink(entry / "ns/pid") == mine and re.search(
                    pattern, (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                ):
                    found.append(int(entry.name))
            except OSError:  # it has ended
                continue
        return found

    def is_up(self) -> bool:
        """Whether its first process lives."""
        return Path(f"/proc/{self.pid}/ns/pid").exists()

    def power_off(self) -> None:
        """End everything on it at once, as if the plug were pulled; nothing where it has ended."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        wait_until(lambda: not self.is_up(), f"{self.name} to end")


@dataclass(frozen=True)
class Lan:
    """Hosts on one bridge.

    Attributes:
        desk: Where the user sits; it has the bridge and no ssh server.
        hosts: The machines of the cluster, the head first.
        key: The ssh key that opens all of them.
    """

    desk: Host
    hosts: tuple[Host, ...]
    key: Path


@contextmanager
def make_lan(names: Sequence[str], folder: Path, visible: Sequence[Path]) -> Iterator[Lan]:
    """Make hosts, and end them with all that runs there.

    The file system is that of this machine, so that a folder outside /tmp is shared by all hosts;
    home, /tmp and /dev/shm are private to each.

    Args:
        names: Host names, the head first.
        folder: For keys, logs, and the private folders of the hosts; not below /tmp.
        visible: Folders that must be seen by the hosts even if they lie below /tmp.
    """
    key = folder / "key"
    for file in (key, folder / "host_key"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)],
            check=True,
        )
    known = {"desk": f"{NETWORK}.254"}
    known |= {name: f"{NETWORK}.{number}" for number, name in enumerate(names, 1)}
    with ExitStack() as stack:

        def boot(name: str, last: str) -> Host:
            return stack.enter_context(_boot(name, known, folder, visible, last))

        desk = boot("desk", "exec sleep infinity")
        _run(desk, "ip link add lan0 type bridge && ip link set lan0 up")
        _run(desk, f"ip address add {desk.address}/24 dev lan0")
        hosts = tuple(boot(name, f"exec {_sshd(folder, name)}") for name in names)
        for host in hosts:
            port = f"to-{host.name}"
            _run(desk, f"ip link add {port} type veth peer name eth0 netns /proc/self/fd/9", host)
            _run(desk, f"ip link set {port} master lan0 up")
            _run(host, f"ip address add {host.address}/24 dev eth0 && ip link set eth0 up")
        yield Lan(desk, hosts, key)


@contextmanager
def _boot(
    name: str, known: Mapping[str, str], folder: Path, visible: Sequence[Path], last: str
) -> Iterator[Host]:
    """Start the first process of a host, and end it."""
    place = folder / name
    for private in ("home", "tmp"):
        (place / private).mkdir(parents=True)
    (place / "tmp").chmod(0o1777)
    (place / "hosts").write_text(
        "127.0.0.1 localhost\n" + "".join(f"{ip} {host}\n" for host, ip in known.items())
    )
    # The user's home is named there, and ssh servers heed nothing else.
    passwd = Path("/etc/passwd").read_text()
    root = f"root:x:0:0:root:{place / 'home'}:/bin/bash"
    (place / "passwd").write_text(re.sub(r"^root:.*$", root, passwd, flags=re.MULTILINE))
    script = _init(name, place, visible, last)
    with (place / "console.log").open("wb") as log:
        process = subprocess.Popen(
            [*_BOOT, "bash", "-euc", script],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_until(lambda: process.poll() is not None or (place / "up").exists(), f"{name} to boot")
        if process.poll() is not None:
            raise RuntimeError(f"{name} did not boot: {(place / 'console.log').read_text()}")
        host = Host(name, known[name], place, psutil.Process(process.pid).children()[0].pid)
        try:
            yield host
        finally:
            host.power_off()
    finally:
        process.kill()
        process.wait()


def _init(name: str, place: Path, visible: Sequence[Path], last: str) -> str:
    """Return the script that a host boots with."""
    hidden = [path for path in visible if path.is_relative_to("/tmp")]
    saved = [(number, shlex.quote(str(path))) for number, path in enumerate(hidden)]
    here = shlex.quote(str(place))
    return "\n".join(
        [
            f"hostname {name}",
            "ip link set lo up",
            f"mount --bind {here}/passwd /etc/passwd",
            f"mount --bind {here}/hosts /etc/hosts",
            "mount -t tmpfs -o size=1g tmpfs /dev/shm",
            "mount -t tmpfs tmpfs /run && mkdir -p /run/sshd",
            *(f"mkdir /run/{n} && mount --bind {path} /run/{n}" for n, path in saved),
            f"mount --bind {here}/tmp /tmp",
            *(f"mkdir -p {path} && mount --bind /run/{n} {path}" for n, path in saved),
            f"touch {here}/up",
            last,
        ]
    )


def _sshd(folder: Path, name: str) -> str:
    settings = {
        "HostKey": folder / "host_key",
        "AuthorizedKeysFile": folder / "key.pub",
        "PidFile": "none",
        "PermitRootLogin": "prohibit-password",
        "StrictModes": "no",
        "UsePAM": "no",
        "MaxStartups": "100",
        "PrintMotd": "no",
        "Subsystem": "sftp internal-sftp",
    }
    options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
    sshd = shutil.which("sshd", path=_PATH) or "sshd"
    return shlex.join([sshd, "-D", "-e", "-f", "/dev/null", *options])


def _run(host: Host, script: str, other: Host | None = None) -> None:
    """Run a script on a host as part of making it; descriptor 9 is the other's network."""
    command = ["nsenter", f"--target={host.pid}", "--net", "bash", "-euc", script]
    if other is None:
        subprocess.run(command, check=True)
        return
    peer = os.open(f"/proc/{other.pid}/ns/net", os.O_RDONLY)
    try:
        script = script.replace("/proc/self/fd/9", f"/proc/self/fd/{peer}")
        subprocess.run([*command[:-1], script], check=True, pass_fds=[peer])
    finally:
        os.close(peer)


def wait_until(is_true: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Wait for something, and say what it was if it does not come (`TimeoutError`)."""
    deadline = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(0.1)
