"""A strip shows what one code changes, in images of the generator alone."""

import io

import numpy as np
import torch
from PIL import Image

from ssgan.base.rng import Streams
from ssgan.drawing.sheet import Cells
from ssgan.evaluation.samples import generate
from ssgan.export.strips import draw_strips, strip_files
from ssgan.method.codes import Code, Latents, LatentSpace
from ssgan.networks.dcgan import DcganConfig

SHAPE = Code(name="shape", kind="categorical", classes=tuple("abcdefghijklmno"))
ANGLE = Code(name="Shape", kind="continuous", low=-45, high=45)
STYLE = Code(name="שם <b>", kind="continuous")
SPACE = LatentSpace(supervised=(SHAPE, ANGLE), unsupervised=(STYLE,), noise=5)
NETWORKS = DcganConfig(width=4, hidden=16, q_hidden=8)
GENERATOR = NETWORKS.build_generator(SPACE, (1, 8, 8), torch.Generator().manual_seed(1)).eval()


def cells(png: bytes) -> np.ndarray:
    """Cut the images out of a strip, (rows, columns, 8, 8)."""
    with Image.open(io.BytesIO(png)) as sheet:
        places = Cells.read(sheet)
        assert places is not None
        step = places.width // 8
        pixels = np.asarray(sheet.convert("L"))
        return np.stack(
            [
                np.stack(
                    [
                        pixels[y : y + places.height : step, x : x + places.width : step]
                        for x in places.x
                    ]
                )
                for y in places.y
            ]
        )


def test_every_file_has_a_name_of_its_own_that_any_disk_takes() -> None:
    assert list(strip_files(SPACE).values()) == [
        "strips/1-shape.png",
        "strips/2-Shape.png",
        "strips/3-____b_.png",
    ]


def test_every_cell_is_an_image_of_the_generator_with_the_noise_of_its_row() -> None:
    base = SPACE.sample(3, Streams(0).generator("figures, strips"))
    strips = draw_strips(GENERATOR, SPACE, labeled=True)
    found = cells(strips["strips/2-Shape.png"])
    assert found.shape[:2] == (3, 5)
    for row in range(3):
        for column, value in enumerate((-1, -0.5, 0, 0.5, 1)):
            c = base.c[row : row + 1].clone()
            c[0, 1] = value
            image = generate(GENERATOR, SPACE, Latents(c, base.z[row : row + 1]))
            assert np.abs(found[row, column].astype(int) - image[0, 0].numpy()).max() <= 1


def test_many_classes_go_on_in_a_second_line() -> None:
    found = cells(draw_strips(GENERATOR, SPACE, labeled=True)["strips/1-shape.png"])
    assert found.shape[:2] == (6, 12)
    assert (found[3:, 3:] == 255).all()  # twelve and three
    assert not (found[3:, :3] == 255).all()


def test_the_same_generator_makes_the_same_bytes() -> None:
    first, again = (draw_strips(GENERATOR, SPACE, labeled=True) for _ in range(2))
    assert first == again
    assert first != draw_strips(GENERATOR, SPACE, labeled=False)  # its classes are numbers
