"""The folder of an exported generator: `model.safetensors` and `generator.json`, both hashed."""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_weights
from safetensors.torch import save as pack_weights
from torch import Tensor, nn

from ssgan import __version__
from ssgan.base.config import Config, canonical_hash, in_a_line
from ssgan.base.errors import BadInput, CorruptFile
from ssgan.base.json_text import read_json
from ssgan.method.codes import LatentSpace
from ssgan.networks.architecture import NetworksConfig
from ssgan.networks.weights import check_weights

WEIGHTS, MANIFEST = "model.safetensors", "generator.json"
FORMAT = 1

CopyOf = Annotated[
    Literal["raw", "ema"], BeforeValidator(lambda name: "raw" if name == "online" else name)
]
"""The copies of G; "online" is what 0.1.0 wrote for "raw"."""
Provenance = str | int | float | bool | None
_LARGEST = 4 * 2**30  # bytes of weights: a thousand million parameters
_LARGEST_HEADER = 2**20  # bytes before them
_REMEDY = "Write the folder again with `ssgan export RUN_DIR`, or copy it again"


class ExportManifest(Config):
    """Everything about an exported generator but its weights: `generator.json`."""

    format: int = FORMAT
    """Version of this layout."""
    ssgan: str = __version__
    """Version of ssgan that wrote the export."""
    copy_of: CopyOf = "ema"
    """Which copy of G this is: the moving average of its parameters, or the raw ones."""
    networks: NetworksConfig
    """Sizes of the networks."""
    space: LatentSpace
    """The codes with their class names and units, their prior, and the noise."""
    shape: tuple[int, int, int]
    """Channels, height and width of an image."""
    image_range: tuple[float, float] = (0.0, 1.0)
    """Range of the networks' pixels; uint8 images map it to 0..255."""
    shares: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    """Estimated shares of a code's classes among all images of the train split, by the name of the
    code: what labels that were spread read (`data.spread`). Empty where none were."""
    weights_sha256: str
    """Hash of model.safetensors."""
    provenance: dict[str, Provenance]
    """Where the generator comes from: run, step, seed, hashes of data and label budget."""


def pack_export(
    generator: nn.Module,
    discriminator: nn.Module,
    *,
    networks: NetworksConfig,
    space: LatentSpace,
    shape: tuple[int, int, int],
    copy_of: CopyOf = "ema",
    shares: Mapping[str, tuple[float, ...]] | None = None,
    provenance: Mapping[str, Provenance],
) -> dict[str, bytes]:
    """Pack networks as the files of an export folder, to be written in this order.

    BatchNorm statistics must belong to the copy given (`ssgan.networks.ema`).
    """
    tensors = {
        f"{prefix}.{name}": tensor.detach().cpu().contiguous()
        for prefix, network in (("generator", generator), ("discriminator", discriminator))
        for name, tensor in network.state_dict().items()
    }
    packed = pack_weights(tensors)
    manifest = ExportManifest(
        copy_of=copy_of,
        networks=networks,
        space=space,
        shape=shape,
        shares=dict(shares or {}),
        weights_sha256=sha256(packed).hexdigest(),
        provenance=dict(provenance),
    ).model_dump(mode="json")
    text = json.dumps({**manifest, "manifest_sha256": canonical_hash(manifest)}, indent=2)
    return {WEIGHTS: packed, MANIFEST: text.encode()}


def save_export(folder: str | Path, files: Mapping[str, bytes]) -> Path:
    """Write the files of `pack_export` into a local folder, each in one move."""
    from ssgan.base.storage import Folder  # needs pyarrow, which reading an export does not

    target = Folder(folder)
    for name, content in files.items():
        target.write_bytes(name, content)
    return Path(folder)


def read_manifest(folder: Path) -> ExportManifest:
    """Read generator.json and check it against its own hash.

    Raises:
        BadInput: There is none, or it needs a newer ssgan.
        CorruptFile: It changed after it was written.
    """
    file = folder / MANIFEST
    if not file.is_file():
        raise no_export(folder)
    return parse_manifest(file.read_bytes(), str(file))


def no_export(folder: str | Path) -> BadInput:
    """Return the error that there is no export in a folder."""
    return BadInput(f"no export in {folder}: it has no {MANIFEST}. {_REMEDY}")


def parse_manifest(text: bytes, file: str) -> ExportManifest:
    """Parse the content of a generator.json and check it against its own hash.

    Raises:
        BadInput: It needs a newer ssgan.
        CorruptFile: It changed after it was written.
    """
    try:
        content = read_json(text)
        recorded = content.pop("manifest_sha256")
        if content.get("format", 0) > FORMAT:
            raise BadInput(
                f"{file} has format {content['format']} and ssgan {__version__} reads up to "
                f"{FORMAT}; install ssgan {content.get('ssgan')} or newer"
            )
        if canonical_hash(content) != recorded:
            raise CorruptFile(f"{file} changed after it was exported. {_REMEDY}")
        return ExportManifest.model_validate(content)
    except BadInput:
        raise
    except ValidationError as error:
        raise CorruptFile(f"{file} does not describe a generator: {in_a_line(error)}") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptFile(f"{file} is not an export manifest: {error}. {_REMEDY}") from None


def read_weights(
    folder: Path,
    manifest: ExportManifest,
    generator: Mapping[str, Tensor],
    discriminator: Mapping[str, Tensor],
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Read the states of G and D, which are to have the shapes and types of those given.

    Nothing is read of a file that is larger than these.

    Raises:
        CorruptFile: The file is missing, cut short or changed, holds other tensors, or values that
            are NaN or infinite.
    """
    file = folder / WEIGHTS
    wanted = {
        **{f"generator.{name}": tensor for name, tensor in generator.items()},
        **{f"discriminator.{name}": tensor for name, tensor in discriminator.items()},
    }
    size = sum(tensor.numel() * tensor.element_size() for tensor in wanted.values())
    if size > _LARGEST:
        raise CorruptFile(
            f"{folder / MANIFEST} describes networks of {size / 2**30:,.1f} GiB, more than "
            f"{_LARGEST / 2**30:g} GiB. {_REMEDY}"
        )
    try:
        if file.stat().st_size > size + _LARGEST_HEADER:
            raise ValueError(f"it has {file.stat().st_size:,} bytes, and its tensors take {size:,}")
        packed = file.read_bytes()
        if sha256(packed).hexdigest() != manifest.weights_sha256:
            raise CorruptFile(f"{file} changed after it was exported. {_REMEDY}")
        tensors = load_weights(packed)
        check_weights(tensors, wanted)
    except CorruptFile:
        raise
    except (OSError, SafetensorError, ValueError) as error:
        raise CorruptFile(f"{file} cannot be used: {error}. {_REMEDY}") from None
    return (
        {name: tensors[f"generator.{name}"] for name in generator},
        {name: tensors[f"discriminator.{name}"] for name in discriminator},
    )
