"""The judge: the independent classifier C, trained once and cached (section 5 of the paper).

"In order to prevent biased results due to the generator overfitting, we train the classifier C by
using the test set, and validate on the training set."

A cached judge is a folder named by the hash of all that determines it (rows, codes, architecture,
recipe, seed), with the weights as safetensors and everything else as JSON. A file next to it,
``<name>.partial``, is a training that is not over.
"""

import logging
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from statistics import fmean
from typing import Any, Literal, NamedTuple

import torch
from filelock import FileLock
from pydantic import Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_weights
from safetensors.torch import save as pack_weights
from torch import Tensor

from ssgan.base.config import STORED, Config, canonical_hash, in_a_line
from ssgan.base.errors import CorruptFile, NonFiniteLoss
from ssgan.base.json_text import read_json
from ssgan.base.progress import Advance
from ssgan.base.rng import Streams
from ssgan.base.storage import replacing
from ssgan.data.memmap import Split
from ssgan.data.orders import draw_order
from ssgan.evaluation.fit import FitConfig, PartialFit, check_rows, fit
from ssgan.evaluation.metrics import accuracy, agreements
from ssgan.method.codes import Code
from ssgan.method.objective import read_codes
from ssgan.networks.architecture import Shape, shapes_only, undrawn
from ssgan.networks.classifier import Classifier, ClassifierConfig, CnnConfig
from ssgan.networks.weights import check_weights

Rows = Literal["whole", "first half", "second half"]
"""Part of the test split."""

_FORMAT = "ssgan-judge-1"
CARD = "judge.json"
"""File of a judge's folder that says everything of it but its weights."""
_WEIGHTS = "weights.safetensors"
_BATCH = 500  # images a forward pass

_log = logging.getLogger(__name__)


def judge_rows(codes: Sequence[Code], labels: Tensor, rows: Rows) -> Tensor:
    """Pick the rows of the test split that a judge learns from.

    A half is taken within each combination of classes, by position: so both halves hold all
    classes even where the rows are sorted, and neighbors, often from one photograph, stay
    together.

    Returns:
        Row indices, int64, ascending; the two halves are disjoint and together the whole.
    """
    if rows == "whole":
        return torch.arange(len(labels))
    # Numbers of the combinations, built up code by code; unknown is a class of its own.
    group = torch.zeros(len(labels), dtype=torch.int64)
    for k, code in enumerate(codes):
        if code.is_categorical:
            group = group * (code.size + 1) + labels[:, k].nan_to_num(-1.0).long() + 1
            group = torch.unique(group, return_inverse=True)[1]
    picked = [torch.empty(0, dtype=torch.int64)]
    for members in (torch.nonzero(group == g)[:, 0] for g in group.unique()):
        half = len(members) // 2
        # The odd one alternates with the group's first row, so that neither half collects them.
        half += (len(members) % 2) * (int(members[0]) % 2)
        picked.append(members[:half] if rows == "first half" else members[half:])
    return torch.cat(picked).sort().values


class JudgeConfig(FitConfig):
    """The judge C: what it is, how it is trained, on which rows of the test split."""

    classifier: ClassifierConfig = CnnConfig()
    """Architecture of C."""
    rows: Rows = "whole"
    """Part of the test split to learn from. A search chooses by one half and reports by a judge
    of the other half, so that nobody is crowned by the judge that chose it."""
    validation_images: int = Field(default=10_000, ge=1)
    """At most so many random images of the train split validate C."""


class JudgeCard(Config):
    """What is known of a trained judge, except for its weights."""

    format: Literal["ssgan-judge-1"] = "ssgan-judge-1"
    """Version of the layout."""
    hash: str
    """Identity: the hash of content, rows, codes, shape, configuration and seed."""
    content: str
    """Hash of the data that C was trained on."""
    seed: int
    shape: Shape
    codes: tuple[Code, ...]
    """What C recognizes."""
    config: JudgeConfig
    images: int
    """Images that C was trained on."""
    validation_images: int
    """Images of the train split that C was validated on."""
    accuracy: dict[str, float]
    """Share of real validation images that C recognizes, by categorical code."""
    rmse: dict[str, float]
    """Root mean squared error on them in the user's units, by continuous code."""
    seconds: float
    """Time that the training took, the sum over its parts where it was interrupted."""
    weights_sha256: str = ""
    """Hash of the weights' file."""

    @classmethod
    def read(cls, text: str | bytes) -> "JudgeCard":
        """Read a card; a former version may have written it.

        Raises:
            ValueError: It is not one.
        """
        return cls.model_validate(read_json(text), context=STORED)


