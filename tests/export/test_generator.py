"""The exported generator: names, classes and units in, the same images out, nothing changed."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ssgan.base.errors import BadInput
from ssgan.base.rng import Streams
from ssgan.export import NamedGenerator
from ssgan.export.code_values import conditional_prior
from ssgan.export.format import pack_export, save_export
from ssgan.method.codes import Code, Joint, LatentSpace
from ssgan.networks.dcgan import DcganConfig

NETWORKS = DcganConfig(width=4, hidden=16, q_hidden=8)
DIGIT = Code(name="digit", kind="categorical", classes=tuple("0123456789"))
SMILING = Code(name="Smiling", kind="categorical", classes=("no", "yes"))
PET = Code(name="strange pet", kind="categorical", classes=("cat", "dog", "axolotl"))
ANGLE = Code(name="angle", kind="continuous", low=-45, high=45)
STYLE = Code(name="n", kind="continuous")  # clashes with an argument of `sample`
SPACE = LatentSpace(supervised=(DIGIT, SMILING, PET, ANGLE), unsupervised=(STYLE,), noise=5)


def files(space: LatentSpace = SPACE, channels: int = 1) -> dict[str, bytes]:
    """Pack tiny networks whose weights are large enough for codes to show."""
    shape = (channels, 8, 8)
    seed = torch.Generator().manual_seed(1)
    generator = NETWORKS.build_generator(space, shape, seed)
    discriminator = NETWORKS.build_discriminator(space, shape, seed)
    with torch.no_grad():
        for parameter in [*generator.parameters(), *discriminator.parameters()]:
            parameter.mul_(15)
    return pack_export(
        generator,
        discriminator,
        networks=NETWORKS,
        space=space,
        shape=shape,
        provenance={"run_id": "0" * 32, "step": 7},
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export folder."""
    return save_export(tmp_path_factory.mktemp("run") / "export", files())


@pytest.fixture(scope="module")
def generator(folder: Path) -> NamedGenerator:
    """A loaded export."""
    return NamedGenerator.load(folder)


def test_samples_are_uint8_images_with_channels_last(generator: NamedGenerator) -> None:
    images = generator.sample(digit=7, n=16, seed=0)
    assert images.shape == (16, 8, 8, 1)
    assert images.dtype == np.uint8
    assert images.std() > 1


def test_color_images_keep_their_channels(tmp_path: Path) -> None:
    loaded = NamedGenerator.load(save_export(tmp_path, files(channels=3)))
    images = loaded.sample(n=2)
    assert images.shape == (2, 8, 8, 3)
    assert loaded.read(images)["digit"].confidence.shape == (2,)


def test_same_seed_same_images_and_a_smaller_n_is_their_beginning(
    generator: NamedGenerator,
) -> None:
    images = generator.sample(n=6, seed=3)
    np.testing.assert_array_equal(images, generator.sample(n=6, seed=3))
    assert np.abs(images[:2].astype(int) - generator.sample(n=2, seed=3)).max() <= 1
    assert (images != generator.sample(n=6, seed=4)).any()


@pytest.mark.parametrize("joint", [None, Joint(rows=((1, 0, 2), (1, 1, 0)), weights=(0.4, 0.6))])
def test_images_are_drawn_one_by_one_or_from_any_on(joint: Joint | None, tmp_path: Path) -> None:
    codes = {"supervised": (DIGIT, SMILING, PET), "unsupervised": (STYLE,)}
    space = LatentSpace(**codes, noise=5, joint=joint)
    loaded = NamedGenerator.load(save_export(tmp_path, files(space)))
    asked = {"Smiling": ["yes", None, "no", None, "yes"]}
    drawn = loaded.draw(seed=3, codes=asked)
    for i, value in enumerate(asked["Smiling"]):
        prior = conditional_prior(space, torch.tensor([torch.nan, value == "yes", torch.nan]))
        one = (prior if value else space).sample(1, Streams(3).generator("export", i))
        assert drawn.z[i : i + 1].equal(one.z)
        assert drawn.c[i, [0, 2, 3]].equal(one.c[0, [0, 2, 3]])
    last = loaded.draw(seed=3, codes={"Smiling": asked["Smiling"][3:]}, first=3)
    assert last.c.equal(drawn.c[3:])
    assert last.z.equal(drawn.z[3:])


def test_codes_take_effect_and_leave_the_others_alone(generator: NamedGenerator) -> None:
    free = generator.draw(n=4, seed=1)
    fixed = generator.draw(n=4, seed=1, codes={"digit": "3", "angle": 30, "n": [-1, 0, 1, None]})
    assert fixed.c[:, 0].tolist() == [3] * 4
    np.testing.assert_allclose(fixed.c[:, 3], 30 / 45, rtol=1e-6)
    assert fixed.c[:3, 4].tolist() == [-1, 0, 1]
    assert fixed.c[3, 4] == free.c[3, 4]
    assert fixed.c[:, 1:3].equal(free.c[:, 1:3])
    assert fixed.z.equal(free.z)
    assert (generator.sample(n=4, digit=3) != generator.sample(n=4, digit=8)).any()


