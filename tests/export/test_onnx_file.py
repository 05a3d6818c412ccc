"""G as ONNX: named inputs, the images of torch, and no image where there should be none."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ssgan.base.errors import BadInput
from ssgan.export import NamedGenerator, onnx_file
from ssgan.method.codes import Code, LatentSpace
from ssgan.networks.dcgan import DcganConfig
from ssgan.networks.generator import Generator
from tests.helpers.exports import save_untrained

NETWORKS = DcganConfig(width=4, hidden=16, q_hidden=8)
CODES = (
    Code(name="digit", kind="categorical", classes=tuple("0123456789")),
    Code(name="תואר </b> 🙂", kind="categorical", classes=("no", "<i>yes</i>")),
    Code(name="angle", kind="continuous", low=-30, high=60),
    Code(name="relu", kind="continuous"),  # as torch calls a value inside
)


def make(
    folder: Path, *unsupervised: Code, shape: tuple[int, int, int] = (1, 16, 16)
) -> NamedGenerator:
    """Make an untrained generator whose weights are large enough for codes to show."""
    space = LatentSpace(supervised=CODES, unsupervised=unsupervised, noise=6)
    save_untrained(folder, NETWORKS, space, shape, run="düne", step=7)
    generator = NamedGenerator.load(folder)
    with torch.no_grad():
        for parameter in generator._generator.parameters():
            parameter.mul_(8).add_(0.01)
    return generator


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> NamedGenerator:
    """A generator with codes of both kinds."""
    return make(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def content(generator: NamedGenerator) -> bytes:
    """The same as ONNX."""
    return generator.to_onnx()


def given(generator: NamedGenerator, n: int, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Draw inputs for n images, by name."""
    latents = generator.draw(n, seed)
    columns = zip(generator.manifest.space.codes, latents.c.unbind(dim=1), strict=True)
    drawn = {
        code.name: (column.long() if code.is_categorical else code.from_unit(column)).numpy()
        for code, column in columns
    }
    return drawn | {"z": latents.z.numpy()}


def test_inputs_have_the_codes_names_and_any_batch(content: bytes) -> None:
    session = onnx_file.open_session(content)
    assert [(one.name, one.type, one.shape) for one in session.get_inputs()] == [
        ("digit", "tensor(int64)", ["batch"]),
        (CODES[1].name, "tensor(int64)", ["batch"]),
        ("angle", "tensor(float)", ["batch"]),
        ("relu", "tensor(float)", ["batch"]),
        ("z", "tensor(float)", ["batch", 6]),
    ]
    (output,) = session.get_outputs()
    assert (output.name, output.type) == ("images", "tensor(float)")
    assert output.shape == ["batch", 1, 16, 16]


@pytest.mark.parametrize("n", [1, 17, 300])
def test_images_are_those_of_sample(generator: NamedGenerator, content: bytes, n: int) -> None:
    values = given(generator, n, seed=n)
    (images,) = onnx_file.open_session(content).run(["images"], values)
    asked = {name: value for name, value in values.items() if name != "z"}
    expected = generator.sample(n=n, z=values["z"], codes=asked)
    assert images.dtype == np.float32
    assert images.min() >= 0
    assert images.max() <= 1
    assert images.std() > 0.01
    pixels = images.transpose(0, 2, 3, 1) * 255
    assert np.abs(pixels - expected).max() <= 0.5 + 255e-4
    values["digit"] = (values["digit"] + 1) % 10
    (changed,) = onnx_file.open_session(content).run(["images"], values)
    assert (np.abs(changed - images).max(axis=(1, 2, 3)) > 1e-3).all()


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("digit", 10, "'digit' takes a class index from 0 to 9"),
        ("digit", -1, "'digit' takes a class index from 0 to 9"),
        (CODES[1].name, 2, "takes a class index from 0 to 1"),
        ("angle", 105.1, "'angle' takes a value from -75 to 105"),
        ("relu", np.nan, "'relu' takes a value from -2 to 2"),
    ],
)
def test_what_sample_refuses_makes_no_image(
    generator: NamedGenerator, content: bytes, name: str, value: float, allowed: str
) -> None:
    values = given(generator, 3)
    values[name][1] = value
    with pytest.raises(Exception, match=allowed):
        onnx_file.open_session(content).run(["images"], values)


