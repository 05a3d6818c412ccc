"""A generator whose codes have names, as a folder: weights in safetensors, the rest in one JSON.

::

    generator = NamedGenerator.load("runs/quickstart/export")
    images = generator.sample(digit=7, n=16, seed=0)  # uint8 (16, H, W, C)
    generator.read(images)["digit"].values  # ["7", "7", ...]
    generator.grid(digit="all", style_1="-2..2")  # a picture

Loading needs torch and safetensors only: no Ray, no MLflow, no pickle.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ssgan.base.errors import BadInput, CorruptFile
from ssgan.base.rng import Streams
from ssgan.export.code_values import CodeInfo, conditional_prior, count, describe, to_column
from ssgan.export.format import (
    MANIFEST,
    ExportManifest,
    no_export,
    read_manifest,
    read_weights,
)
from ssgan.export.grid import make_grid
from ssgan.export.notebook import as_html, describe_in_a_line
from ssgan.export.onnx_file import pack_onnx
from ssgan.method.codes import Latents
from ssgan.method.objective import QReading, read_all
from ssgan.networks.architecture import build_networks, shapes_only, undrawn
from ssgan.networks.discriminator import Discriminator
from ssgan.networks.generator import Generator

CHUNK = 256
"""Images of a forward pass: bounds memory."""


class Reading(NamedTuple):
    """What Q reads from n images about one code."""

    values: list[str] | NDArray[np.float32]
    """Class names, or *none of these* if the generator was told of such images, or values in the
    user's units (n,)."""
    confidence: NDArray[np.float32]
    """(n,) in [0, 1]; NaN where Q has none to give (`ssgan.method.objective.QReading`)."""


def _build(manifest: ExportManifest) -> tuple[Generator, Discriminator]:
    return build_networks(manifest.networks, manifest.space, manifest.shape)


def _shapes(folder: Path, manifest: ExportManifest) -> tuple[Generator, Discriminator]:
    """Build the networks without numbers, so that absurd sizes take no memory."""
    try:
        with shapes_only():
            return _build(manifest)
    except (RuntimeError, TypeError, OverflowError) as error:
        told = str(error).partition("\n")[0]
        if not isinstance(error, RuntimeError) or "overflow" in told:
            raise CorruptFile(f"{folder / MANIFEST} describes no networks: {told}") from None
    return _build(manifest)  # of another package, and it needs numbers


def _join(named: Mapping[str, Any], codes: Mapping[str, Any] | None) -> dict[str, Any]:
    if doubled := sorted(set(codes or {}) & set(named)):
        raise BadInput(f"code {doubled[0]!r} is given twice, by keyword and in `codes`")
    return {**named, **(codes or {})}