def test_n_follows_from_sequences(generator: NamedGenerator) -> None:
    assert len(generator.sample(digit=range(10))) == 10
    assert len(generator.sample()) == 1
    assert len(generator.sample(z=np.zeros((3, 5)))) == 3
    assert len(generator.sample(codes={"strange pet": ["cat", "dog"]}, angle=5)) == 2


def test_noise_can_be_given(generator: NamedGenerator) -> None:
    z = np.zeros(5)
    fixed = {"digit": 1, "Smiling": 0, "angle": 0, "codes": {"strange pet": 0, "n": 0}}
    images = generator.sample(n=3, z=z, **fixed)
    np.testing.assert_array_equal(images[0], images[1])
    assert (generator.sample(n=3, **fixed)[0] != generator.sample(n=3, **fixed)[1]).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"digt": 7}, "no code is named 'digt'; did you mean 'digit'"),
        ({"Smiling": "yess"}, "no class 'yess'; did you mean 'yes'"),
        ({"angle": 91}, "from -90 to 90 here, not 91"),
        ({"digit": [1, 2], "n": 3}, "has 2 values where 3 are needed"),
        ({"z": [1, 2]}, r"shape \(5,\)"),
        ({"z": np.full(5, np.inf)}, "finite"),
        ({"digit": 1, "codes": {"digit": 1}}, "given twice"),
    ],
)
def test_bad_requests_say_what_would_be_right(
    generator: NamedGenerator, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        generator.sample(**arguments)  # type: ignore[arg-type]


def test_reading_gives_names_units_and_confidence(generator: NamedGenerator) -> None:
    readings = generator.read(generator.sample(n=300, seed=2)[..., 0])
    assert list(readings) == ["digit", "Smiling", "strange pet", "angle", "n"]
    assert set(readings["strange pet"].values) <= {"cat", "dog", "axolotl"}
    assert readings["angle"].values.shape == (300,)
    confidence = readings["digit"].confidence
    assert ((confidence >= 0.1) & (confidence <= 1)).all()


def test_reading_agrees_with_the_heads(generator: NamedGenerator) -> None:
    images = generator.sample(n=5)
    network = generator._discriminator
    h = network.trunk(torch.from_numpy(images).permute(0, 3, 1, 2) / 255)
    digits = network.q_ss(h)[:, :10].argmax(dim=1)
    assert generator.read(images)["digit"].values == [str(d) for d in digits.tolist()]
    angles = network.q_ss(h)[:, 15] * 45
    np.testing.assert_allclose(generator.read(images)["angle"].values, angles, rtol=1e-4)


@pytest.mark.parametrize(
    "images",
    [np.zeros((2, 8, 8)), np.zeros((2, 8, 9), np.uint8), np.zeros((0, 8, 8, 1), np.uint8)],
)
def test_reading_refuses_other_images(
    generator: NamedGenerator, images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
) -> None:
    with pytest.raises(BadInput, match="images must be"):
        generator.read(images)


def test_a_run_directory_stands_for_its_export(folder: Path) -> None:
    loaded = NamedGenerator.load(folder.parent)
    assert loaded.manifest.provenance["step"] == 7
    assert loaded.manifest.copy_of == "ema"


def test_loading_imports_neither_ray_nor_mlflow(folder: Path) -> None:
    program = (
        "import sys; from ssgan.export import NamedGenerator; "
        f"NamedGenerator.load({str(folder)!r}).sample(digit=7); "
        "print({'ray', 'mlflow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


def test_a_generator_that_was_told_of_foreign_images_reads_them(tmp_path: Path) -> None:
    space = SPACE.model_copy(update={"none": True})
    loaded = NamedGenerator.load(save_export(tmp_path, files(space)))
    with torch.no_grad():  # of the columns of digit, 11 of them, and Smiling the last
        loaded._discriminator._q_ss.bias[11 + 2] += 1e6  # type: ignore[operator, index]
    images = np.random.default_rng(0).integers(0, 256, (200, 8, 8, 1), dtype=np.uint8)
    found = loaded.read(images)
    assert set(found["Smiling"].values) == {"none of these"}
    assert set(found["strange pet"].values) <= {"cat", "dog", "axolotl", "none of these"}
    assert (found["strange pet"].confidence >= 1 / 4).all()
    with pytest.raises(BadInput, match="no class 'none of these'"):
        loaded.sample(codes={"strange pet": "none of these"})
