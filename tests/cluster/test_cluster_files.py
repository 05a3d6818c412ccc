"""The cluster files that ship: Ray's schema, a bootstrap in a pretended AWS, a shell's view."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from cfnlint.api import lint_file
from cfnlint.decode import decode
from moto import mock_aws
from ray.autoscaler._private.commands import _bootstrap_config
from ray.autoscaler._private.kuberay import autoscaling_config as kuberay
from ray.autoscaler._private.util import prepare_config, validate_config

from ssgan.cluster.autoscaler import growth
from ssgan.cluster.capacity import Node

PROJECT = Path(__file__).parents[2]
AWS = PROJECT / "cluster.yaml"
LOCAL = PROJECT / "docs/clusters/local.yaml"
ACCOUNT = PROJECT / "docs/clusters/aws-account.yaml"
MY_ADDRESS = "203.0.113.7/32"

both = pytest.mark.parametrize("file", [AWS, LOCAL], ids=["aws", "local"])


@both
def test_a_cluster_file_fits_rays_schema(file: Path) -> None:
    config = prepare_config(yaml.safe_load(file.read_text()))
    validate_config(config)
    assert config["max_workers"] >= 2
    assert config["setup_commands"] or config["head_setup_commands"]


@both
def test_all_that_an_installation_needs_is_synced_and_exists(file: Path) -> None:
    mounts = yaml.safe_load(file.read_text())["file_mounts"]
    assert {source for source in mounts.values() if not (PROJECT / source).exists()} == set()
    assert {"ssgan", "pyproject.toml", "constraints.txt", "README.md", "LICENSE"} <= set(
        mounts.values()
    )
    assert all(place == f"~/ssgan/{source}" for place, source in mounts.items())


@both
def test_the_shell_of_ray_submit_sees_the_environment(file: Path, tmp_path: Path) -> None:
    config = yaml.safe_load(file.read_text())
    plain = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    for _ in range(2):  # `ray up` runs them again on machines that are up
        for command in config["setup_commands"][:2]:
            subprocess.run(["bash", "-ec", command], env=plain, check=True)
    assert (tmp_path / ".bashrc").read_text().count("ssgan-env") == 1
    # As Ray's command runner does it, but without a terminal.
    shell = ["bash", "--login", "-c", "source ~/.bashrc; env"]
    told = subprocess.run(shell, env=plain, check=True, capture_output=True, text=True).stdout
    found = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
    assert found["RAY_ADDRESS"] == "auto"
    assert found["PATH"].startswith(f"{tmp_path}/venv/bin:")
    head = config["provider"].get("head_ip", "127.0.0.1")
    assert found["MLFLOW_TRACKING_URI"] == f"http://{head}:5000"
    assert found["SSGAN_OUT"].endswith("/runs")
    assert found["SSGAN_OUT"].startswith("s3://" if file == AWS else "/")


def test_workers_on_aws_know_the_address_of_mlflow(tmp_path: Path) -> None:
    config = yaml.safe_load(AWS.read_text())
    plain = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "RAY_HEAD_IP": "172.31.0.9"}
    subprocess.run(["bash", "-ec", config["setup_commands"][0]], env=plain, check=True)
    start = config["worker_start_ray_commands"][1].replace("ray start", "env; : ray start")
    told = subprocess.run(["bash", "-c", start], env=plain, capture_output=True, text=True).stdout
    assert "MLFLOW_TRACKING_URI=http://172.31.0.9:5000" in told


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A pretended AWS account with what the shipped template makes; yields its outputs."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))  # Ray writes its ssh key there
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "pretended")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        # The pretended one knows fewer images than AWS.
        template = re.sub(
            r"/aws/service/deeplearning/\S+",
            "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64",
            ACCOUNT.read_text(),
        )
        network = boto3.client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
        stacks = boto3.client("cloudformation")
        parameters = {"Address": MY_ADDRESS, "Network": network}
        stacks.create_stack(
            StackName="ssgan",
            TemplateBody=template,
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[
                {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
            ],
        )
        (stack,) = stacks.describe_stacks(StackName="ssgan")["Stacks"]
        yield {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


@pytest.fixture(scope="module")
def bootstrapped(account: dict[str, str]) -> dict[str, Any]:
    """The shipped file, filled in with the outputs, as Ray has it when it starts machines."""
    text = AWS.read_text()
    for placeholder, output in {
        "ami-00000000000000000": "Image",
        "sg-00000000000000000": "SecurityGroup",
        "arn:aws:iam::000000000000:instance-profile/head": "HeadProfile",
        "arn:aws:iam::000000000000:instance-profile/worker": "WorkerProfile",
        "FILL-IN-BUCKET": "Bucket",
    }.items():
        assert text.count(placeholder) == 1, placeholder
        text = text.replace(placeholder, account[output])
    return dict(_bootstrap_config(yaml.safe_load(text), no_config_cache=True))


def test_ray_finds_everything_it_starts_machines_with(
    account: dict[str, str], bootstrapped: dict[str, Any]
) -> None:
    head, worker = (bootstrapped["available_node_types"][name] for name in ("head", "worker"))
    assert worker["resources"] | {"memory": 0} == {
        "CPU": 8,
        "GPU": 1,
        "accelerator_type:L4": 1,
        "memory": 0,
    }
    assert worker["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert "InstanceMarketOptions" not in head["node_config"]
    for kind, profile in ((head, "HeadProfile"), (worker, "WorkerProfile")):
        machine = kind["node_config"]
        assert machine["IamInstanceProfile"]["Arn"] == account[profile]
        assert machine["SecurityGroupIds"] == [account["SecurityGroup"]]
        assert machine["MetadataOptions"] == {"HttpTokens": "required"}
        assert machine["SubnetIds"]
        assert machine["KeyName"]


def test_the_preflight_counts_the_workers_that_may_come(bootstrapped: dict[str, Any]) -> None:
    assert growth(bootstrapped, [Node(2)]) == (Node(8, 1),) * 4


def test_kuberay_reads_how_far_the_ray_job_may_grow() -> None:
    job = yaml.safe_load((PROJECT / "docs/clusters/rayjob.yaml").read_text())
    cluster = {
        "metadata": {"name": "ssgan", "namespace": "x"},
        "spec": job["spec"]["rayClusterSpec"],
    }
    config = kuberay._derive_autoscaling_config_from_ray_cr(cluster)
    assert growth(config, [Node(2)]) == (Node(8, 1),) * 4
    pinned = re.search(r"^ray==(\S+)", (PROJECT / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned is not None
    assert job["spec"]["rayClusterSpec"]["rayVersion"] == pinned[1]


def test_the_slurm_script_is_one_that_bash_reads() -> None:
    script = PROJECT / "docs/clusters/slurm.sh"
    subprocess.run(["bash", "-n", str(script)], check=True)


def test_nothing_is_open_to_the_world(
    account: dict[str, str], bootstrapped: dict[str, Any]
) -> None:
    groups = {
        g["GroupId"]: g for g in boto3.client("ec2").describe_security_groups()["SecurityGroups"]
    }
    # Ray made no group of its own, which would let the whole world in by ssh.
    assert {group["GroupName"] for group in groups.values()} == {
        "default",
        groups[account["SecurityGroup"]]["GroupName"],
    }
    outside = []
    for rule in groups[account["SecurityGroup"]]["IpPermissions"]:
        addresses = [entry["CidrIp"] for entry in rule["IpRanges"]]
        within = [pair["GroupId"] for pair in rule["UserIdGroupPairs"]]
        assert addresses or within == [account["SecurityGroup"]]
        outside += [(rule["FromPort"], rule["ToPort"], address) for address in addresses]
    assert outside == [(22, 22, MY_ADDRESS)]
    bucket = decode(str(ACCOUNT))[0]["Resources"]["Bucket"]["Properties"]
    assert list(bucket["PublicAccessBlockConfiguration"].values()) == [True] * 4


@pytest.mark.parametrize(
    ("address", "is_taken"),
    [("203.0.113.7/32", True), ("10.0.0.0/8", True), ("0.0.0.0/0", False), ("1.2.3.4/0", False)],
)
def test_the_whole_world_is_no_address(address: str, is_taken: bool) -> None:
    pattern = re.search(r"AllowedPattern: (\S+)", ACCOUNT.read_text())
    assert pattern is not None
    assert bool(re.fullmatch(pattern[1], address)) == is_taken


def test_the_template_is_one_that_aws_takes() -> None:
    assert [str(fault) for fault in lint_file(ACCOUNT)] == []
