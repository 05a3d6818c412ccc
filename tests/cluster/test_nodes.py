from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from ssgan.base.errors import BadInput
from ssgan.cluster import Cluster, Node
from ssgan.cluster import nodes as module
from ssgan.cluster.nodes import check_network, check_nodes, check_storage, require_shared
from ssgan.cluster.probe import NodeReport, own_versions

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
