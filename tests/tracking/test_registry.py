"""The champion changes hands only where two versions can be compared."""

import json
from pathlib import Path
from statistics import mean, stdev

import pytest
from mlflow import MlflowClient

from ssgan.method.codes import Code, LatentSpace
from ssgan.networks.dcgan import DcganConfig
from ssgan.records.rundir import RunDir
from ssgan.tracking.registry import Champion, register_champion
from ssgan.tracking.search import sync_search
from tests.helpers.exports import save_untrained
from tests.helpers.searchdirs import commit, fill_search, make_search, tiny

IDENTITY = {"data": "d" * 64, "labels": "l" * 64, "judge": "j" * 64}


@pytest.fixture
def model(uri: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A registered model of the test's own; an export folder's name is its version."""
    name = f"model {request.node.name}"
    client = MlflowClient(uri)
    client.create_registered_model(name)

    def register(_: str, export: str | Path, name: str, *__: object) -> tuple[str, int]:
        number = int(str(export))
        if number > len(client.search_model_versions(f"name = '{name}'")):
            client.create_model_version(name, "file:///nowhere")
        return name, number

    monkeypatch.setattr("ssgan.tracking.registry.register", register)
    return name


def put_forward(
    uri: str, model: str, version: int, value: float, mode: str = "min", **identity: str
) -> Champion:
    champion = register_champion(
        uri,
        str(version),
        model,
        RunDir("nowhere"),
        metric=("zero_one_loss_ema", value),
        identity={**IDENTITY, **identity},
        mode="max" if mode == "max" else "min",
    )
    assert champion[:2] == (model, version)
    return champion


def champion_of(uri: str, model: str) -> int:
    return int(MlflowClient(uri).get_model_version_by_alias(model, "champion").version)


def test_the_better_one_is_the_champion(uri: str, model: str) -> None:
    first = put_forward(uri, model, 1, 0.02)
    assert first.is_champion
    assert first.reason == "there was no champion before"
    worse = put_forward(uri, model, 2, 0.03)
    assert not worse.is_champion
    assert worse.reason == (
        "the champion, version 1, has zero_one_loss_ema 0.0200 and is not beaten by 0.0300"
    )
    assert champion_of(uri, model) == 1
    assert put_forward(uri, model, 3, 0.01).is_champion
    assert champion_of(uri, model) == 3
    assert not put_forward(uri, model, 4, 0.01).is_champion  # as good is not better


def test_more_can_be_better(uri: str, model: str) -> None:
    put_forward(uri, model, 1, 0.9, "max")
    assert not put_forward(uri, model, 2, 0.8, "max").is_champion
    assert put_forward(uri, model, 3, 0.95, "max").is_champion


def test_the_same_version_stays_champion(uri: str, model: str) -> None:
    put_forward(uri, model, 1, 0.02)
    again = put_forward(uri, model, 1, 0.02)
    assert (again.is_champion, again.reason) == (True, "it is the champion already")


@pytest.mark.parametrize("part", ["data", "labels", "judge"])
def test_what_was_measured_otherwise_is_not_compared(uri: str, model: str, part: str) -> None:
    put_forward(uri, model, 1, 0.02)
    other = put_forward(uri, model, 2, 0.001, **{part: "f" * 64})
    assert not other.is_champion
    assert other.reason.endswith(f"cannot be compared with it: it has another {part}")
    assert champion_of(uri, model) == 1
    tags = MlflowClient(uri).get_model_version(model, "2").tags
    assert tags[f"ssgan.same.{part}"] == "f" * 64
    assert (tags["ssgan.metric"], float(tags["ssgan.metric_value"])) == ("zero_one_loss_ema", 0.001)


def test_the_run_of_the_champion_is_marked_and_that_of_the_one_before_is_not(
    uri: str, model: str
) -> None:
    client = MlflowClient(uri)
    experiment = client.create_experiment(f"runs of {model}")
    runs = [client.create_run(experiment).info.run_id for _ in range(3)]
    for run in runs:
        client.create_model_version(model, "file:///nowhere", run)
    for version, value in enumerate((0.03, 0.01, 0.02), start=1):
        put_forward(uri, model, version, value)
    marks = [client.get_run(run).data.tags.get("ssgan.champion") for run in runs]
    assert marks == [None, f"{model}, version 2", None]


def test_a_champion_that_a_user_chose_is_left_alone(uri: str, model: str) -> None:
    client = MlflowClient(uri)
    client.create_model_version(model, "file:///nowhere")
    client.set_registered_model_alias(model, "champion", "1")
    ours = put_forward(uri, model, 2, 0.02)
    assert not ours.is_champion
    assert "another metric, data, judge, labels" in ours.reason


def test_an_export_of_a_final_belongs_to_its_run_in_the_search(tmp_path: Path, uri: str) -> None:
    search = make_search(tmp_path, "a search with a champion")
    row = fill_search(search, trials=2, epochs=2, finals=1)[-1]
    run = search.run(row)
    space = LatentSpace(
        supervised=(Code(name="digit", kind="categorical", classes=("0", "1")),),
        unsupervised=(),
        noise=2,
    )
    networks = DcganConfig(width=4, hidden=16, q_hidden=8)
    export = tmp_path / search.info.name / row.run / "export"
    save_untrained(export, networks, space, (1, 16, 16), run_id=run.run_id)
    losses = [one.metric or 0.0 for one in search.rows() if one.stage == "final"]
    sync_search(uri, search)
    champions = [
        register_champion(
            uri,
            export,
            "digits",
            run,
            metric=("zero_one_loss_ema", 0.02),
            identity=IDENTITY,
            experiment=search.info.name,
        )
        for _ in range(2)
    ]
    assert [(one.version, one.is_champion) for one in champions] == [(1, True), (1, True)]
    client = MlflowClient(uri)
    version = client.get_model_version_by_alias("digits", "champion")
    assert [code["name"] for code in json.loads(version.tags["ssgan.codes"])][:1] == ["digit"]
    assert f"{mean(losses):.4f} ± {stdev(losses):.4f} (n = 3)" in version.description
    assert "mlflow models serve -m models:/digits/1" in version.description
    assert client.get_registered_model("digits").description == version.description
    source = client.get_run(version.run_id)
    assert source.data.tags["ssgan.trial"] == row.trial
    assert source.data.tags["ssgan.champion"] == "digits, version 1"
    experiment = client.get_experiment_by_name(search.info.name)
    assert len(client.search_runs([experiment.experiment_id])) == 1 + len(search.rows())
    # What follows of the search does not mind.
    commit(run, 7, 3, 0.1, tiny(7, 3, 0.1))
    search.write_rows(
        one if one != row else one.model_copy(update={"epoch": 3}) for one in search.rows()
    )
    assert sync_search(uri, search).epochs == 1
    assert [one.version for one in client.search_model_versions("name = 'digits'")] == [
        version.version
    ]