class Prediction(NamedTuple):
    """What C makes of images."""

    c: Tensor
    """Code table, float32 (N, K): recognized class indices, measured values."""
    features: Tensor
    """C's last hidden layer, float32 (N, F)."""


@torch.no_grad()
def predict(network: Classifier, codes: Sequence[Code], images: Tensor) -> Prediction:
    """Read images as `Judge.predict` does, by any classifier of the codes in eval mode."""
    device = next(network.parameters()).device
    values, features = [], []
    for batch in images.split(_BATCH):
        x = batch.to(device)
        x = x if x.is_floating_point() else x.float() / 255
        h = network.features(x)
        values.append(read_codes(codes, "mse", network.head(h)).value.cpu())
        features.append(h.cpu())
    return Prediction(torch.cat(values), torch.cat(features))


class Judge:
    """A trained classifier C with its card; runs with equal `hash` are measured by the same C."""

    def __init__(self, network: Classifier, card: JudgeCard) -> None:
        self._network = network.eval().requires_grad_(False)
        self.card = card
        self.codes = card.codes
        self.hash = card.hash
        self.accuracy = card.accuracy
        self.rmse = card.rmse

    @property
    def mean_accuracy(self) -> float | None:
        """Mean of the codes' accuracies; None without a categorical code with labels."""
        return fmean(self.accuracy.values()) if self.accuracy else None

    def predict(self, images: Tensor) -> Prediction:
        """Read images, uint8 (N, C, H, W) or float32 in [0, 1]; the tables are on the CPU."""
        return predict(self._network, self.codes, images)

    def files(self) -> dict[str, bytes]:
        """Return weights and card as files, which `from_files` reads."""
        state = {name: t.contiguous() for name, t in self._network.state_dict().items()}
        weights = pack_weights(state)
        card = self.card.model_copy(update={"weights_sha256": sha256(weights).hexdigest()})
        return {_WEIGHTS: weights, CARD: f"{card.model_dump_json(indent=2)}\n".encode()}

    @classmethod
    def load(cls, folder: Path, device: torch.device | str = "cpu") -> "Judge":
        """Read a saved judge.

        Raises:
            CorruptFile: A file is missing, or is not as it was written.
        """
        try:
            files = {name: (folder / name).read_bytes() for name in (_WEIGHTS, CARD)}
        except OSError as error:
            raise CorruptFile(f"the judge in {folder} cannot be read: {error}") from error
        return cls.from_files(files, device, folder)

    @classmethod
    def from_files(
        cls, files: Mapping[str, bytes], device: torch.device | str, where: str | Path = "memory"
    ) -> "Judge":
        """Read what `files` returned; error messages say `where` it comes from.

        Raises:
            CorruptFile: A file is not as it was written.
        """
        try:
            card = JudgeCard.read(files[CARD])
        except ValueError as error:
            told = in_a_line(error) if isinstance(error, ValidationError) else error
            raise CorruptFile(f"the judge in {where} cannot be read: {told}") from error
        if sha256(files[_WEIGHTS]).hexdigest() != card.weights_sha256:
            raise CorruptFile(
                f"{where}/{_WEIGHTS} was changed after it was written; delete {where}"
            )
        nothing = torch.Generator()
        sizes = (card.codes, card.shape, nothing)
        try:
            weights = load_weights(files[_WEIGHTS])
            with shapes_only():
                check_weights(weights, card.config.classifier.build(*sizes).state_dict())
        except (SafetensorError, RuntimeError, ValueError) as error:
            raise CorruptFile(f"{where}/{_WEIGHTS} is not C: {error}; delete {where}") from None
        with undrawn():
            network = card.config.classifier.build(*sizes)
        network.load_state_dict(weights)
        return cls(network.to(device), card)


def _hashed(config: JudgeConfig) -> dict[str, Any]:
    """Write a configuration as 0.1 did, so that judges cached by it are found."""
    tree = config.model_dump(mode="json")
    tree["classifier"]["architecture"] = tree["classifier"].pop("kind")
    return tree


def _identity(
    config: JudgeConfig, codes: Sequence[Code], shape: Shape, content: str, seed: int
) -> str:
    return canonical_hash(
        {
            "format": _FORMAT,
            "content": content,
            "codes": [code.model_dump(mode="json") for code in codes],
            "shape": shape,
            "config": _hashed(config),
            "seed": seed,
        }
    )


