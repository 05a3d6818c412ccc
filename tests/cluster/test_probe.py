"""One node's look around: names are resolved by a stub, since machines differ in their files."""

import socket
from pathlib import Path
from typing import Any

import pytest

from ssgan.cluster.probe import look_around, own_versions

TOKEN, NODE = ".ssgan-probe-1", "node-1"


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


def test_names_that_do_not_resolve(shared: Path, names: dict[str, str]) -> None:
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
