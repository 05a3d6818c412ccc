import socket
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ssgan.base.errors import BadInput
from ssgan.cluster import nodes as module
from ssgan.cluster.capacity import Node
from ssgan.cluster.connection import Cluster
from ssgan.cluster.nodes import (
    NodeReport,
    check_network,
    check_nodes,
    check_storage,
    check_zones,
    look_around,
    own_versions,
    require_shared,
)

TOKEN, NODE = ".ssgan-probe-1", "node-1"
NODES = {"a": "head (10.0.0.1)", "b": "worker (10.0.0.2)"}
FINE = NodeReport(own_versions(), storage="", network="")


def test_nodes_that_agree() -> None:
    reports = {"a": FINE, "b": FINE}
    assert check_nodes(NODES, reports).ok
    assert check_storage("/runs", NODES, reports, {"driver", "a", "b"}).ok
    assert check_network(NODES, reports).ok


def test_a_node_with_other_versions_or_without_the_package() -> None:
    other = replace(FINE, versions=own_versions() | {"torch": "1.0"})
    check = check_nodes(NODES, {"a": other, "b": "ModuleNotFoundError: No module named 'ssgan'"})
    assert not check.ok
    assert "head (10.0.0.1) has torch 1.0 (here " in check.detail
    assert "worker (10.0.0.2): ModuleNotFoundError" in check.detail
    assert "constraints.txt" in check.remedy


def test_a_folder_that_is_not_shared() -> None:
    lost = check_storage("/runs", NODES, {"a": FINE, "b": FINE}, {"driver", "a"})
    assert not lost.ok
    assert lost.detail == "/runs worker (10.0.0.2): what it wrote is not seen here"
    private = {"a": FINE, "b": replace(FINE, storage="is another folder there")}
    check = check_storage("/runs", NODES, private, {"driver", "a"})
    assert check.detail == "/runs worker (10.0.0.2): is another folder there"
    assert "SSGAN_OUT" in check.remedy


def test_workers_of_a_training_belong_into_one_zone() -> None:
    several = check_zones(["us-east-1a", "us-east-1b"], 2)
    assert not several.ok
    assert several.detail == "machines may stand in us-east-1a, us-east-1b"
    assert "provider.availability_zone" in several.remedy
    assert check_zones(["us-east-1a", "us-east-1b"], 1).ok
    assert check_zones(["us-east-1a"], 8).ok


def two(started: bool = False, growth: tuple[Node, ...] = ()) -> Cluster:
    count = 1 if growth else 2
    return Cluster("10.0.0.1:6379", (Node(2),) * count, started, growth)


@pytest.mark.parametrize(
    ("found", "report", "said"),
    [
        ({"driver", "a", "b"}, FINE, None),
        ({"driver", "a"}, FINE, r"worker \(10.0.0.2\): what it wrote is not seen.* SSGAN_OUT"),
        ({"driver", "a"}, "no answer within 180 s", r"worker .*: no answer within 180 s; install"),
    ],
)
def test_a_folder_of_runs_must_be_shared_by_all(
    found: set[str],
    report: NodeReport | str,
    said: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_probe", lambda folder: (NODES, {"a": FINE, "b": report}, found))
    with nullcontext() if said is None else pytest.raises(BadInput, match=said):
        require_shared(two(), str(tmp_path))
    # These need no question, or cannot be asked.
    require_shared(two(), "mock:///runs")
    require_shared(two(started=True), str(tmp_path))


def test_machines_to_come_cannot_be_asked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    require_shared(two(growth=(Node(8, 1),)), str(tmp_path))
    assert "which will join share too" in caplog.text


def test_names_that_do_not_resolve() -> None:
    check = check_network(NODES, {"a": FINE, "b": replace(FINE, network="cannot resolve head")})
    assert not check.ok
    assert check.detail == "worker (10.0.0.2) cannot resolve head"
    assert "GLOO_SOCKET_IFNAME" in check.remedy


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Host names and their addresses; this one's own is `here`."""
    known = {"here": "10.0.0.2", "head": "10.0.0.1"}

    def resolve(name: str, *arguments: Any, **named: Any) -> list[Any]:
        if name not in known:
            raise socket.gaierror(f"{name} is unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (known[name], 0))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "gethostname", lambda: "here")
    return known


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder of runs where the driver left its file."""
    (tmp_path / TOKEN).mkdir()
    (tmp_path / TOKEN / "driver").touch()
    return tmp_path


def test_a_node_without_faults(shared: Path, names: dict[str, str]) -> None:
    report = look_around(str(shared), TOKEN, NODE, ["head"], None)
    assert (report.storage, report.network) == ("", "")
    assert report.versions == own_versions()
    assert set(report.versions) == {"python", "ssgan", "torch", "ray"}
    assert (shared / TOKEN / NODE).exists()


def test_a_folder_that_is_another_one_there_is_left_clean(
    tmp_path: Path, names: dict[str, str]
) -> None:
    report = look_around(str(tmp_path), TOKEN, NODE, [], None)
    assert report.storage == "is another folder there"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path: Path, names: dict[str, str]) -> None:
    (tmp_path / "file").touch()
    report = look_around(str(tmp_path / "file"), TOKEN, NODE, [], None)
    assert report.storage.startswith("cannot be written there: ")


def test_a_node_that_cannot_resolve_names(shared: Path, names: dict[str, str]) -> None:
    del names["here"]
    others = ["head", "third", "fourth"]
    assert look_around(str(shared), TOKEN, NODE, others, None).network == (
        "cannot resolve third, fourth"
    )
    assert look_around(str(shared), TOKEN, NODE, ["head"], None).network == (
        "cannot resolve its own name, here"
    )


def test_a_name_that_leads_back_to_the_machine_itself(shared: Path, names: dict[str, str]) -> None:
    names["here"] = "127.0.1.1"
    report = look_around(str(shared), TOKEN, NODE, ["head"], None)
    assert report.network == "takes its own name, here, for 127.0.1.1, which no other can reach"
    # Alone it needs to reach nobody.
    assert look_around(str(shared), TOKEN, NODE, [], None).network == ""
    del names["here"]
    assert look_around(str(shared), TOKEN, NODE, [], None).network == ""


def test_an_interface_makes_names_needless(shared: Path, names: dict[str, str]) -> None:
    names.clear()
    assert look_around(str(shared), TOKEN, NODE, ["head"], "lo").network == ""
    report = look_around(str(shared), TOKEN, NODE, ["head"], "nope0")
    assert report.network.startswith("has no interface nope0, only lo")
