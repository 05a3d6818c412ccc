"""What a report says of the machine and of the project's state."""

import os
import subprocess
from pathlib import Path

import pytest
import torch

from ssgan.experiment.loading import load_experiment
from ssgan.launch import machine
from ssgan.launch.preparation import plan_here
from ssgan.records.rundir import RunDir


def test_the_machine_names_what_numbers_depend_on() -> None:
    said = machine.describe_machine()
    assert f"{os.cpu_count()} cores" in said
    assert f"torch {torch.__version__}" in said


def test_the_commit_is_that_of_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = tmp_path / "ssgan/launch"
    inside.mkdir(parents=True)
    monkeypatch.setattr(machine, "__file__", str(inside / "machine.py"))
    assert machine.describe_commit() is None

    def git(*arguments: str) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        command = ["git", "-C", str(tmp_path), *who, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "--quiet")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "--quiet", "--message", "Begin")
    commit = git("rev-parse", "--short=12", "HEAD")
    assert machine.describe_commit() == commit
    (tmp_path / "file").write_text("two")
    assert machine.describe_commit() == f"{commit}+"
    monkeypatch.chdir(inside)
    assert machine.source_commit() == f"{git('rev-parse', 'HEAD')}+"
    monkeypatch.chdir("/")
    assert machine.source_commit() is None


def test_another_commit_is_recorded_and_says_nothing_of_bits(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = RunDir.create(tmp_path / "run", "seed: 0")
    experiment = load_experiment("digits")
    plan = plan_here(experiment.scaling)
    for commit in ("a" * 40, "b" * 40, None):
        environment = machine.record_environment(run, experiment, plan, commit)
        assert run.read_json("environment.json") == environment
        assert environment.get("git_commit") == commit
    assert "will not end with the same bits" not in caplog.text
