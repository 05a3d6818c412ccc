from dataclasses import replace

from ssgan.cluster.nodes import judge_network, judge_nodes, judge_storage
from ssgan.cluster.probe import Report, own_versions

NODES = {"a": "head (10.0.0.1)", "b": "worker (10.0.0.2)"}
FINE = Report(own_versions(), storage="", network="")


def test_nodes_that_agree() -> None:
    reports = {"a": FINE, "b": FINE}
    assert judge_nodes(NODES, reports).ok
    assert judge_storage("/runs", NODES, reports, {"driver", "a", "b"}).ok
    assert judge_network(NODES, reports).ok


def test_a_node_with_other_versions_or_without_the_package() -> None:
    other = replace(FINE, versions=own_versions() | {"torch": "1.0"})
    check = judge_nodes(NODES, {"a": other, "b": "ModuleNotFoundError: No module named 'ssgan'"})
    assert not check.ok
    assert "head (10.0.0.1) has torch 1.0 (here " in check.detail
    assert "worker (10.0.0.2): ModuleNotFoundError" in check.detail
    assert "constraints.txt" in check.remedy


def test_a_folder_that_is_not_shared() -> None:
    lost = judge_storage("/runs", NODES, {"a": FINE, "b": FINE}, {"driver", "a"})
    assert not lost.ok
    assert lost.detail == "/runs worker (10.0.0.2): what it wrote is not seen here"
    private = {"a": FINE, "b": replace(FINE, storage="is another folder there")}
    check = judge_storage("/runs", NODES, private, {"driver", "a"})
    assert check.detail == "/runs worker (10.0.0.2): is another folder there"
    assert "SSGAN_OUT" in check.remedy


def test_names_that_do_not_resolve() -> None:
    check = judge_network(NODES, {"a": FINE, "b": replace(FINE, network="cannot resolve head")})
    assert not check.ok
    assert check.detail == "worker (10.0.0.2) cannot resolve head"
    assert "GLOO_SOCKET_IFNAME" in check.remedy
