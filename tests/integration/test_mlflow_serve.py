"""`mlflow models serve` of a registered export: named codes over HTTP, no pickle allowed."""

import base64
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pytest
from PIL import Image

from ssgan.export import NamedGenerator
from ssgan.method.codes import Code, LatentSpace
from ssgan.networks.dcgan import DcganConfig
from ssgan.records.rundir import RunDir
from ssgan.tracking.registry import register
from ssgan.tracking.store import default_uri
from tests.helpers.exports import save_untrained
from tests.helpers.servers import HOST, Server, commit, picture, post, synthetic_run

pytestmark = pytest.mark.integration

SPACE = LatentSpace(
    supervised=(
        Code(name="digit", kind="categorical", classes=tuple("0123456789")),
        Code(name="angle", kind="continuous", low=-45, high=45),
    ),
    unsupervised=(Code(name="my style", kind="continuous"),),
    noise=6,
)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A run with an export of untrained networks."""
    run = synthetic_run(tmp_path / "run")
    commit(run, 1, picture(1))
    networks = DcganConfig(width=8, hidden=32)
    save_untrained(tmp_path / "run/export", networks, SPACE, (1, 16, 16), run_id=run.run_id)
    run.write_summary({"epochs": 1})
    return run


def test_a_registered_export_is_served_without_a_pickle(
    tmp_path: Path, run: RunDir, serve: Callable[[Server], Server]
) -> None:
    uri, export = default_uri(tmp_path), tmp_path / "run/export"
    before = (mlflow.get_tracking_uri(), mlflow.get_registry_uri(), list(sys.path))
    name, version = register(uri, export, "digits", run)
    assert (name, version) == ("digits", 1)
    assert register(uri, export, "digits", run) == (name, version)  # the same export, once
    assert (mlflow.get_tracking_uri(), mlflow.get_registry_uri(), sys.path) == before

    client = mlflow.MlflowClient(uri)
    source = client.get_model_version(name, str(version))
    assert source.tags["ssgan.run_id"] == run.run_id
    model = client.get_logged_model(source.source.removeprefix("models:/"))
    assert client.get_experiment(model.experiment_id).name == "digits"
    assert model.source_run_id == source.run_id
    files = [file for _, _, names in os.walk(tmp_path / "mlartifacts") for file in names]
    assert "model.safetensors" in files
    assert not [file for file in files if file.endswith((".pkl", ".pickle", ".pt"))]

    server = serve(
        Server(
            [
                *(sys.executable, "-m", "mlflow", "models", "serve"),
                *("--model-uri", f"models:/{name}/{version}", "--env-manager", "local"),
                *("--host", HOST, "--port", "PORT", "--workers", "1"),
            ],
            "/ping",
            tmp_path / "serve.log",
            MLFLOW_TRACKING_URI=uri,
            MLFLOW_ALLOW_PICKLE_DESERIALIZATION="false",
        )
    )
    answer = post(
        f"{server.url}/invocations",
        {
            "dataframe_records": [
                {"digit": 7, "angle": 30, "my style": -1},
                {"digit": "3", "angle": None},
            ],
            "params": {"n": 2, "seed": 4},
        },
    )
    predictions = answer["predictions"]
    assert [(one["row"], one["codes"]["digit"]) for one in predictions] == [
        *((0, "7"), (0, "7"), (1, "3"), (1, "3"))
    ]
    shown = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(one["image"])))) for one in predictions
    ]
    local = NamedGenerator.load(export)
    expected = local.sample(digit=7, angle=30, codes={"my style": -1}, n=2, seed=4)
    np.testing.assert_allclose(np.stack(shown[:2]), expected[..., 0], atol=1)
    np.testing.assert_allclose(
        np.stack(shown[2:]), local.sample(digit=3, n=2, seed=4)[..., 0], atol=1
    )

    wrong = post(f"{server.url}/invocations", {"dataframe_records": [{"digit": 12, "angle": 0}]})
    assert "no class 12" in wrong["message"]
    assert "its classes are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9" in wrong["message"]
    misspelled = post(f"{server.url}/invocations", {"dataframe_records": [{"digt": 1, "angle": 0}]})
    assert "no code is named 'digt'; did you mean 'digit'" in misspelled["message"]
    free = post(f"{server.url}/invocations", {"dataframe_records": [{"digit": 5}, {"angle": 9}]})
    assert [one["row"] for one in free["predictions"]] == [0, 1]
    array = post(
        f"{server.url}/invocations",
        {"dataframe_split": {"columns": ["digit", "angle"], "data": [[1, 0]]}}
        | {"params": {"format": "array"}},
    )
    assert np.shape(array["predictions"][0]["image"]) == (16, 16, 1)