def cached_judge(
    config: JudgeConfig,
    codes: Sequence[Code],
    shape: Shape,
    train_labels: Tensor,
    *,
    content: str,
    seed: int,
    cache: Path,
    device: torch.device | str = "cpu",
) -> Judge | None:
    """Return the judge that `train_judge` would return at once, or None where it would train.

    Raises:
        BadInput: The rows cannot teach.
    """
    rows = judge_rows(codes, train_labels, config.rows)
    check_rows(codes, train_labels[rows])
    identity = _identity(config, codes, shape, content, seed)
    try:
        return Judge.load(cache / identity[:20], device)
    except CorruptFile:
        return None


def keep_judge(files: Mapping[str, bytes], cache: Path) -> None:
    """Put a judge that was trained elsewhere into a cache, by its files."""
    identity = JudgeCard.read(files[CARD]).hash
    folder = cache / identity[:20]
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f"{identity[:20]}.lock"):
        if not folder.exists():
            _write(files, folder)


def _write(files: Mapping[str, bytes], folder: Path) -> None:
    with replacing(folder) as new:
        new.mkdir()
        for name, content in files.items():
            (new / name).write_bytes(content)


def train_judge(
    config: JudgeConfig,
    codes: Sequence[Code],
    train: Split,
    train_labels: Tensor,
    validation: Split,
    validation_labels: Tensor,
    *,
    content: str,
    seed: int,
    cache: Path,
    device: torch.device | str = "cpu",
    progress: Advance | None = None,
) -> Judge:
    """Find the judge in the cache, or train it there; processes that ask at once wait for one.

    A training of minutes or hours is kept in the cache after its epochs, about once a minute. If
    it is interrupted, the next call resumes there and ends with the same weights, bit for bit on
    a device of the same kind with as many threads.

    Args:
        config: What to train, and how.
        codes: The codes to recognize: c_ss.
        train: The test split (the paper's test set), of N images.
        train_labels: Its code table, float32 (N, K), continuous codes in [-1, 1]; NaN unknown.
        validation: The train split, of M images.
        validation_labels: Its code table, float32 (M, K).
        content: Hash of the data that the four tables come from, with the splits' names.
        seed: Of weights, order and augmentation.
        cache: Folder for judges of all data sets.
        device: Where to train and to judge.
        progress: Told of every update made; not called when the judge is found.

    Raises:
        BadInput: The rows cannot teach: too few, or a code without labels.
        NonFiniteLoss: Training diverged. Nothing of it is kept.
    """
    shape = train.shape
    identity = _identity(config, codes, shape, content, seed)
    folder = cache / identity[:20]
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f"{identity[:20]}.lock"):
        if folder.exists():
            try:
                return Judge.load(folder, device)
            except CorruptFile as error:
                _log.warning("%s; training it again", error)
        rows = judge_rows(codes, train_labels, config.rows)
        labels = train_labels[rows]
        streams = Streams(seed)
        draw = streams.generator("judge weights")
        network = config.classifier.build(codes, shape, draw).to(device)
        partial = PartialFit(cache / f"{identity[:20]}.partial", identity)
        state, keep = partial.state, partial.keep

        def take(positions: Tensor) -> Tensor:
            return train.take(rows[positions])

        try:
            fit(network, config, codes, take, labels, streams, progress, state=state, keep=keep)
        except NonFiniteLoss:
            partial.delete()  # from there it would diverge again
            raise
        card = JudgeCard(
            hash=identity,
            content=content,
            seed=seed,
            shape=shape,
            codes=tuple(codes),
            config=config,
            images=len(labels),
            validation_images=min(len(validation), config.validation_images),
            accuracy={},
            rmse={},
            seconds=partial.seconds,
        )
        order = draw_order(streams, "judge validation", len(validation))
        picked = order.at(torch.arange(card.validation_images))
        seen = Judge(network, card).predict(validation.take(picked)).c
        wanted = validation_labels[picked]
        rmse = {name: found.rmse for name, found in agreements(wanted, seen, codes).items()}
        found = {"accuracy": accuracy(wanted, seen, codes), "rmse": rmse}
        files = Judge(network, card.model_copy(update=found)).files()
        _write(files, folder)
        partial.delete()
        return Judge.from_files(files, device, folder)
