"""`ssgan view`: what it refuses before it serves anything."""

import socket
from pathlib import Path

from ssgan.base.local_server import HOST


def test_what_is_neither_a_run_nor_an_export_is_refused(ssgan, tmp_path: Path) -> None:
    done = ssgan("view", "nowhere", "--no-browser")
    assert done.code == 2
    assert "nowhere is not a run directory" in done.err
    assert "or an export, which has a generator.json" in done.err
    assert not (tmp_path / "nowhere").exists()


def test_an_export_that_was_changed_is_refused(ssgan, export: Path, tmp_path: Path) -> None:
    for file in export.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"other")
    done = ssgan("view", ".", "--no-browser")
    assert done.code == 2
    assert "model.safetensors changed after it was exported" in done.err


def test_a_port_that_is_taken_is_said(ssgan, export: Path) -> None:
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        done = ssgan("view", export, "--port", port, "--no-browser")
    assert done.code == 2
    assert f"the port {port} cannot be used" in done.err
