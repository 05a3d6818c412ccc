"""The MLflow model of an exported generator: named codes in, images out, nothing pickled.

`mlflow models serve` answers ``POST /invocations``. Rows name the codes, ``params`` the rest::

    {"dataframe_records": [{"digit": 7}, {"digit": 3, "style_1": -0.5}],
     "params": {"n": 2, "seed": 0, "format": "png"}}

    {"predictions": [{"row": 0, "codes": {"digit": "7", "style_1": 0.3}, "image": "iVBORw0..."},
                     ...]}

There are n predictions a row, in order. Every code may be left out or null, and is drawn from the
prior then; `codes` gives the values that were used. A name that no code has, a class or a value
that cannot be are answered with the status 400 and the reason in ``message``. Images are base64
PNG files, or, with the format "array", nested lists of shape (H, W, C) from 0 to 255. Image i of a
row depends on (seed, i, codes) alone: rows with the same seed share noise and whatever else is
drawn.
"""

import base64
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType, Map
from numpy.typing import NDArray
from PIL import Image

from ssgan.base.errors import BadInput
from ssgan.export import NamedGenerator

_MAX_IMAGES = 10_000  # of one request: a typing error must not occupy the server for an hour


class ServedGenerator:
    """What MLflow's scoring server calls."""

    def __init__(self, generator: NamedGenerator) -> None:
        """Serve a generator."""
        self._generator = generator

    def predict(
        self, model_input: pd.DataFrame, params: Mapping[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Synthesize n images for each row of named codes, as `NamedGenerator.sample` takes them.

        Empty cells are drawn from the prior. The params are n (1), seed (0) and format ("png").

        Raises:
            MlflowException: A name, class, value or parameter is wrong; MLflow's server answers
                with the status 400 and this message.
        """
        try:
            return self._predict(model_input, params)
        except (BadInput, TypeError, OverflowError) as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error

    def _predict(
        self, model_input: pd.DataFrame, params: Mapping[str, Any] | None
    ) -> list[dict[str, Any]]:
        options = {"n": 1, "seed": 0, "format": "png", **(params or {})}
        n, seed, how = int(options["n"]), int(options["seed"]), options["format"]
        if how not in ("png", "array"):
            raise BadInput(f"format must be one of png, array, not {how!r}")
        if n * len(model_input) > _MAX_IMAGES:
            raise BadInput(
                f"{len(model_input)} rows of n={n} are more than {_MAX_IMAGES} images; "
                "send several requests"
            )
        predictions = []
        for index, row in enumerate(model_input.to_dict(orient="records")):
            codes = {
                str(name): None if value is None or value is pd.NA or value != value else value
                for name, value in row.items()
            }
            latents = self._generator.draw(n, seed, codes=codes)
            images = self._generator.render(latents)
            names = self._generator.name_values(latents.c)
            for i, image in enumerate(images):
                used = {
                    name: value if isinstance(value := values[i], str) else float(value)
                    for name, values in names.items()
                }
                content = _png(image) if how == "png" else image.tolist()
                predictions.append({"row": index, "codes": used, "image": content})
        return predictions


def _load_pyfunc(path: str) -> ServedGenerator:
    """Load the model from its data path, an export folder: the hook that MLflow asks for."""
    return ServedGenerator(NamedGenerator.load(path))


def signature() -> ModelSignature:
    """Describe the answers that a model gives, and the parameters that it takes.

    What rows may hold is left out: of rows that are described MLflow drops every name that it does
    not know, and a misspelled one would silently be drawn at random.
    """
    outputs: list[ColSpec | TensorSpec] = [
        ColSpec(DataType.long, name="row"),
        ColSpec(Map(AnyType()), name="codes"),
        ColSpec(AnyType(), name="image"),
    ]
    params = [
        ParamSpec("n", DataType.long, 1),
        ParamSpec("seed", DataType.long, 0),
        ParamSpec("format", DataType.string, "png"),
    ]
    return ModelSignature(None, Schema(outputs), ParamSchema(params))


def input_example(generator: NamedGenerator) -> pd.DataFrame:
    """Return a request for one image: the first class of every code, the middle of its range."""
    row: dict[str, str | float] = {}
    for code in generator.codes:
        if code.low is None or code.high is None:
            row[code.name] = code.classes[0]
        else:
            row[code.name] = (code.low + code.high) / 2
    return pd.DataFrame([row])


def _png(image: NDArray[np.uint8]) -> str:
    sink = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(sink, "PNG")
    return base64.b64encode(sink.getvalue()).decode()
