"""The cluster file for the hosts: the on-premises one of the docs, with what must be filled in.

Two things come from the one for AWS: workers ask whether they are taken back, and the own processes
of trials stand on the head.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from hosts import Lan

PROJECT = Path(__file__).parents[2]
SHIPPED = PROJECT / "docs/clusters/local.yaml"
AWS = PROJECT / "cluster.yaml"
MLFLOW_PORT = 5000
METADATA_PORT = 1338
# A worker of a trial takes nine tenths of a host's one core, so that the two of a trial always
# stand on two hosts; the trial's own process finds room in the rest.
_SMALL = "--num-cpus=1 --object-store-memory=200000000"


def write_cluster_file(lan: Lan, runs: str, keys: Mapping[str, str], venv: Path) -> Path:
    """Fill in the shipped file.

    Args:
        lan: The hosts, the head first.
        runs: URI of the folder of runs.
        keys: Environment variables that open it; the head alone has them.
        venv: Virtual environment with ssgan's requirements, used instead of one for each host.

    Returns:
        The file, in the private folder of the desk.
    """
    head, *workers = lan.hosts
    tree: dict[str, Any] = yaml.safe_load(SHIPPED.read_text())
    setup = "\n".join(tree["setup_commands"])
    exported = " ".join(f"{name}={value}" for name, value in keys.items())
    pip = "~/venv/bin/pip install --quiet -c ~/ssgan/constraints.txt"
    for shipped, own in {
        "SSGAN_OUT=/shared/ssgan/runs": f'SSGAN_OUT="{runs}"',
        f"{tree['provider']['head_ip']}:{MLFLOW_PORT}": f"{head.address}:{MLFLOW_PORT}",
        # The synced project comes before the one that the environment was made from.
        "$HOME/venv/bin:$PATH'": "$HOME/venv/bin:$PATH PYTHONPATH=$HOME/ssgan'",
        "test -x ~/venv/bin/pip || python3 -m venv ~/venv": f"ln -sfn {venv} ~/venv",
        f'{pip} "$HOME/ssgan[train,neighbors]"': "true",
    }.items():
        if shipped not in setup:
            raise ValueError(f"{SHIPPED} has no {shipped!r} in its setup_commands any more")
        setup = setup.replace(shipped, own)
    tree["setup_commands"] = setup.splitlines()
    tree["head_setup_commands"] = [f"echo 'export {exported}' >> ~/.ssgan-env"]
    tree["provider"] |= {
        "head_ip": head.address,
        "worker_ips": [worker.address for worker in workers],
    }
    tree["auth"] = {"ssh_user": "root", "ssh_private_key": str(lan.key)}
    tree["min_workers"] = tree["max_workers"] = len(workers)
    aws = yaml.safe_load(AWS.read_text())
    (stays,) = (
        f'"{name}": 1' for name in aws["available_node_types"]["head"]["resources"].keys() - {"CPU"}
    )
    tree["head_start_ray_commands"][1] += f" {_SMALL} --resources='{{{stays}}}'"
    tree["worker_start_ray_commands"][1] += f" {_SMALL}"
    place = f"export AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:{METADATA_PORT}"
    tree["worker_start_ray_commands"] += [f"{place}; {aws['worker_start_ray_commands'][2]}"]
    file = lan.desk.folder / "cluster.yaml"
    file.write_text(yaml.safe_dump(tree, sort_keys=False, width=1000))
    return file


def start_commands(file: Path, head: str) -> str:
    """Return a script that lets a worker join, as `ray up` does."""
    commands = yaml.safe_load(file.read_text())["worker_start_ray_commands"]
    return "\n".join(["source ~/.bashrc", f"export RAY_HEAD_IP={head}", *commands])
