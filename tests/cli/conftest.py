"""Fixtures of the command line's tests: a runner that exits as the program does."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest
import torch

from ssgan.cli import main
from ssgan.cli.screen import console
from ssgan.export.format import pack_export, save_export
from ssgan.method.codes import Code, LatentSpace
from ssgan.networks.dcgan import DcganConfig

NETWORKS = DcganConfig(width=4, hidden=16, q_hidden=8)
SPACE = LatentSpace(
    supervised=(
        Code(name="digit", kind="categorical", classes=tuple("0123456789")),
        Code(name="angle", kind="continuous", low=-30, high=60),
    ),
    unsupervised=(Code(name="style_1", kind="continuous"),),
    noise=8,
)


@dataclass(frozen=True)
class Outcome:
    """What a command line left."""

    code: int
    out: str
    err: str


Run = Callable[..., Outcome]

COSTS = ["40 pixels: 100 images/s", "32 pixels: 200 images/s"]
"""What `ssgan init` is told instead of measuring it."""


@pytest.fixture(autouse=True)
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `ssgan init` measure nothing, which takes seconds."""
    module = import_module("ssgan.cli.init")
    monkeypatch.setattr(module, "measure_costs", lambda experiment, source: COSTS)


@pytest.fixture
def ssgan(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Run]:
    """Run `ssgan ARGUMENTS` in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    console.cache_clear()

    def run(*arguments: str | Path) -> Outcome:
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(int(stop.value.code or 0), captured.out, captured.err)

    yield run
    console.cache_clear()


@pytest.fixture(scope="session")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of tiny networks whose weights are large enough for codes to show."""
    seed = torch.Generator().manual_seed(1)
    sizes = (SPACE, (1, 16, 16), seed)
    generator = NETWORKS.build_generator(*sizes)
    discriminator = NETWORKS.build_discriminator(*sizes)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.mul_(15)
    files = pack_export(
        generator,
        discriminator,
        networks=NETWORKS,
        space=SPACE,
        shape=(1, 16, 16),
        provenance={"run_id": "0" * 32},
    )
    return save_export(tmp_path_factory.mktemp("run") / "export", files)
