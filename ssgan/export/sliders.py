"""A generator as one HTML file with sliders, which opens from disk and needs no network.

The page holds the weights that `ssgan.export.compact` makes, and a program of its own that runs
them, in plain JavaScript. Its content security policy allows nothing else (`html_page`).
"""

import base64
import gzip
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ssgan.base.rng import Streams
from ssgan.export.compact import QuantizedLayer, factor, fold, quantize, run
from ssgan.export.generator import NamedGenerator
from ssgan.export.html_page import (
    Script,
    describe_generator,
    make_frame,
    name_of,
    read_page_file,
    subtitle_of,
)
from ssgan.method.codes import Latents, LatentSpace
from ssgan.method.objective import read_all

_IMAGES = 1_000  # of a comparison
_OTHER_NOISE = "The noise of a seed is not the one that Python draws."
_NEAR = 2  # of 255, within which pixels count as the same


@dataclass(frozen=True)
class PageFidelity:
    """How the page's networks compare with the exact ones, on the same latents."""

    images: int
    """Number of latents."""
    pixels_near: float
    """Share of the pixels within 2/255 of the exact ones."""
    largest: int
    """Largest difference of a pixel, of 255."""
    readings_same: float | None
    """Share of the readings of classes that are the same; None where no code has classes."""

    def __str__(self) -> str:
        """Say it in a sentence."""
        drawn = (
            f"Weights of 8 bits: over {self.images:,} images {_percent(self.pixels_near)} of the "
            f"pixels are within {_NEAR}/255 of the exact ones, and none is off by more than "
            f"{self.largest}/255"
        )
        if self.readings_same is None:
            return f"{drawn}."
        return f"{drawn}; {_percent(self.readings_same)} of the classes that Q reads are the same."


class PageNetworks:
    """G, the trunk and the Q heads of an export, as layers that a page runs."""

    def __init__(self, generator: NamedGenerator) -> None:
        """Fold and quantize them.

        Raises:
            BadInput: A page cannot run one of their layers.
        """
        g, d = generator.networks
        self._space = generator.manifest.space
        self._shape = generator.manifest.shape
        self.centered = d.centered
        """Whether the trunk sees pixels from -1 to 1."""
        sections = d.sections()
        self.generator = quantize(fold([g.layers]))
        trunk = fold([sections["trunk"]], self._shape)
        seen = self._seen(self.draw(generator.draw(_IMAGES, seed=1)))  # none that is compared
        self.trunk = quantize(factor(trunk, seen))
        heads = {"q_ss": self._space.supervised, "q_us": self._space.unsupervised}
        self.q_ss, self.q_us = (
            quantize(fold([sections[name]])) if codes else () for name, codes in heads.items()
        )

    def parts(self) -> dict[str, tuple[QuantizedLayer, ...]]:
        """Return the networks by name, in the order of their bytes."""
        return {
            "generator": self.generator,
            "trunk": self.trunk,
            "q_ss": self.q_ss,
            "q_us": self.q_us,
        }

    def draw(self, latents: Latents) -> Tensor:
        """Synthesize images: whole numbers from 0 to 255, float32 (n, H * W * C), in HWC order."""
        return (run(self.generator, self._space.encode(*latents)) * 255).round()

    def read(self, pixels: Tensor) -> Tensor:
        """Read the codes of images as `draw` returns them: a code table, float32 (n, K)."""
        h = run(self.trunk, self._seen(pixels))
        return read_all(self._space, run(self.q_ss, h), run(self.q_us, h)).value

    def _seen(self, pixels: Tensor) -> Tensor:
        """Return what the trunk reads of pixels from 0 to 255."""
        return pixels / 255 * 2 - 1 if self.centered else pixels / 255

    def compare(self, generator: NamedGenerator) -> PageFidelity:
        """Draw and read the same latents by these networks and by the exact ones."""
        latents = generator.draw(_IMAGES)
        exact = torch.from_numpy(generator.render(latents))
        pixels = self.draw(latents)
        apart = (pixels - exact.flatten(1)).abs()
        classes = [k for k, code in enumerate(self._space.codes) if code.is_categorical]
        same = None
        if classes:
            read = self.read(exact.flatten(1).float())[:, classes]
            known = generator.read_table(exact.numpy()).value[:, classes]
            same = (read == known).float().mean().item()
        return PageFidelity(
            _IMAGES, (apart <= _NEAR).float().mean().item(), int(apart.max().item()), same
        )


def make_page(generator: NamedGenerator, source: str, card: str = "") -> tuple[bytes, PageFidelity]:
    """Make the page of a generator, and compare what it draws with the exact pictures.

    Args:
        generator: An export.
        source: Where the page says that Python finds it: the run or the export.
        card: HTML of the model card, which is put below the sliders.

    Raises:
        BadInput: A page cannot run its networks.
    """
    networks = PageNetworks(generator)
    fidelity = networks.compare(generator)
    manifest, parts = generator.manifest, networks.parts()
    space = manifest.space
    packed = b"".join(layer.to_bytes() for layers in parts.values() for layer in layers)
    weights = base64.b64encode(gzip.compress(packed, 9, mtime=0)).decode()
    skipped = numbers_before_noise(space)
    described = {
        **describe_generator(generator, source),
        "noise": space.noise,
        "skipped": skipped,
        "gaussian": space.posterior == "gaussian",
        "none": space.none,
        "centered": networks.centered,
        "networks": {part: [one.describe() for one in layers] for part, layers in parts.items()},
    }
    told = str(fidelity) if skipped is not None else f"{fidelity} {_OTHER_NOISE}"
    page = make_frame(
        title=name_of(generator),
        subtitle=subtitle_of(manifest.provenance),
        described=described,
        data=f'<script type="text/plain" id="weights">{weights}</script>',
        scripts=[
            Script(read_page_file("networks.js"), ' id="networks"'),
            Script(read_page_file("elements.js") + read_page_file("page.js")),
        ],
        card=card,
        footer=f"{told} Nothing leaves this page.",
    )
    return page.content, fidelity


def numbers_before_noise(space: LatentSpace) -> int | None:
    """Count the numbers that torch's generator gives for the codes of an image, before its noise.

    It is found by trying, since a prior that is not uniform takes more on some machines than on
    others. None if it is not found: the page then draws other noise than Python does.
    """
    streams = Streams(0)
    wanted = space.sample(1, streams.generator("export")).z
    rows = len(space.joint.rows) if space.joint is not None else 0
    for count in range(len(space.codes) + 2 * rows + 3):
        generator = streams.generator("export")
        torch.randint(2, (count,), generator=generator)
        if torch.equal(torch.randn(1, space.noise, generator=generator), wanted):
            return count
    return None


def _percent(share: float) -> str:
    """Write a share so that only all of it is 100 %."""
    return f"{math.floor(share * 10_000) / 100:g} %"
