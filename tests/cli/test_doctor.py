"""`ssgan doctor`: checks in a table or as JSON; what is wrong ends with 1."""

import json
from collections.abc import Iterator

import pytest

from ssgan.cluster import examination
from ssgan.cluster.nodes import Check


def test_this_machine_without_ray(ssgan) -> None:
    done = ssgan("doctor", "--no-ray")
    assert "torch" in done.out
    assert "CPU cores" in done.out


def test_a_wrong_thing_is_named_with_its_remedy(ssgan, monkeypatch: pytest.MonkeyPatch) -> None:
    def checks(*arguments: object, **named: object) -> Iterator[Check]:
        yield Check("python", True, "3.11.7", "never shown")
        yield Check("memory", False, "0.1 GiB free", "end other programs")

    monkeypatch.setattr(examination, "examine", checks)
    done = ssgan("doctor")
    assert done.code == 1
    assert "WRONG" in done.out
    assert "end other programs" in done.out
    assert "never shown" not in done.out
    found = json.loads(ssgan("doctor", "--json").out)["checks"]
    assert [check["ok"] for check in found] == [True, False]


def test_the_environment_says_where_to_look(ssgan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSGAN_OUT", "some/runs")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "ftp://nowhere")
    checks = json.loads(ssgan("doctor", "--no-ray", "--json").out)["checks"]
    found = {check["name"]: check for check in checks}
    assert found["output"]["detail"].startswith("some/runs: ")
    assert not found["tracking"]["ok"]


def test_a_tracking_server_that_is_not_there(ssgan) -> None:
    done = ssgan("doctor", "--no-ray", "--uri", "ftp://nowhere", "--json")
    assert done.code == 1
    wrong = [check["name"] for check in json.loads(done.out)["checks"] if not check["ok"]]
    assert wrong == ["tracking"]
