"""A generator as one HTML file with sliders, which opens from disk and needs no network.

The page holds the weights that `ssgan.export.compact` makes, and a program of its own that runs
them, in plain JavaScript. Its content security policy allows nothing else: no request leaves it,
and no text of a name becomes markup or code.
"""

import base64
import gzip
import hashlib
import html
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from string import Template

import torch
from torch import Tensor

from ssgan import __version__
from ssgan.base.rng import Streams
from ssgan.export.code_values import REACH
from ssgan.export.compact import QuantizedLayer, factor, fold, quantize, run
from ssgan.export.format import Provenance
from ssgan.export.generator import NamedGenerator
from ssgan.method.codes import Latents, LatentSpace
from ssgan.method.objective import read_codes

_FILES = resources.files("ssgan.export") / "page"
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
        return {name: getattr(self, name) for name in ("generator", "trunk", "q_ss", "q_us")}

    def draw(self, latents: Latents) -> Tensor:
        """Synthesize images: whole numbers from 0 to 255, float32 (n, H * W * C), in HWC order."""
        return (run(self.generator, self._space.encode(*latents)) * 255).round()

    def read(self, pixels: Tensor) -> Tensor:
        """Read the codes of images as `draw` returns them: a code table, float32 (n, K)."""
        h, space = run(self.trunk, self._seen(pixels)), self._space
        ss = read_codes(space.supervised, space.posterior, run(self.q_ss, h), none=True)
        us = read_codes(space.unsupervised, space.posterior, run(self.q_us, h))
        return torch.cat([ss.value, us.value], dim=1)

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
            same = (
                (read == generator.read_table(exact.numpy())[0][:, classes]).float().mean().item()
            )
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
    skipped = numbers_before_noise(space)
    name = str(manifest.provenance.get("run") or "generator")
    described = {
        "name": name,
        "source": source,
        "shape": manifest.shape,
        "codes": [code._asdict() for code in generator.codes],
        "reach": REACH,
        "noise": space.noise,
        "skipped": skipped,
        "gaussian": space.posterior == "gaussian",
        "none": space.none,
        "centered": networks.centered,
        "networks": {part: [one.describe() for one in layers] for part, layers in parts.items()},
    }
    script, workers, style = (
        (_FILES / name).read_text() for name in ("page.js", "networks.js", "page.css")
    )
    texts = {
        "policy": _policy(scripts=[workers, script], style=style),
        "title": html.escape(name),
        "subtitle": html.escape(_subtitle(manifest.provenance)),
        "style": style,
        "card": f'<section id="card">\n{card}</section>' if card else "",
        "fidelity": str(fidelity) if skipped is not None else f"{fidelity} {_OTHER_NOISE}",
        "made": f"Made by ssgan {__version__}.",
        # No name can end the element: < is written as an escape.
        "described": json.dumps(described).replace("<", "\\u003c"),
        "weights": base64.b64encode(gzip.compress(packed, 9, mtime=0)).decode(),
        "networks": workers,
        "script": script,
    }
    return Template((_FILES / "page.html").read_text()).substitute(texts).encode(), fidelity


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


def _policy(scripts: Sequence[str], style: str) -> str:
    """Allow the page its own scripts and style, a worker of its own, and pictures inside it."""
    own = " ".join(f"'{_hash(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {own}; style-src '{_hash(style)}'; worker-src blob:; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _subtitle(provenance: Mapping[str, Provenance]) -> str:
    """Say what the generator was trained on, as far as the export knows."""
    known = {name: provenance.get(name) for name in ("data", "labels", "step")}
    told = [
        f"trained on {known['data']}" if known["data"] else "",
        f"{known['labels']:,} labels" if isinstance(known["labels"], int) else "",
        f"{known['step']:,} updates" if isinstance(known["step"], int) else "",
    ]
    return "A generator with named codes" + "".join(f", {one}" for one in told if one)


def _percent(share: float) -> str:
    """Write a share so that only all of it is 100 %."""
    return f"{math.floor(share * 10_000) / 100:g} %"
