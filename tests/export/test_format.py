"""The export folder: what is written is what is read, and nothing that changed since."""

import json
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from safetensors.torch import load as unpack
from safetensors.torch import save

from ssgan.base.config import canonical_hash
from ssgan.base.errors import BadInput, CorruptFile
from ssgan.export import NamedGenerator
from ssgan.export.format import (
    MANIFEST,
    WEIGHTS,
    pack_export,
    read_manifest,
    read_weights,
    save_export,
)
from ssgan.method.codes import Code, LatentSpace
from ssgan.networks.architecture import shapes_only
from ssgan.networks.dcgan import DcganConfig
from tests.helpers.damage import damage, damaged, read_or_refused

NETWORKS, SHAPE = DcganConfig(width=4, hidden=16, q_hidden=8), (1, 8, 8)
PET = Code(name="pet", kind="categorical", classes=("cat", "dog"))
SPACE = LatentSpace(supervised=(PET,), unsupervised=(), noise=3)


def files(step: int = 7) -> dict[str, bytes]:
    seed = torch.Generator().manual_seed(step)
    return pack_export(
        NETWORKS.build_generator(SPACE, SHAPE, seed),
        NETWORKS.build_discriminator(SPACE, SHAPE, seed),
        networks=NETWORKS,
        space=SPACE,
        shape=SHAPE,
        copy_of="raw",
        provenance={"step": step},
    )


def load(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    manifest = read_manifest(folder)
    sizes = (manifest.space, manifest.shape, torch.Generator())
    with shapes_only():
        generator = manifest.networks.build_generator(*sizes)
        discriminator = manifest.networks.build_discriminator(*sizes)
    states = read_weights(folder, manifest, generator.state_dict(), discriminator.state_dict())
    return dict(zip(("generator", "discriminator"), states, strict=True))


def test_weights_and_manifest_come_back(tmp_path: Path) -> None:
    seed = torch.Generator().manual_seed(7)
    generator = NETWORKS.build_generator(SPACE, SHAPE, seed)
    save_export(tmp_path / "deep/export", files())
    manifest = read_manifest(tmp_path / "deep/export")
    assert (manifest.networks, manifest.space, manifest.shape) == (NETWORKS, SPACE, SHAPE)
    assert (manifest.copy_of, manifest.provenance) == ("raw", {"step": 7})
    states = load(tmp_path / "deep/export")
    assert states["generator"].keys() == generator.state_dict().keys()
    for name, tensor in generator.state_dict().items():
        assert states["generator"][name].equal(tensor)


def test_the_raw_copy_was_once_called_online(tmp_path: Path) -> None:
    made = files()
    written = json.loads(made[MANIFEST])
    del written["manifest_sha256"]
    written["copy_of"] = "online"
    text = json.dumps({**written, "manifest_sha256": canonical_hash(written)})
    save_export(tmp_path, made | {MANIFEST: text.encode()})
    assert read_manifest(tmp_path).copy_of == "raw"


def test_the_same_networks_give_the_same_bytes() -> None:
    assert files() == files()


def test_saving_again_replaces_the_folder(tmp_path: Path) -> None:
    save_export(tmp_path, files(7))
    save_export(tmp_path, files(8))
    assert read_manifest(tmp_path).provenance == {"step": 8}
    assert load(tmp_path)["generator"]
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "generator.json",
        "model.safetensors",
    ]


@pytest.mark.parametrize("how", ["flip", "truncate", "remove"])
def test_changed_weights_are_refused(tmp_path: Path, how: str) -> None:
    weights = save_export(tmp_path, files()) / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-5] ^= 1
    match how:
        case "flip":
            weights.write_bytes(content)
        case "truncate":
            weights.write_bytes(content[:-100])
        case _:
            weights.unlink()
    with pytest.raises(CorruptFile, match=r"model\.safetensors.*ssgan export RUN_DIR"):
        load(tmp_path)


def test_a_changed_manifest_is_refused(tmp_path: Path) -> None:
    manifest = save_export(tmp_path, files()) / "generator.json"
    manifest.write_text(manifest.read_text().replace('"cat"', '"cow"'))
    with pytest.raises(CorruptFile, match=r"generator\.json changed"):
        load(tmp_path)
    manifest.write_text(manifest.read_text()[:100])
    with pytest.raises(CorruptFile, match="is not an export manifest"):
        load(tmp_path)


def test_a_newer_format_asks_for_a_newer_ssgan(tmp_path: Path) -> None:
    manifest = save_export(tmp_path, files()) / "generator.json"
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**content, "format": 2}))
    with pytest.raises(BadInput, match="reads up to 1; install"):
        load(tmp_path)


