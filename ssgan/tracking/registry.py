"""Exported generators as versions of a registered model, without a pickle in them."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import mlflow
from mlflow.models import Model

import ssgan
from ssgan.export import NamedGenerator, serving
from ssgan.export.format import MANIFEST
from ssgan.records.rundir import RunDir
from ssgan.tracking.facts import experiment_of
from ssgan.tracking.recorder import Recorder
from ssgan.tracking.store import connect

_EXPORT_TAG = "ssgan.export"
# What ssgan.export.serving imports; the code itself travels with the model (code_paths).
_REQUIREMENTS = ("mlflow", "numpy", "pandas", "pillow", "pydantic", "safetensors", "torch")


def register(
    uri: str, export_dir: str | Path, name: str, run: RunDir, experiment: str | None = None
) -> tuple[str, int]:
    """Make an export a version of a registered model; the same export stays one version.

    Args:
        uri: MLflow tracking and registry URI.
        export_dir: A local export folder.
        name: Name of the registered model.
        run: The run that it comes from; it is synced first.
        experiment: MLflow experiment of the run; its own by default.

    Returns:
        Name and version: ``mlflow models serve -m models:/NAME/VERSION``.

    Raises:
        BadInput: The export is missing or damaged.
        MlflowException: MLflow does not answer.
    """
    folder = Path(export_dir)
    generator = NamedGenerator.load(folder)
    client = connect(uri)
    digest = sha256((folder / MANIFEST).read_bytes()).hexdigest()
    for known in client.search_model_versions(f"name = '{name}'"):
        if known.tags.get(_EXPORT_TAG) == digest:
            return name, int(known.version)
    report = Recorder(uri, experiment or experiment_of(run), keeps_view=False).sync(run)
    # Made here, because Model.log would put it into whatever experiment is active.
    model = client.create_logged_model(
        client.get_run(report.mlflow_run_id).info.experiment_id,
        name="generator",
        source_run_id=report.mlflow_run_id,
    )
    with _talking_to(uri):
        info = Model.log(
            artifact_path=None,
            model_id=model.model_id,
            flavor=mlflow.pyfunc,
            run_id=report.mlflow_run_id,
            registered_model_name=name,
            loader_module="ssgan.export.serving",
            data_path=str(folder),
            code_paths=[str(Path(ssgan.__file__).parent)],
            signature=serving.signature(generator),
            input_example=serving.input_example(generator),
            pip_requirements=[f"{one}=={version(one)}" for one in _REQUIREMENTS],
            step=report.epochs,
        )
    number = int(info.registered_model_version)
    knobs = [knob._asdict() for knob in generator.codes]
    client.set_model_version_tag(name, str(number), "ssgan.run_id", run.run_id)
    client.set_model_version_tag(name, str(number), "ssgan.method.codes", json.dumps(knobs)[:5000])
    client.set_model_version_tag(name, str(number), _EXPORT_TAG, digest)
    return name, number


@contextmanager
def _talking_to(uri: str) -> Iterator[None]:
    """Point MLflow's global state, which `Model.log` uses, at a store for a while."""
    before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    path = sys.path[:]
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)  # type: ignore[arg-type]  # None unsets it
        sys.path[:] = path  # validating the input example puts the model's copy of us there
