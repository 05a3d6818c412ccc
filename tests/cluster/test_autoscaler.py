import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ssgan.cluster import autoscaler
from ssgan.cluster.autoscaler import find_growth, find_zones, growth
from ssgan.cluster.capacity import Node

HEAD, GPU, CPU = Node(2), Node(8, 1), Node(16)
ADDRESS = "10.0.0.1:6379"


def limits(**changed: Any) -> dict[str, Any]:
    return {
        "max_workers": 5,
        "head_node_type": "head",
        "available_node_types": {
            "head": {"resources": {"CPU": 2}, "max_workers": 0},
            "gpu": {"resources": {"CPU": 8, "GPU": 1}, "max_workers": 3},
            "cpu": {"resources": {"CPU": 16, "memory": 2**35}},
        },
        **changed,
    }


@pytest.mark.parametrize(
    ("alive", "expected"),
    [
        # Five in all, and those with a GPU first.
        ([HEAD], [GPU, GPU, GPU, CPU, CPU]),
        ([HEAD, GPU], [GPU, GPU, CPU, CPU]),
        ([HEAD, GPU, GPU, GPU, CPU], [CPU]),
        ([HEAD, GPU, GPU, GPU, CPU, CPU], []),
        ([HEAD, GPU, GPU, GPU, GPU, GPU, GPU], []),
    ],
)
def test_growth_is_what_may_be_less_what_is(alive: list[Node], expected: list[Node]) -> None:
    assert list(growth(limits(), alive)) == expected


def test_types_of_unknown_size_do_not_count() -> None:
    local = {"local.cluster.node": {"resources": {}, "node_config": {}, "max_workers": 2}}
    found = limits(available_node_types=local, head_node_type="local.cluster.node")
    assert growth(found, [HEAD]) == ()
    assert growth({"provider": {"type": "readonly"}}, [HEAD]) == ()


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[Path]:
    """A process with the command line of Ray's autoscaler; yields its file."""
    file = tmp_path / "ray_bootstrap_config.yaml"
    options = [f"--gcs-address={ADDRESS}", f"--autoscaling-config={file}"]
    sleeper = [sys.executable, "-c", "print(flush=True); input()", *options]
    process = subprocess.Popen(sleeper, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    yield file
    process.kill()
    process.communicate()


def test_the_file_of_the_autoscaler_here_is_read(monitor: Path) -> None:
    monitor.write_text(yaml.safe_dump(limits(max_workers=1)))
    assert find_growth(ADDRESS, [HEAD]) == (GPU,)
    # Another cluster's autoscaler says nothing about this one.
    assert find_growth("10.0.0.2:6379", [HEAD]) == ()


def test_the_file_of_the_autoscaler_names_the_zones_of_machines(monitor: Path) -> None:
    provider = {"type": "aws", "availability_zone": "us-east-1a, us-east-1b"}
    monitor.write_text(yaml.safe_dump(limits(provider=provider)))
    assert find_zones(ADDRESS) == ("us-east-1a", "us-east-1b")
    monitor.write_text(yaml.safe_dump(limits(provider={"type": "local"})))
    assert find_zones(ADDRESS) == ()
    monitor.unlink()
    assert find_zones(ADDRESS) == ()


def test_a_file_that_cannot_be_read_warns(monitor: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert find_growth(ADDRESS, [HEAD]) == ()
    assert "cannot read how far this cluster may grow" in caplog.text


def test_kubernetes_is_asked_for_the_cluster_of_this_pod(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray.autoscaler._private.kuberay import autoscaling_config

    asked = []

    class Kubernetes:
        def __init__(self, name: str, namespace: str) -> None:
            asked.append((name, namespace))

        def __call__(self) -> dict[str, Any]:
            return limits(max_workers=2)

    namespace = tmp_path / "namespace"
    namespace.write_text("research\n")
    monkeypatch.setattr(autoscaler, "_NAMESPACE", namespace)
    monkeypatch.setattr(autoscaling_config, "AutoscalingConfigProducer", Kubernetes)
    monkeypatch.setenv("RAY_CLUSTER_NAME", "ssgan")
    assert find_growth(ADDRESS, [HEAD]) == ()
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.1.0.1")
    assert find_growth(ADDRESS, [HEAD]) == (GPU, GPU)
    assert asked == [("ssgan", "research")]