def test_a_folder_without_an_export_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no export in"):
        load(tmp_path)


def remade(made: dict[str, bytes], tensors: dict[str, torch.Tensor]) -> dict[str, bytes]:
    """Make an export with other tensors, whose hashes are right."""
    packed = save(tensors)
    written = json.loads(made[MANIFEST])
    del written["manifest_sha256"]
    written["weights_sha256"] = sha256(packed).hexdigest()
    text = json.dumps({**written, "manifest_sha256": canonical_hash(written)})
    return {WEIGHTS: packed, MANIFEST: text.encode()}


def described(made: dict[str, bytes], **fields: object) -> dict[str, bytes]:
    """Make an export with another description, whose hash is right."""
    written = {**json.loads(made[MANIFEST]), **fields}
    del written["manifest_sha256"]
    text = json.dumps({**written, "manifest_sha256": canonical_hash(written)})
    return made | {MANIFEST: text.encode()}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"generator.layers.0.weight": None}, "the tensor generator.layers.0.weight is missing"),
        ({"generator.new": torch.ones(2)}, "the tensor generator.new is unknown"),
        ({"elsewhere": torch.ones(2)}, "the tensor elsewhere is unknown"),
        ({"generator.layers.0.bias": torch.ones(3)}, r"generator.layers.0.bias is float32 \(3\)"),
        ({"generator.layers.0.bias": torch.ones(16, dtype=torch.float64)}, "is float64"),
        (
            {"generator.layers.0.bias": torch.full((16,), torch.nan)},
            "generator.layers.0.bias has values",
        ),
        ({"discriminator._d.bias": torch.tensor([-torch.inf])}, "_d.bias has values that are NaN"),
        ({"generator.layers.0.bias": torch.ones(10**6)}, "bytes, and its tensors take"),
    ],
)
def test_weights_of_other_networks_are_refused_in_a_line(
    tmp_path: Path, change: dict[str, torch.Tensor | None], problem: str
) -> None:
    made = files()
    tensors = {**unpack(made[WEIGHTS]), **change}
    save_export(tmp_path, remade(made, {k: v for k, v in tensors.items() if v is not None}))
    with pytest.raises(CorruptFile, match=problem) as refused:
        NamedGenerator.load(tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"networks": {"kind": "dcgan", "width": 10**9}}, "GiB, more than 4 GiB|no networks"),
        ({"networks": {"kind": "dcgan", "width": 2**63}}, "no networks"),
        ({"networks": {"kind": "dcgan", "width": True}}, "does not describe a generator"),
        ({"networks": {"kind": "dcgan", "hidden": 10**12}}, "GiB, more than 4 GiB"),
        ({"shape": [1, 7 * 2**40, 7 * 2**40]}, "GiB, more than 4 GiB|no networks"),
        ({"shape": "wide"}, "does not describe a generator"),
        ({"space": None}, "does not describe a generator"),
        ({"format": "newest"}, "is not an export manifest"),
    ],
)
def test_absurd_sizes_take_no_memory(
    tmp_path: Path, fields: dict[str, object], problem: str
) -> None:
    save_export(tmp_path, described(files(), **fields))
    with pytest.raises(CorruptFile, match=problem) as refused:
        NamedGenerator.load(tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "null", '{"format": NaN}', "9" * 5000, ""])
def test_a_manifest_that_nobody_wrote_is_refused_in_a_line(tmp_path: Path, text: str) -> None:
    save_export(tmp_path, files() | {MANIFEST: text.encode()})
    with pytest.raises(CorruptFile, match="is not an export manifest") as refused:
        NamedGenerator.load(tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("head", [b"", b"\xff" * 8, b"\x10" + b"\0" * 7 + b"[" * 16])
def test_a_header_that_is_none_is_refused(tmp_path: Path, head: bytes) -> None:
    made = described(files(), weights_sha256=sha256(head).hexdigest())
    save_export(tmp_path, made | {WEIGHTS: head})
    with pytest.raises(CorruptFile, match=r"model.safetensors cannot be used"):
        NamedGenerator.load(tmp_path)


@settings(max_examples=100, deadline=None)
@given(damaged())
def test_weights_with_a_damaged_header_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, harm: list[tuple[str, float, object]]
) -> None:
    made = files()
    head = int.from_bytes(made[WEIGHTS][:8], "little") + 8
    packed = damage(made[WEIGHTS][:head], harm) + made[WEIGHTS][head:]
    folder = tmp_path_factory.mktemp("export")
    written = described(made, weights_sha256=sha256(packed).hexdigest())
    save_export(folder, written | {WEIGHTS: packed})
    states = read_or_refused(lambda: load(folder))
    assert states is None or states.keys() == {"generator", "discriminator"}
