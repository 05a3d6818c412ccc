"""The label budget: which images count as labeled, as a saved and hashed artifact.

A run that resumes, a trial that is compared and an export that is published all name the same
budget by its hash; it is drawn once, never again.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from ssgan.base.errors import BadInput
from ssgan.base.rng import Streams
from ssgan.data.sealed_table import read_sealed, seal
from ssgan.method.codes import NONE_OF_THESE, Code

Amount = int | float | str
"""A count (``132``), a share (``0.0022``) or a percentage (``"10%"``) of the labeled set."""

_MEND = "; restore the file from a copy, or start a new run"


@dataclass(frozen=True)
class LabelBudget:
    """The images of the train split whose labels may be used."""

    train: Tensor
    """int64 (n,), ascending: images whose labels Q_ss learns from."""
    held_out: Tensor
    """int64 (m,), ascending: labeled images kept apart to measure Q_ss; empty where the data has a
    test split."""
    amount: Amount
    """The budget as the user wrote it."""
    seed: int
    balanced: bool
    """Whether it was drawn as even over classes as the set allows."""
    counts: dict[str, dict[str, int]]
    """Labeled images of each class, by code and class name, held-out ones included; those of no
    class as *none of these*, where there are any."""
    data_hash: str
    """Hash of the data set's manifest."""
    spread: dict[str, str] | None = None
    """Hashes of what was made of the budget: the ``graph`` of the images' neighbors and the
    ``labels`` gained by it; None where labels were not spread."""

    def __len__(self) -> int:
        """Return the size of the budget: all labels used, held-out ones included."""
        return len(self.train) + len(self.held_out)

    @property
    def hash(self) -> str:
        """Identify the budget by its images and their data set, 64 hexadecimal digits."""
        digest = hashlib.sha256(self.data_hash.encode())
        for indices in (self.train, self.held_out):
            digest.update(f"/{len(indices)}/".encode() + indices.numpy().astype("<i8").tobytes())
        return digest.hexdigest()

    def mask(self, y: Tensor) -> Tensor:
        """Copy all known labels, float32 (N, K), with NaN in the rows that count as unlabeled."""
        masked = torch.full_like(y, float("nan"))
        masked[self.train] = y[self.train]
        return masked

    def to_parquet(self) -> bytes:
        """Serialize to a Parquet file: one row an image, the draw's facts as metadata."""
        indices = torch.cat([self.train, self.held_out]).numpy()
        held_out = np.arange(len(indices)) >= len(self.train)
        names = ("amount", "seed", "balanced", "counts", "data_hash", "hash")
        facts = {name: getattr(self, name) for name in names}
        if self.spread is not None:
            facts["spread"] = self.spread
        return seal(pa.table({"index": indices, "held_out": held_out}), facts)

    @classmethod
    def from_parquet(cls, data: bytes) -> "LabelBudget":
        """Read a saved budget.

        Raises:
            CorruptFile: The file cannot be read, or holds something else than was saved.
        """

        def build(table: pa.Table, facts: dict[str, Any]) -> tuple[LabelBudget, bool]:
            indices = torch.from_numpy(table["index"].to_numpy().copy())
            held_out = torch.from_numpy(table["held_out"].to_numpy(zero_copy_only=False).copy())
            saved_hash = facts.pop("hash")
            budget = cls(train=indices[~held_out], held_out=indices[held_out], **facts)
            return budget, budget.hash == saved_hash

        return read_sealed(data, "labels.parquet", _MEND, build)


