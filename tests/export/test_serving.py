"""The served model: rows of named codes in, pictures and the codes they show out."""

import base64
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from PIL import Image

from ssgan.export import NamedGenerator
from ssgan.export.serving import ServedGenerator, _load_pyfunc, input_example, signature
from ssgan.method.codes import Code, LatentSpace
from ssgan.networks.dcgan import DcganConfig
from tests.helpers.exports import save_untrained

DIGIT = Code(name="digit", kind="categorical", classes=tuple("0123456789"))
ANGLE = Code(name="angle", kind="continuous", low=0, high=90)
STYLE = Code(name="my style", kind="continuous")
SPACE = LatentSpace(supervised=(DIGIT, ANGLE), unsupervised=(STYLE,), noise=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of color images."""
    networks = DcganConfig(width=4, hidden=16, q_hidden=8)
    return save_untrained(tmp_path_factory.mktemp("export"), networks, SPACE, (3, 8, 8), seed=1)


@pytest.fixture(scope="module")
def generator(folder: Path) -> NamedGenerator:
    """The export, loaded."""
    return NamedGenerator.load(folder)


@pytest.fixture(scope="module")
def model(folder: Path) -> ServedGenerator:
    """The model, loaded as MLflow loads it."""
    return _load_pyfunc(str(folder))


def test_each_row_gives_n_pictures_and_their_codes(
    model: ServedGenerator, generator: NamedGenerator
) -> None:
    rows = pd.DataFrame([{"digit": 7, "angle": 45}, {"digit": "3", "angle": None, "my style": 1}])
    predictions = model.predict(rows, {"n": 2, "seed": 5})
    assert [one["row"] for one in predictions] == [0, 0, 1, 1]
    assert predictions[0]["codes"]["digit"] == "7"
    assert predictions[0]["codes"]["angle"] == pytest.approx(45)
    assert predictions[2]["codes"]["my style"] == 1
    assert 0 <= predictions[2]["codes"]["angle"] <= 90
    with Image.open(io.BytesIO(base64.b64decode(predictions[1]["image"]))) as image:
        shown = np.asarray(image)
    expected = generator.sample(digit=7, angle=45, n=2, seed=5)[1]
    np.testing.assert_array_equal(shown, expected)


def test_arrays_are_nested_lists(model: ServedGenerator, generator: NamedGenerator) -> None:
    rows = pd.DataFrame([{"digit": 1, "angle": 0}])
    (prediction,) = model.predict(rows, {"format": "array"})
    assert prediction["image"] == generator.sample(digit=1, angle=0)[0].tolist()


def test_codes_reported_give_the_same_picture_again(model: ServedGenerator) -> None:
    (free,) = model.predict(pd.DataFrame([{"digit": None, "angle": np.nan}]))
    (again,) = model.predict(pd.DataFrame([free["codes"]]))
    assert again["image"] == free["image"]


def test_rows_share_what_they_do_not_name(model: ServedGenerator) -> None:
    rows = pd.DataFrame([{"digit": 1, "angle": 30}, {"digit": 2, "angle": 30}])
    one, two = model.predict(rows)
    assert one["codes"]["my style"] == two["codes"]["my style"]


@pytest.mark.parametrize(
    ("row", "params", "message"),
    [
        ({"digit": "12"}, {}, "no class '12'.*; its classes are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
        ({"digit": "9" * 5000}, {}, "no class"),
        ({"digit": [1, 2]}, {}, "'digit' has 2 values where 1 are needed"),
        ({"digt": 1}, {}, "no code is named 'digt'; did you mean 'digit'"),
        ({"angle": 1e30}, {}, "was trained from 0 to 90"),
        ({"angle": "steep"}, {}, "takes a number, not 'steep'"),
        ({"digit": 1}, {"format": "gif"}, "one of png, array, not 'gif'"),
        ({"digit": 1}, {"n": 10_001}, "more than 10000 images"),
        ({"digit": 1}, {"n": 0}, "n must be"),
    ],
)
def test_bad_requests_are_refused(
    model: ServedGenerator, row: dict[str, object], params: dict[str, object], message: str
) -> None:
    with pytest.raises(MlflowException, match=message) as refused:
        model.predict(pd.DataFrame([row]), params)
    assert refused.value.get_http_status_code() == 400


def test_every_code_may_be_left_out(model: ServedGenerator, generator: NamedGenerator) -> None:
    (drawn,) = model.predict(pd.DataFrame([{}]))
    assert drawn["codes"].keys() == {"digit", "angle", "my style"}
    (again,) = model.predict(pd.DataFrame([drawn["codes"]]))
    assert again["image"] == drawn["image"]


def test_the_signature_lets_every_name_through_and_the_example_names_every_code(
    generator: NamedGenerator,
) -> None:
    described = signature()
    assert described.inputs is None
    assert [param.name for param in described.params.params] == ["n", "seed", "format"]
    assert input_example(generator).to_dict("records") == [
        {"digit": "0", "angle": 45.0, "my style": 0.0}
    ]
