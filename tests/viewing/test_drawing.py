"""One picture: exactly that of `NamedGenerator`, and nothing for codes that cannot be."""

import base64
from typing import Any

import numpy as np
import pytest

from ssgan.base.errors import BadInput
from ssgan.export.generator import NamedGenerator
from ssgan.method.codes import Code, Joint, Latents, LatentSpace
from ssgan.networks.dcgan import DcganConfig
from ssgan.viewing.drawing import draw_picture
from tests.helpers.exports import save_untrained

SPACE = LatentSpace(
    supervised=(
        Code(name="digit", kind="categorical", classes=tuple("0123456789")),
        Code(name="seed", kind="categorical", classes=("no", "yes")),
    ),
    unsupervised=(Code(name="angle", kind="continuous", low=-90, high=90),),
    noise=20,
    joint=Joint(rows=((0, 0), (7, 0), (3, 1)), weights=(0.5, 0.3, 0.2)),
)
ASKED = {"c": [7, 1, -0.25], "seed": "-12", "index": 3}


@pytest.fixture(scope="module", params=[1, 3])
def generator(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An export of gray images, or of colored ones."""
    folder = tmp_path_factory.mktemp("export")
    networks = DcganConfig(width=8, hidden=32, output_gain=8)
    return NamedGenerator.load(
        save_untrained(folder, networks, SPACE, (request.param, 16, 16), is_settled=True)
    )


def pixels(drawn: dict[str, Any]) -> Any:
    return np.frombuffer(base64.b64decode(drawn["pixels"]), np.uint8).reshape(16, 16, 4)


def test_a_picture_is_that_of_sample_bit_for_bit(generator: NamedGenerator) -> None:
    drawn = draw_picture(generator, ASKED)
    codes = {"digit": "7", "seed": "yes", "angle": -22.5}
    latents = generator.draw(4, -12, codes=codes)
    exact = generator.render(Latents(latents.c[3:], latents.z[3:]))
    assert exact.std() > 20
    assert (pixels(drawn)[..., :3] == exact[0]).all()
    assert (pixels(drawn)[..., 3] == 255).all()
    values, confidences = generator.read_table(exact)
    assert [one["value"] for one in drawn["readings"]] == values[0].tolist()
    sure = [one["confidence"] for one in drawn["readings"]]
    assert sure[:2] == confidences[0, :2].tolist()
    assert sure[2] is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"c": [10, 0, 0]}, "'digit' has the class indices 0 to 9, not 10"),
        ({"c": [-1, 0, 0]}, "class indices 0 to 9, not -1"),
        ({"c": [0.5, 0, 0]}, "class indices 0 to 9, not 0.5"),
        ({"c": [True, 0, 0]}, "class indices"),
        ({"c": [0, 0, 2.01]}, "'angle' was trained .* goes from -180 to 180 here, not 180.9"),
        ({"c": [0, 0, "1"]}, "'angle' takes a number in unit range, not '1'"),
        ({"c": [0, 0]}, "c must hold 3 numbers"),
        ({"c": None}, "c must hold 3 numbers"),
        ({"seed": "1e3"}, "seed must be a whole number"),
        ({"seed": "9" * 101}, "seed must be a whole number"),
        ({"seed": 5}, "seed must be a whole number"),
        ({"index": 1000}, "index must be a whole number from 0 to 999"),
        ({"index": -1}, "index must be"),
    ],
)
def test_what_cannot_be_is_refused_in_words(
    generator: NamedGenerator, change: dict[str, Any], told: str
) -> None:
    with pytest.raises(BadInput, match=told):
        draw_picture(generator, ASKED | change)


def test_the_ends_of_the_range_can_be_reached(generator: NamedGenerator) -> None:
    low, high = (draw_picture(generator, ASKED | {"c": [7, 1, end]}) for end in (-2, 2))
    assert (pixels(low) != pixels(high)).any()


def test_a_request_of_another_form_is_refused(generator: NamedGenerator) -> None:
    with pytest.raises(BadInput, match="asked for by c, seed and index"):
        draw_picture(generator, [1])