class NamedGenerator:
    """An exported generator, with the trunk and the Q heads that read its codes back."""

    def __init__(
        self, manifest: ExportManifest, generator: Generator, discriminator: Discriminator
    ) -> None:
        """Take networks that `load` or a training run built."""
        self.manifest = manifest
        """The content of generator.json."""
        self._space = manifest.space
        self._device = torch.device("cpu")
        self._generator = generator.eval().requires_grad_(False)
        self._discriminator = discriminator.eval().requires_grad_(False)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Load an export folder, or the one inside a run directory, on the CPU.

        Its location may also be a URI, ``s3://bucket/runs/digits``.

        Raises:
            BadInput: There is no export, or it needs a newer ssgan.
            CorruptFile: A file is missing, or changed after its hash was taken.
        """
        if "://" in str(path):
            return cls._load_copy(str(path))
        folder = Path(path)
        if not (folder / MANIFEST).is_file() and (folder / "export" / MANIFEST).is_file():
            folder = folder / "export"
        manifest = read_manifest(folder)
        shapes = _shapes(folder, manifest)
        expected = [network.state_dict() for network in shapes]
        states = read_weights(folder, manifest, *expected)
        with undrawn():
            networks = _build(manifest)
        for network, state in zip(networks, states, strict=True):
            network.load_state_dict(state)
        return cls(manifest, *networks)

    @classmethod
    def _load_copy(cls, uri: str) -> Self:
        from ssgan.base.storage import Folder, split  # needs pyarrow, which no local export does

        is_run = Folder(uri).exists(f"export/{MANIFEST}")
        parent, name = (uri, "export") if is_run else split(uri)
        if not name or not Folder(parent).exists(f"{name}/{MANIFEST}"):
            raise no_export(uri)
        with Folder(parent).local_copy(name) as folder:
            return cls.load(folder)

    def to(self, device: str) -> Self:
        """Compute on another device from now on, such as ``"cuda"``; draws stay as they are.

        Pixels that another device computes may differ by 1.

        Raises:
            BadInput: There is no such device.
        """
        try:
            for network in (self._generator, self._discriminator):
                network.to(device)
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            told = str(error).partition("\n")[0]
            raise BadInput(f"cannot compute on the device {device!r}: {told}") from None
        self._device = torch.device(device)
        return self

    @property
    def networks(self) -> tuple[Generator, Discriminator]:
        """G, and the trunk with its heads, in eval mode."""
        return self._generator, self._discriminator

    @property
    def codes(self) -> tuple[CodeInfo, ...]:
        """Describe every code, supervised ones first."""
        return describe(self._space)

    def sample(
        self,
        /,
        n: int | None = None,
        seed: int = 0,
        z: Any = None,
        codes: Mapping[str, Any] | None = None,
        **named: Any,
    ) -> NDArray[np.uint8]:
        """Synthesize images: ``sample(digit=7, n=16)``, ``sample(digit=range(10), angle=30)``.

        Args:
            n: Number of images; by default the length of the sequences given, else 1.
            seed: Image i depends on (seed, i, codes) alone, so that a smaller n gives the same
                first images, and changing one code leaves the others as they are.
            z: Noise, (noise,) for all images or (n, noise); drawn from N(0, 1) by default.
            codes: Values by name, for names that are not Python identifiers or that clash with
                the arguments here.
            named: Values by name: one, or a sequence of n. A class by its name or index, True
                and False for the two classes of a binary code, a continuous value in the
                user's units, None to draw from the prior, as codes not named are.

        Returns:
            uint8 (n, H, W, C).

        Raises:
            BadInput: A name, class, value or length is wrong.
        """
        return self.render(self.draw(n, seed, z, _join(named, codes)))

    def grid(
        self,
        /,
        n: int | None = None,
        seed: int = 0,
        codes: Mapping[str, Any] | None = None,
        **named: Any,
    ) -> Image.Image:
        """Draw the picture of ``ssgan sample``: ``grid(digit="all", style_1="-2..2")``.

        Args:
            n: Images, a row; 16, or 8 a row, by default.
            seed: As of `sample`; a column has the same noise in every row.
            codes: Values by name, as of `sample`; they come after the keywords.
            named: Values by name: one, or a sequence, a list ("1,2,3"), a range ("-2..2") or "all"
                classes. The first code with several makes the rows, a second one the columns.

        Raises:
            BadInput: As `ssgan.export.grid.make_grid`.
        """
        return make_grid(self, _join(named, codes), n, seed).draw()

    def __repr__(self) -> str:
        return describe_in_a_line(self)

    def _repr_html_(self) -> str:
        return as_html(self)

    def draw(
        self,
        n: int | None = None,
        seed: int = 0,
        z: Any = None,
        codes: Mapping[str, Any] | None = None,
        *,
        first: int = 0,
    ) -> Latents:
        """Make the latents that `sample` renders: codes (n, K) and noise (n, noise), float32.

        They are those of the images from `first` on.
        """
        codes = codes or {}
        n = count(n, codes if np.ndim(z) < 2 else {**codes, "z": z})
        given = torch.full((n, len(self._space.codes)), torch.nan)
        for name, value in codes.items():
            column = self._space.index(name)
            given[:, column] = to_column(self._space.codes[column], value, n)
        streams = Streams(int(seed))
        keys = [streams.key("export", first + i) for i in range(n)]
        c, noise = torch.empty_like(given), torch.empty(n, self._space.noise)
        for rows in self._alike(given):
            prior = conditional_prior(self._space, given[rows[0]])
            c[rows], noise[rows] = prior.sample_each([keys[row] for row in rows])
        return Latents(torch.where(given.isnan(), c, given), self._noise(z, noise))

    @torch.no_grad()
    def render(self, latents: Latents) -> NDArray[np.uint8]:
        """Synthesize the images of latents, uint8 (n, H, W, C)."""
        encoded = self._space.encode(*latents)
        images = torch.cat(
            [self._generator(part.to(self._device)) for part in encoded.split(CHUNK)]
        )
        pixels = (images * 255).round().clamp(0, 255).to(torch.uint8).cpu()
        array: NDArray[np.uint8] = pixels.permute(0, 2, 3, 1).contiguous().numpy()
        return array

    def name_values(self, c: Tensor) -> dict[str, list[str] | NDArray[np.float32]]:
        """Turn a code table (n, K) into class names and values in the user's units."""
        return {
            code.name: (
                [code.answers[int(index)] for index in column]
                if code.is_categorical
                else code.from_unit(column).numpy()
            )
            for code, column in zip(self._space.codes, c.unbind(dim=1), strict=True)
        }

    def read(self, images: NDArray[np.uint8]) -> dict[str, Reading]:
        """Read every code back from images, uint8 (n, H, W, C), or (n, H, W) for one channel.

        Raises:
            BadInput: The images are of another type or shape.
        """
        values, confidences = self.read_table(images)
        names, certain = self.name_values(values), confidences.numpy().T
        return {name: Reading(names[name], certain[k]) for k, name in enumerate(names)}

    @torch.no_grad()
    def read_table(self, images: NDArray[np.uint8]) -> QReading:
        """Read as `read` does, into code tables, float32 (n, K), on the CPU."""
        network, readings = self._discriminator, []
        for chunk in self._pixels(images).split(CHUNK):
            h = network.trunk(chunk.to(self._device).permute(0, 3, 1, 2).float() / 255)
            readings.append(read_all(self._space, network.q_ss(h), network.q_us(h)))
        return QReading(*(torch.cat(parts).cpu() for parts in zip(*readings, strict=True)))

    def to_onnx(self) -> bytes:
        """Pack G as the content of an ONNX file, for other runtimes (`ssgan.export.onnx_file`).

        Its images are compared with torch's over 1,000 latents.

        Raises:
            BadInput: The extra `onnx` is not installed, or torch or onnxruntime cannot do it.
        """
        return pack_onnx(self.manifest, self._generator)

    def _alike(self, given: Tensor) -> Iterable[list[int]]:
        """Group the rows of a code table that have one prior."""
        if self._space.joint is None:
            return [[*range(len(given))]]
        groups: dict[bytes, list[int]] = defaultdict(list)
        for row, values in enumerate(given.numpy()):
            groups[values.tobytes()].append(row)
        return groups.values()

    def _noise(self, z: Any, drawn: Tensor) -> Tensor:
        if z is None:
            return drawn
        noise = torch.as_tensor(np.asarray(z, dtype=np.float32))
        if noise.shape[-1:] != drawn.shape[1:] or noise.ndim > 2 or not noise.isfinite().all():
            raise BadInput(
                f"z must hold finite numbers of shape ({drawn.shape[1]},) or "
                f"{tuple(drawn.shape)}, not {tuple(noise.shape)}"
            )
        return noise.expand_as(drawn)

    def _pixels(self, images: NDArray[np.uint8]) -> Tensor:
        channels, height, width = self.manifest.shape
        array = np.asarray(images)
        if array.dtype != np.uint8:
            raise BadInput(f"images must be uint8 (0 to 255), not {array.dtype}")
        if array.ndim == 3 and channels == 1:
            array = array[..., None]
        if array.ndim != 4 or array.shape[1:] != (height, width, channels) or not len(array):
            raise BadInput(
                f"images must be of shape (n, {height}, {width}, {channels}) with n of 1 or "
                f"more, not {np.shape(images)}"
            )
        return torch.from_numpy(np.ascontiguousarray(array))
