"""The recipes of docs/extending.md, run as they stand there; the searcher's is in integration."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import torch

from ssgan.cli import main
from ssgan.data.sources import SourceConfig
from ssgan.evaluation.extra_metric import ExtraMetric
from ssgan.experiment.tree import Experiment
from ssgan.export import NamedGenerator
from ssgan.launch import driver
from ssgan.method.extra_term import ExtraTerm
from ssgan.method.schedules import Schedule
from ssgan.networks.architecture import NetworksConfig
from ssgan.records.rundir import RunDir
from tests.helpers.outside import module_outside
from tests.helpers.recipes import MODULES, command
from tests.launch.conftest import TINY, NoFollower

UNIONS = (SourceConfig, ExtraTerm, ExtraMetric, NetworksConfig, Schedule)
Train = Callable[[str], RunDir]


def run(*words: str) -> None:
    """Run `ssgan WORDS`."""
    with pytest.raises(SystemExit) as stop:
        main(list(words))
    assert not stop.value.code


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Train]:
    """Train once with a recipe's command, tiny, where all modules of the page are on the path."""
    folder = tmp_path_factory.mktemp("extending")

    def made(module: str) -> RunDir:
        words = command(module)
        name = words[words.index("--name") + 1]
        if not (folder / "runs" / name).exists():
            # Options of DCGAN are none of another family.
            tiny = [one for one in TINY if module != "mlp" or not one.startswith("networks.")]
            run(*words, *tiny)
        return RunDir.open(folder / "runs" / name)

    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        for name, text in MODULES.items():
            stack.enter_context(module_outside(folder, name, text, *UNIONS))
        patch.chdir(folder)
        patch.setattr(driver, "RunSync", NoFollower)
        patch.setattr(driver, "check", lambda *told: None)
        yield made


def test_the_page_has_six_recipes() -> None:
    assert list(MODULES) == ["letters", "r1", "kid", "mlp", "swing", "sobol"]
    assert all(command(module) for module in MODULES)


def test_a_source(train: Train) -> None:
    made = train("letters")
    generator = NamedGenerator.load(made.location)
    assert generator.sample(letter="B", n=2).shape == (2, 16, 16, 1)
    assert made.records()[-1].metrics["zero_one_loss_ema/letter.C"] is not None
    source = Experiment.from_yaml(made.definition()).data.source
    again = type(source).model_validate({"count": 50})
    assert source.fingerprint() != again.fingerprint()


def test_a_loss_term(train: Train) -> None:
    losses = [record.metrics["loss/R1"] for record in train("r1").records()]
    assert len(losses) == 3
    assert all(value is not None and value > 0 for value in losses)


def test_a_metric(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    train("r1")
    run(*command("kid"), "--json")
    found = json.loads(capsys.readouterr().out)["metrics"]
    member = ExtraMetric.member("kid.Kid")()
    assert found["kid_judge"] > 0  # of a G that has learned nothing yet
    # Unbiased: of two samples of one distribution it is 0 in the mean.
    draw = torch.Generator().manual_seed(0)

    class Seen:
        def __init__(self) -> None:
            self.features = torch.randn(400, 8, generator=draw)

    class Alike:
        seen, seen_real = Seen(), Seen()

    value = member.measure(Alike())["kid_judge"]  # type: ignore[arg-type]
    assert value == pytest.approx(0, abs=0.1)


def test_a_network_family(train: Train) -> None:
    made = train("mlp")
    assert NamedGenerator.load(made.location).sample(digit=7, n=2).shape == (2, 16, 16, 1)
    networks = Experiment.from_yaml(made.definition()).networks
    assert networks.model_dump(exclude={"batch_norm"}) == {"kind": "mlp.Mlp", "units": 256}


def test_a_schedule(train: Train) -> None:
    noise = Experiment.from_yaml(train("swing").definition()).instance_noise
    values = [noise.at(images, 100) for images in (0, 50, 100, 150, 200)]
    assert values == pytest.approx([0.1, 0.05, 0, 0.05, 0.1])
