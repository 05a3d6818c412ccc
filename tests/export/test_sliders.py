"""The page with sliders: what is in it, and what it says of itself."""

import base64
import gzip
import hashlib
import json
import re
from pathlib import Path

import pytest
from torch import nn

from ssgan.base.errors import BadInput
from ssgan.export.generator import NamedGenerator
from ssgan.export.sliders import PageFidelity, PageNetworks, make_page, numbers_before_noise
from ssgan.method.codes import Code, Joint, LatentSpace
from ssgan.networks.dcgan import DcganConfig
from tests.helpers.exports import save_untrained

DIGIT = Code(name="digit", kind="categorical", classes=tuple("0123456789"))
ANGLE = Code(name="angle", kind="continuous", low=-90, high=90)
HOSTILE = "</script><img src=x onerror=alert(1)>"


def load(folder: Path, space: LatentSpace, **provenance: object) -> NamedGenerator:
    networks = DcganConfig(width=8, hidden=32, output_gain=8)
    shape = (1, 16, 16)
    save_untrained(folder, networks, space, shape, is_settled=True, **provenance)
    return NamedGenerator.load(folder)


@pytest.mark.parametrize("noise", [3, 16, 20, 62])
@pytest.mark.parametrize("is_joint", [False, True])
def test_the_numbers_before_the_noise_are_found(noise: int, is_joint: bool) -> None:
    joint = Joint(rows=((0,), (7,), (3,)), weights=(0.5, 0.3, 0.2)) if is_joint else None
    space = LatentSpace(supervised=(DIGIT,), unsupervised=(ANGLE,), noise=noise, joint=joint)
    found = numbers_before_noise(space)
    assert found is not None
    assert found >= 2 if is_joint else found == 2


def test_the_policy_allows_what_the_page_brings_and_nothing_else(tmp_path: Path) -> None:
    space = LatentSpace(supervised=(DIGIT,), unsupervised=(ANGLE,), noise=4)
    content, _ = make_page(load(tmp_path / "export", space), "runs/x")
    text = content.decode()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    directives = dict(one.split(maxsplit=1) for one in policy[1].split("; "))
    assert directives["default-src"] == "'none'"
    assert "unsafe" not in policy[1]
    inline = re.findall(r"<script(?: id=\"networks\")?>(.*?)</script>", text, re.DOTALL)
    assert len(inline) == 2
    for script in inline:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in directives["script-src"]
        assert "eval(" not in script
    assert not re.search(r"""(src|href)=["']?http""", text)


def test_names_stay_names_and_weights_are_all_there(tmp_path: Path) -> None:
    code = Code(name=HOSTILE, kind="categorical", classes=("a", HOSTILE))
    space = LatentSpace(supervised=(code,), unsupervised=(), noise=4)
    generator = load(tmp_path / "export", space, run=HOSTILE)
    content, _ = make_page(generator, HOSTILE)
    text = content.decode()
    assert HOSTILE not in text
    described = re.search(r'id="described">(.*?)</script>', text, re.DOTALL)
    weights = re.search(r'id="weights">(.*?)</script>', text, re.DOTALL)
    assert described is not None
    assert weights is not None
    found = json.loads(described[1])
    assert found["codes"][0]["classes"] == ["a", HOSTILE]
    assert found["networks"]["q_us"] == []
    parts = PageNetworks(generator).parts()
    packed = b"".join(layer.to_bytes() for layers in parts.values() for layer in layers)
    assert gzip.decompress(base64.b64decode(weights[1])) == packed


def test_the_same_export_makes_the_same_page(tmp_path: Path) -> None:
    space = LatentSpace(supervised=(), unsupervised=(ANGLE,), noise=4)
    generator = load(tmp_path / "export", space)
    first, fidelity = make_page(generator, "runs/x")
    assert make_page(generator, "runs/x") == (first, fidelity)
    assert fidelity.pixels_near > 0.999
    assert fidelity.readings_same is None


def test_only_all_of_it_is_one_hundred_percent() -> None:
    told = str(PageFidelity(1_000, 0.99999, 3, 1.0))
    assert "1,000 images 99.99 % of the pixels" in told
    assert "off by more than 3/255; 100 % of the classes" in told


def test_networks_that_no_page_can_run_are_refused(tmp_path: Path) -> None:
    space = LatentSpace(supervised=(DIGIT,), unsupervised=(), noise=4)
    generator = load(tmp_path / "export", space)
    generator.networks[0].layers[-1] = nn.Tanh()
    with pytest.raises(BadInput, match="cannot run the layer Tanh"):
        make_page(generator, "runs/x")
