"""Names that are data: random streams at their places of use, and the hashes of data and judges.

A stream's name is part of its seed, and the name of a split or a field part of a hash. Whoever
renames one in the code changes every later draw, or misses every store, budget and judge that is
there already: the strings here are those of 0589714 and are not to be renamed with the code.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchvision import datasets

from ssgan.base.rng import Streams
from ssgan.base.threads import use_threads
from ssgan.data.sources import DigitsSource
from ssgan.data.sources.torchvision_sets import MnistSource
from ssgan.data.store import Store, prepare
from ssgan.drawing.store_sheet import store_sheet
from ssgan.evaluation.judge import Judge
from ssgan.experiment.loading import load_experiment
from ssgan.experiment.tree import Experiment
from ssgan.export import NamedGenerator
from ssgan.launch.outcome import finish
from ssgan.launch.preparation import find_judge, load_dataset, plan_here
from ssgan.paper.interpretation.correlation import interpret
from ssgan.records.rundir import RunDir
from ssgan.training import loop
from ssgan.training.distributed import Worker
from ssgan.training.loop import Watch
from ssgan.training.session import InProcess
from ssgan.training.state import Training

WRITTEN = Path(__file__).parent / "written-by-0589714"
GOLDEN = Path(__file__).with_name("streams.json")
CPU = torch.device("cpu")
RUN, LABELS, SAMPLE = 1705, 1706, 1707  # seeds of their own, since shuffles are cached by seed

USED: dict[str, tuple[int, Sequence[int]]] = {
    # The run's own, by update.
    "weights of G": (RUN, [0]),
    "weights of D": (RUN, [0]),
    "latents": (RUN, range(6)),
    "augmentation": (RUN, range(6)),
    "instance noise": (RUN, range(6)),
    "coin": (RUN, range(6)),
    "augment": (RUN, range(4)),
    # By cycle.
    "pool/all": (RUN, range(2)),
    "pool/labelled": (RUN, range(2)),
    "pool/unlabelled": (RUN, range(2)),
    # The same at every evaluation.
    "statistics of G": (RUN, range(8)),
    "statistics of D": (RUN, range(8)),
    "evaluation samples": (RUN, [0]),
    # The same for all runs.
    "evaluation real images": (0, [0]),
    "evaluation held-out images": (0, [0]),
    "figures, class rows": (0, [0]),
    "figures, traversal": (0, [0]),
    "figures, attributes": (0, [0]),
    "figures, strips": (0, [0]),
    "judge weights": (0, [0]),
    "judge order": (0, range(5)),
    "judge augmentation": (0, range(5)),
    "judge validation": (0, [0]),
    "contact sheet": (0, [0]),
    "turn train": (0, [0]),
    "turn judge": (0, [0]),
    # Of data.label_seed, of a sample's seed by image, of an interpretation's seed.
    "label budget": (LABELS, [0]),
    "export": (SAMPLE, range(100)),
    "unrelated codes": (SAMPLE, [0]),
}
"""Every stream in use: its seed, and the steps that the scenario below asks for."""


class Blank:
    """Stands for torchvision's MNIST: black images, few pixels, as many as there are."""

    def __init__(self, root: str, train: bool, download: bool) -> None:
        count = 60_000 if train else 10_000
        self.data = torch.zeros(count, 8, 8, dtype=torch.uint8)
        self.targets = torch.zeros(count, dtype=torch.int64)


def experiment(*overrides: str) -> Experiment:
    """Build an experiment that draws whatever can be drawn."""
    common = [
        f"seed={RUN}",
        f"data.label_seed={LABELS}",
        "codes.supervised=[shape, hat, bright, angle]",
        "training.epochs=2",
        "training.steps_per_epoch=3",
        "evaluation.judge.least_updates=5",
    ]
    return load_experiment("table.yaml", [*common, *overrides])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run a scenario, and record which keys it asks the streams for."""
    folder = tmp_path_factory.mktemp("pins")
    asked: dict[tuple[int, str], set[int]] = {}
    key = Streams.key

    def recorded(self: Streams, stream: str, step: int = 0) -> int:
        asked.setdefault((self.seed, stream), set()).add(step)
        return key(self, stream, step)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(WRITTEN)
        patch.setenv("SSGAN_CACHE", str(folder / "cache"))
        patch.setattr(Streams, "key", recorded)
        patch.setattr(datasets, "MNIST", Blank)
        run, judge = train_and_sample(folder)
        angles = MnistSource(root=folder, download=True, size=8, turned=30).open().arrays
    return {"asked": asked, "run": run, "judge": judge, "angles": angles}


def train_and_sample(folder: Path) -> tuple[RunDir, Judge]:
    """Train and judge, export and sample, draw the contact sheet."""
    separate = experiment(
        "label_sampling.unit=separate",
        "label_sampling.batch_size=16",
        "label_sampling.augment={rotation: 5}",
    )
    plan = plan_here(separate.scaling)
    dataset = load_dataset(separate)
    judge = find_judge(separate, dataset, plan)
    assert judge is not None
    run = RunDir.create(folder / "run", separate.to_yaml())
    with use_threads(plan.threads):
        loop.run(separate, dataset, judge, run, InProcess(), CPU, Watch())
    finish(run, separate, dataset, plan)
    NamedGenerator.load(folder / "run").sample(n=3, seed=SAMPLE)
    interpret(NamedGenerator.load(WRITTEN / "run"), 100, SAMPLE)
    store_sheet(Store.open(WRITTEN / "store"))
    by_coin = experiment("label_sampling.unit=batch", "label_sampling.probability.start=0.5")
    training = Training(by_coin, load_dataset(by_coin), Worker.join(CPU))
    for _ in range(3):
        training.update()
    return run, judge


def test_every_stream_is_drawn_by_the_name_and_seed_that_it_had(made: dict[str, Any]) -> None:
    found = {(seed, stream): sorted(steps) for (seed, stream), steps in made["asked"].items()}
    assert found == {(seed, stream): [*steps] for stream, (seed, steps) in USED.items()}


@pytest.mark.parametrize("stream", USED)
def test_a_stream_has_the_key_and_the_draws_that_it_had(stream: str) -> None:
    expected = json.loads(GOLDEN.read_text())[stream]
    assert draws_of(stream) == expected


def draws_of(stream: str) -> dict[str, Any]:
    """Return a stream's keys of two steps, and the first draws of each."""
    streams = Streams(USED[stream][0])
    return {
        "keys": [streams.key(stream, step) for step in (0, 1)],
        "uniform": [torch.rand(2, generator=streams.generator(stream, s)).tolist() for s in (0, 1)],
        "order": [
            torch.randperm(6, generator=streams.generator(stream, s)).tolist() for s in (0, 1)
        ],
    }


