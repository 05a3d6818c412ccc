import logging
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from ssgan.base.errors import BadInput, CorruptFile, NonFiniteLoss
from ssgan.data.dataset import DataConfig, Dataset
from ssgan.data.memmap import Split
from ssgan.data.store import Store
from ssgan.evaluation import fit as fitting
from ssgan.evaluation.judge import Judge, JudgeConfig, train_judge
from ssgan.method.codes import Code, CodesConfig
from ssgan.networks.classifier import CnnConfig

SIDE = Code(name="side", kind="categorical", classes=("left", "right"))
LEVEL = Code(name="level", kind="continuous", low=0, high=100)
CODES = (SIDE, LEVEL)
CONFIG = JudgeConfig(classifier=CnnConfig(width=4), epochs=1, least_updates=4, batch_size=8)


def toys(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (n, 1, 8, 8), generator=generator).to(torch.uint8)
    side = torch.arange(n) % 2
    return images, torch.stack([side.float(), torch.rand(n, generator=generator)], dim=1)


def split(n: int, seed: int) -> tuple[Split, torch.Tensor]:
    images, labels = toys(n, seed)
    return Split(images, labels), labels


def train(cache: Path, config: JudgeConfig = CONFIG, **changes: Any) -> Judge:
    arguments: dict[str, Any] = {"content": "toys", "seed": 0, "cache": cache, **changes}
    return train_judge(config, CODES, *split(24, 0), *split(40, 1), **arguments)


class Interrupted(Exception):
    """What stops a training in these tests."""


def begin(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Train until the second of two epochs, and return the file of what was reached."""

    def stop(done: int, total: int) -> None:
        if done == 5:
            raise Interrupted

    monkeypatch.setattr(fitting, "EVERY", 0.0)
    with pytest.raises(Interrupted):
        train(cache, progress=stop)
    (file,) = cache.glob("*.partial*")
    return file


def weights(cache: Path) -> bytes:
    (file,) = cache.glob("*/weights.safetensors")
    return file.read_bytes()


def test_it_is_trained_once_and_found_again(tmp_path: Path) -> None:
    told: list[int] = []
    first = train(tmp_path, progress=lambda done, total: told.append(done))
    assert told == [1, 2, 3, 4, 5, 6]  # two epochs of three batches
    again = train(tmp_path, progress=lambda done, total: pytest.fail("it was trained again"))
    assert again.card == first.card
    images = toys(40, 1)[0]
    for ours, theirs in zip(first.predict(images), again.predict(images), strict=True):
        assert torch.equal(ours, theirs)


def test_it_knows_its_own_errors(tmp_path: Path) -> None:
    judge = train(tmp_path, CONFIG.model_copy(update={"validation_images": 40}))
    images, labels = toys(40, 1)
    seen = judge.predict(images)
    assert judge.accuracy == {"side": (seen.c[:, 0] == labels[:, 0]).double().mean().item()}
    assert judge.mean_accuracy == judge.accuracy["side"]
    errors = (seen.c[:, 1] - labels[:, 1]) * 50  # units of 0..100 over [-1, 1]
    assert judge.card.rmse["level"] == pytest.approx(errors.square().mean().sqrt().item(), 1e-4)


def test_it_takes_bytes_and_floats_alike(tmp_path: Path) -> None:
    judge = train(tmp_path)
    images = toys(5, 2)[0]
    by_bytes, by_floats = judge.predict(images), judge.predict(images.float() / 255)
    assert torch.equal(by_bytes.features, by_floats.features)
    assert by_bytes.c.shape == (5, 2)
    assert judge.predict(images[:0]).c.shape == (0, 2)


def test_everything_that_determines_it_is_in_its_hash(tmp_path: Path) -> None:
    judges = [
        train(tmp_path),
        train(tmp_path, seed=1),
        train(tmp_path, content="other"),
        train(tmp_path, CONFIG.model_copy(update={"rows": "first half"})),
        train(tmp_path, CONFIG.model_copy(update={"classifier": CnnConfig(width=5)})),
    ]
    assert len({judge.hash for judge in judges}) == 5
    assert judges[3].card.images == 12


@pytest.mark.parametrize("name", ["weights.safetensors", "judge.json"])
def test_a_damaged_cache_is_noticed_and_mended(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = train(tmp_path)
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 255
    (folder / name).write_bytes(content)
    with pytest.raises(CorruptFile, match=folder.name):
        Judge.load(folder)
    with caplog.at_level(logging.WARNING):
        again = train(tmp_path)
    assert "training it again" in caplog.text
    assert again.hash == first.hash
    assert Judge.load(folder).hash == first.hash


def test_an_interrupted_training_goes_on_after_its_last_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    undisturbed = train(tmp_path / "undisturbed")
    file = begin(tmp_path, monkeypatch)
    told: list[tuple[int, int]] = []
    with caplog.at_level(logging.INFO):
        judge = train(tmp_path, progress=lambda done, total: told.append((done, total)))
    assert told == [(4, 6), (5, 6), (6, 6)]
    assert "after epoch 1" in caplog.text
    assert judge.hash == undisturbed.hash
    assert weights(tmp_path) == weights(tmp_path / "undisturbed")
    assert not file.exists()


def test_a_damaged_start_is_warned_of_and_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    train(tmp_path / "undisturbed")
    file = begin(tmp_path, monkeypatch)
    file.write_bytes(file.read_bytes()[:-1])
    told: list[int] = []
    with caplog.at_level(logging.WARNING):
        train(tmp_path, progress=lambda done, total: told.append(done))
    assert told == [1, 2, 3, 4, 5, 6]
    assert f"{file.name} is corrupt" in caplog.text
    assert weights(tmp_path) == weights(tmp_path / "undisturbed")
    assert not file.exists()


def test_a_diverged_training_is_not_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = begin(tmp_path, monkeypatch)
    diverged = "ssgan.evaluation.fit.q_losses"
    monkeypatch.setattr(diverged, lambda codes, kind, out, y: y + out.sum() * math.nan)
    with pytest.raises(NonFiniteLoss):
        train(tmp_path)
    assert not file.exists()


def test_a_short_training_that_is_interrupted_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 5:  # in the second epoch
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, progress=stop)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_a_code_without_labels_is_refused(tmp_path: Path) -> None:
    rows = split(24, 0)
    rows[1][:, 1] = math.nan
    with pytest.raises(BadInput, match="level"):
        train_judge(CONFIG, CODES, *rows, *split(4, 1), content="x", seed=0, cache=tmp_path)


@pytest.mark.slow
def test_the_default_judge_reads_digits(digits_store: Store, tmp_path: Path) -> None:
    data = Dataset.load(DataConfig(), CodesConfig(), digits_store)
    assert data.test is not None
    assert data.y_test is not None
    judge = train_judge(
        JudgeConfig(),
        data.space.supervised,
        data.test,
        data.y_test,
        data.train,
        data.y_known,
        content=data.manifest.hash,
        seed=0,
        cache=tmp_path,
    )
    assert judge.accuracy["digit"] >= 0.95