def test_a_value_at_the_end_of_its_reach_is_taken(
    generator: NamedGenerator, content: bytes
) -> None:
    values = given(generator, 4)
    values["angle"][:] = [-75, 105, -30, 60]
    (images,) = onnx_file.open_session(content).run(["images"], values)
    assert np.isfinite(images).all()


def test_codes_keep_their_names_where_others_have_them(tmp_path: Path) -> None:
    codes = [Code(name=name, kind="continuous") for name in ("z", "z_", "images", "batch")]
    generator = make(tmp_path, *codes, shape=(3, 8, 8))
    content = generator.to_onnx()
    session = onnx_file.open_session(content)
    names = [one.name for one in session.get_inputs()]
    assert names == [*(code.name for code in generator.codes), "z__"]
    metadata = session.get_modelmeta().custom_metadata_map
    assert [one["input"] for one in json.loads(metadata["inputs"])] == names
    assert [one.name for one in session.get_outputs()] == [metadata["output"]] == ["images_"]


def test_metadata_has_classes_units_and_provenance(
    generator: NamedGenerator, content: bytes
) -> None:
    model = onnx.load_from_string(content)
    metadata = {one.key: one.value for one in model.metadata_props}
    inputs = {one["input"]: one for one in json.loads(metadata["inputs"])}
    assert inputs[CODES[1].name]["classes"] == ["no", "<i>yes</i>"]
    assert (inputs["angle"]["low"], inputs["angle"]["high"]) == (-30, 60)
    assert inputs["z"] == {"input": "z", "kind": "noise", "size": 6, "drawn from": "N(0, 1)"}
    assert json.loads(metadata["provenance"]) == {"run": "düne", "step": 7}
    manifest = type(generator.manifest).model_validate_json(metadata["generator.json"])
    assert manifest == generator.manifest


def test_equal_generators_make_equal_files_that_name_no_place(
    generator: NamedGenerator, content: bytes
) -> None:
    assert generator.to_onnx() == content
    assert b".py" not in content
    assert str(Path.home()).encode() not in content


class _Chance(nn.Module):
    """Makes images that no check can meet."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.rand_like(x[:, :16].repeat(1, 16)[:, :256]).view(-1, 1, 16, 16)


class _Choice(nn.Module):
    """Depends on numbers in a way that no graph has."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :1] if float(x.sum()) > 0 else x[:, :2]


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (_Chance(), r"a pixel, from 0 to 1, is 0\.\d+ away, more than 0.0001"),
        (_Choice(), "torch cannot write a generator of kind dcgan as ONNX: "),
    ],
)
def test_a_generator_that_onnx_does_not_repeat_is_refused(
    generator: NamedGenerator, layer: nn.Module, message: str
) -> None:
    with pytest.raises(BadInput, match=message) as refused:
        onnx_file.pack_onnx(generator.manifest, Generator(layer))
    assert str(refused.value).count("\n") == 0


def test_a_generator_that_no_protobuf_holds_is_refused(
    generator: NamedGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_file, "_LARGEST", 1000)
    with pytest.raises(BadInput, match="holds less than 2 GiB"):
        generator.to_onnx()


def test_the_extra_is_named_where_it_is_missing(
    generator: NamedGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_file, "ONNX", ("onnx", "no_such_runtime"))
    with pytest.raises(BadInput, match=r"no_such_runtime.*pip install 'ssgan\[onnx\]'"):
        generator.to_onnx()


def test_nothing_of_it_is_imported_before_it_is_used_and_no_telemetry(tmp_path: Path) -> None:
    save_untrained(
        tmp_path, NETWORKS, LatentSpace(supervised=CODES, unsupervised=(), noise=2), (1, 8, 8)
    )
    program = (
        "import os, sys; from ssgan.export import NamedGenerator; "
        f"generator = NamedGenerator.load({str(tmp_path)!r}); "
        "before = {'onnx', 'onnxruntime', 'onnxscript'} & set(sys.modules); "
        "content = generator.to_onnx(); "
        "after = {'ray', 'mlflow'} & set(sys.modules); "
        "print(len(content) > 1000, before, after, os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "True set() set() 1", done.stderr
    assert done.stderr == ""