def test_digits_are_turned_by_the_angles_that_they_had(made: dict[str, Any]) -> None:
    found = [labels[:3, 1] for _, labels in made["angles"].values()]
    expected = [[11.297006, 24.593613, 3.371007], [-14.942934, 26.64019, -21.025698]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("size", "pinned"),
    [
        (8, "03893cb53f2d1cea971ffa3b064c07cd8bcee3c24efa165e7207bc9d3f7f6aac"),
        (16, "c7ea901d466eaf0dae3b5f681cc4b362ed355ea48d1eddc0d7d50dddf5fd3511"),
    ],
)
def test_the_digits_have_the_hash_that_they_had(
    size: int, pinned: str, isolated_cache: Path
) -> None:
    assert prepare(DigitsSource(size=size), isolated_cache).manifest.hash == pinned


@pytest.mark.parametrize(
    ("source", "overrides", "pinned"),
    [
        ("digits", [], "beb0f238bec9e7cff47b4c89beca603de131f3d080d5938cd20a02e4b8645524"),
        (
            "digits",
            ["data.labels=132", "data.balanced=false", "data.label_seed=4"],
            "dd06aa53494e5de4449609bfe994bb978599d670069222aafe156066faf270d6",
        ),
        (
            "digits",
            [
                "data.source={kind: parquet, train: table.parquet, labels: [shape], channels: 1}",
                "codes.supervised=[shape]",
                "data.held_out=0.25",
            ],
            "ec8a58140d5cf30173bd2d584a3be26c63c0986b45880117d48e2d466c6e325e",
        ),
    ],
)
def test_a_label_budget_has_the_hash_that_it_had(
    source: str, overrides: list[str], pinned: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(WRITTEN)
    assert load_dataset(load_experiment(source, overrides)).budget.hash == pinned


class Enough(Exception):
    """A training of a judge has begun, so its identity is known."""


@pytest.mark.parametrize(
    ("overrides", "seed", "pinned"),
    [
        ([], 0, "9ad0ddf76bbfa670da2c"),
        (
            ["evaluation.judge.rows=second half", "evaluation.judge.classifier.depth=3"],
            1,
            "a0673ee62db04a55ef2d",
        ),
        (
            ["evaluation.judge.classifier={architecture: wrn, width: 1, depth: 10}"],
            0,
            "4c0bd04ff8a9c9c7cb27",
        ),
        (
            ["evaluation.judge.augment=null", "evaluation.judge.precision=bfloat16"],
            0,
            "003f985873716b729eff",
        ),
    ],
)
def test_a_judge_has_the_identity_that_it_had(
    overrides: list[str],
    seed: int,
    pinned: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = load_experiment("digits", overrides)
    dataset = load_dataset(made)
    monkeypatch.setenv("SSGAN_CACHE", str(tmp_path))

    def stop(title: str, done: int, total: int, unit: str) -> None:
        raise Enough

    with pytest.raises(Enough):
        find_judge(made, dataset, plan_here(made.scaling), stop, seed)
    # Judges are kept under the first 20 digits of their identity; its lock is there at once.
    assert [file.name for file in (tmp_path / "judges").iterdir()] == [f"{pinned}.lock"]


def test_a_trained_judge_has_the_identity_that_it_had(made: dict[str, Any]) -> None:
    assert made["judge"].hash == "5f1dfe87be05db082ea43c8958d8a7901f19a17630645eb4992dce2b89a7ff86"


if (
    __name__ == "__main__"
):  # writes streams.json from scratch, where a new stream is meant: PYTHONPATH=. python FILE
    GOLDEN.write_text(json.dumps({stream: draws_of(stream) for stream in USED}, indent=1) + "\n")