def draw_budget(
    codes: Sequence[Code],
    y: Tensor,
    amount: Amount,
    *,
    seed: int,
    balanced: bool,
    held_out: float,
    data_hash: str,
    order: Tensor | None = None,
) -> LabelBudget:
    """Draw a label budget.

    Args:
        codes: The supervised codes.
        y: All known labels of the train split, float32 (N, K), NaN where unknown; `Code.none` is
            one more class.
        amount: How many of the labeled images count as labeled.
        seed: Seed of the draw; the experiment's own seed is another one.
        balanced: As even over the classes, or over their combinations, as the set allows.
        held_out: Share of the budget that is kept apart to measure Q_ss, in [0, 1).
        data_hash: Hash of the data set's manifest.
        order: The labeled images in the order in which they are asked for; the budget is the first
            of them, whether balanced or not. Without one it is drawn.

    Raises:
        BadInput: The set has fewer labels than asked for, or a balanced budget has fewer than
            one a class.
    """
    labeled = (~y.isnan()).any(dim=1).nonzero()[:, 0]
    count = count_labels(amount, len(labeled))
    classes = max((len(named) for named in _count_classes(codes, y).values()), default=1)
    if balanced and 0 < count < classes:
        raise BadInput(
            f"data.labels={amount} gives {count} labeled images, fewer than one for each of the "
            f"{classes} classes; raise it, set it to 0 (InfoGAN), or set data.balanced=false"
        )
    generator = Streams(seed).generator("label budget")
    if order is None:
        order = labeled[torch.randperm(len(labeled), generator=generator)]
    if balanced:  # in rounds, each of one image of every combination of classes that has some left
        order = order[_rounds(codes, y[order])[0].argsort(stable=True)]
    chosen = order[:count]
    is_apart = torch.zeros(len(chosen), dtype=torch.bool)
    is_apart[_set_apart(codes, y[chosen], round(len(chosen) * held_out), generator)] = True
    return LabelBudget(
        train=chosen[~is_apart].sort().values,
        held_out=chosen[is_apart].sort().values,
        amount=amount,
        seed=seed,
        balanced=balanced,
        counts=_count_classes(codes, y[chosen]),
        data_hash=data_hash,
    )


def count_classes(code: Code, known: Tensor) -> dict[str, int]:
    """Count known labels of a categorical code, (n,), by class; those of none, if any, last."""
    *of_class, foreign = known.long().bincount(minlength=code.size + 1).tolist()
    counts = dict(zip(code.classes, of_class, strict=True))
    return counts | ({NONE_OF_THESE: foreign} if foreign else {})


def count_labels(amount: Amount, available: int) -> int:
    """Turn a budget as users write it into a number of the labeled images that are available.

    An integer is a count, a float from 0 to 1 or a percentage a share.

    Raises:
        BadInput: The amount cannot be read, or there are fewer labels than that.
    """
    percentage = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*%\s*", amount) if type(amount) is str else None
    share = float(percentage[1]) / 100 if percentage else amount
    if isinstance(share, str) or not share >= 0:  # also NaN
        raise BadInput(
            f"data.labels={amount} is not a label budget; give a count such as 132, a share such "
            'as 0.0022, or a percentage such as "10%"'
        )
    if isinstance(share, int):
        if share > available:
            raise BadInput(
                f"data.labels={amount} asks for more labels than the {available} images of the "
                f'train split that have one; lower it, or use all of them with "100%"'
            )
        return share
    if share > 1:
        raise BadInput(
            f"data.labels={amount} is more than all labels; a share is at most 1 (100%), and a "
            "count has no point"
        )
    count = round(share * available)
    if share > 0 and available and not count:
        raise BadInput(
            f"data.labels={amount} of {available} labeled images is not even one; raise it, or "
            "set it to 0 (InfoGAN)"
        )
    return count


def _set_apart(codes: Sequence[Code], y: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Choose images from all combinations of classes in proportion, but the last one of none.

    Fewer than `count` are chosen where training would else lose a combination.
    """
    shuffled = torch.randperm(len(y), generator=generator)
    rounds, groups = _rounds(codes, y[shuffled])
    by_group = groups.argsort(stable=True)
    spare = shuffled[by_group[rounds[by_group] > 0]]
    count = min(count, len(spare))
    # Evenly spaced positions give every group its share, to within one image.
    return spare[torch.arange(count) * len(spare) // max(count, 1)]


def _rounds(codes: Sequence[Code], y: Tensor) -> tuple[Tensor, Tensor]:
    """Return how many images before each share its combination of classes, and which it is."""
    categorical = [k for k, code in enumerate(codes) if code.is_categorical]
    classes = torch.cat([y.new_zeros(len(y), 1), y[:, categorical].nan_to_num(-1)], dim=1)
    groups = classes.unique(dim=0, return_inverse=True)[1]
    by_group = groups.argsort(stable=True)
    sizes = groups.bincount()
    starts = sizes.cumsum(0) - sizes
    rounds = torch.empty_like(groups)
    rounds[by_group] = torch.arange(len(groups)) - starts[groups[by_group]]
    return rounds, groups


def _count_classes(codes: Sequence[Code], y: Tensor) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for code, column in zip(codes, y.unbind(dim=1), strict=True):
        known = column[~column.isnan()]
        if code.is_categorical:
            counts[code.name] = count_classes(code, known)
        else:
            counts[code.name] = {"known": len(known)}
    return counts
