"""The cluster file for the hosts: the on-premises one of the docs, with what must be filled in."""

from pathlib import Path
from typing import Any

import yaml

from hosts import Lan

PROJECT = Path(__file__).parents[2]
SHIPPED = PROJECT / "docs/clusters/local.yaml"
MLFLOW_PORT = 5000
# A worker of a trial takes nine tenths of a host's one core, so that the two of a trial always
# stand on two hosts; the trial's own process finds room in the rest.
_SMALL = "--num-cpus=1 --object-store-memory=200000000"


def write_cluster_file(lan: Lan, shared: Path, venv: Path) -> Path:
    """Fill in the shipped file.

    Args:
        lan: The hosts, the head first.
        shared: Folder that all hosts share, for the runs.
        venv: Virtual environment with ssgan's requirements, used instead of one for each host.

    Returns:
        The file, in the private folder of the desk.
    """
    head, *workers = lan.hosts
    tree: dict[str, Any] = yaml.safe_load(SHIPPED.read_text())
    setup = "\n".join(tree["setup_commands"])
    for shipped, own in {
        "/shared/ssgan/runs": str(shared / "runs"),
        f"{tree['provider']['head_ip']}:{MLFLOW_PORT}": f"{head.address}:{MLFLOW_PORT}",
        # The synced project comes before the one that the environment was made from.
        "$HOME/venv/bin:$PATH'": "$HOME/venv/bin:$PATH PYTHONPATH=$HOME/ssgan'",
        "test -x ~/venv/bin/pip || python3 -m venv ~/venv": f"ln -sfn {venv} ~/venv",
        "~/venv/bin/pip install --quiet -c ~/ssgan/constraints.txt ~/ssgan": "true",
    }.items():
        if shipped not in setup:
            raise ValueError(f"{SHIPPED} has no {shipped!r} in its setup_commands any more")
        setup = setup.replace(shipped, own)
    tree["setup_commands"] = setup.splitlines()
    tree["provider"] |= {
        "head_ip": head.address,
        "worker_ips": [worker.address for worker in workers],
    }
    tree["auth"] = {"ssh_user": "root", "ssh_private_key": str(lan.key)}
    tree["min_workers"] = tree["max_workers"] = len(workers)
    for commands in (tree["head_start_ray_commands"], tree["worker_start_ray_commands"]):
        commands[1] = f"{commands[1]} {_SMALL}"
    file = lan.desk.folder / "cluster.yaml"
    file.write_text(yaml.safe_dump(tree, sort_keys=False, width=1000))
    return file
