"""The export folder: what is written is what is read, and nothing that changed since."""

import json
from pathlib import Path

import pytest
import torch

from ssgan.base.config import canonical_hash
from ssgan.base.errors import BadInput, CorruptFile
from ssgan.export.format import MANIFEST, pack_export, read_manifest, read_weights, save_export
from ssgan.method.codes import Code, LatentSpace
from ssgan.networks.dcgan import DcganConfig

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
    return read_weights(folder, read_manifest(folder))


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
