"""What a run trains on: a store's images, the latent space of its labels, the label budget."""

import logging
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field, field_validator
from torch import Tensor

from ssgan.base.config import Config, NotSearchable, nearest
from ssgan.base.errors import BadInput
from ssgan.data.labels import Amount, LabelBudget, count_labels, draw_budget
from ssgan.data.memmap import Split, Take
from ssgan.data.sources import SourceConfig
from ssgan.data.sources.digits import DigitsSource
from ssgan.data.store import Manifest, Store
from ssgan.method.codes import CodesConfig, Joint, LatentSpace

_MANY = 2**64  # as if there were so many labels: what cannot be read is found before the data is

_log = logging.getLogger(__name__)


class DataConfig(Config):
    """The images, and how many of their labels may be used."""

    source: Annotated[
        SourceConfig,
        NotSearchable(
            "all trials share one store of images, prepared once; start one search a source"
        ),
    ] = DigitsSource()
    """Where images and labels come from."""
    labels: Amount = "100%"
    """The label budget: a count (132), a share (0.0022) or a percentage ("10%") of the labeled
    images of the train split. 0 is InfoGAN."""
    label_seed: int = 0
    """Seed of the budget's draw; common to all runs that are compared."""
    balanced: bool = True
    """Draw the budget as even over classes, or their combinations, as the set allows."""
    held_out: float = Field(default=0.2, ge=0, lt=1)
    """Share of the budget kept apart to measure Q_ss; only for data without a test split."""

    @field_validator("labels")
    @classmethod
    def _check_labels(cls, labels: Amount) -> Amount:
        count_labels(labels, _MANY)
        return labels


@dataclass(frozen=True)
class Dataset:
    """A store, ready for training."""

    manifest: Manifest
    train: Split
    test: Split | None
    space: LatentSpace
    """The latent space; its supervised codes are columns of the store."""
    y_known: Tensor
    """All known labels of the train split as a code table, float32 (N, K_ss)."""
    y: Tensor
    """The labels within the budget, NaN elsewhere; what training may use."""
    y_test: Tensor | None
    """The test split's code table, or None."""
    budget: LabelBudget

    @classmethod
    def load(
        cls, config: DataConfig, codes: CodesConfig, store: Store, budget: LabelBudget | None = None
    ) -> "Dataset":
        """Map a store and apply a label budget drawn before (resume, trials), or draw one.

        Raises:
            BadInput: A supervised code is not a label column, the budget cannot be drawn, or it
                belongs to another data set.
        """
        manifest = store.manifest
        space = build_space(codes, manifest)
        train = store.split("train")
        test = store.split("test") if store.has_test_split else None
        y_known = _code_table(space, manifest, train)
        if budget is None:
            budget = draw_budget(
                space.supervised,
                y_known,
                config.labels,
                seed=config.label_seed,
                balanced=config.balanced,
                held_out=0.0 if store.has_test_split else config.held_out,
                data_hash=manifest.hash,
            )
        elif budget.data_hash != manifest.hash:
            raise BadInput(
                f"the label budget belongs to other data (manifest {budget.data_hash[:12]}) than "
                f"data.source gives now ({manifest.hash[:12]}); point data.source at the images "
                "that the run was started with"
            )
        if codes.prior == "empirical":
            space = space.model_copy(update={"joint": _joint(y_known[budget.train])})
            _warn_of_classes_never_drawn(space)
        return cls(
            manifest=manifest,
            train=train,
            test=test,
            space=space,
            y_known=y_known,
            y=budget.mask(y_known),
            y_test=None if test is None else _code_table(space, manifest, test),
            budget=budget,
        )

    @property
    def is_infogan(self) -> bool:
        """Whether there is no label at all, and the method is InfoGAN."""
        return len(self.budget.train) == 0

    def held_out(self) -> tuple[Take, Tensor]:
        """Return labeled real images that Q_ss never learns from, to measure it on.

        They are the test split, or the part of the budget that was kept apart: a function that
        reads images by their position, 0 to n - 1, and their code table, float32 (n, K_ss).
        """
        if self.test is not None and self.y_test is not None:
            return self.test.take, self.y_test
        rows = self.budget.held_out
        return lambda positions: self.train.take(rows[positions]), self.y_known[rows]


def build_space(codes: CodesConfig, manifest: Manifest) -> LatentSpace:
    """Resolve the configured codes against the label columns of a store.

    Raises:
        BadInput: A supervised code is not a label column, or two codes share a name.
    """
    columns = {column.name: column for column in manifest.columns}
    for name in codes.supervised:
        if name not in columns:
            raise BadInput(
                f"codes.supervised names {name!r}, which is not a label column of "
                f"{manifest.name}{nearest(name, columns)}"
            )
    supervised = tuple(columns[name] for name in codes.supervised)
    unsupervised = tuple(code.code() for code in codes.unsupervised)
    names = [code.name for code in supervised + unsupervised]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled or not names:
        problem = f"{doubled[0]!r} twice" if doubled else "no code at all"
        raise BadInput(
            f"codes.supervised and codes.unsupervised name {problem}; every code needs a name "
            "of its own"
        )
    return LatentSpace(
        supervised=supervised,
        unsupervised=unsupervised,
        noise=codes.noise,
        posterior=codes.posterior,
    )


def _code_table(space: LatentSpace, manifest: Manifest, split: Split) -> Tensor:
    """Pick the supervised codes' columns and map their units to [-1, 1]."""
    names = [column.name for column in manifest.columns]
    columns = [code.to_unit(split.labels[:, names.index(code.name)]) for code in space.supervised]
    return torch.stack(columns, dim=1) if columns else torch.empty(len(split), 0)


def _warn_of_classes_never_drawn(space: LatentSpace) -> None:
    """Say which classes an empirical prior leaves out: no image labels them and all other codes."""
    for code in space.supervised:
        shares = space.prior_probabilities(code) if code.is_categorical else []
        missing = [name for name, p in zip(code.classes, shares, strict=True) if not p]
        if missing:
            _log.warning(
                "codes.prior=empirical never asks for %s = %s: no image of the label budget has "
                "it together with a label for every other code; label more, or set "
                "codes.prior=uniform",
                code.name,
                ", ".join(missing),
            )


def _joint(y: Tensor) -> Joint | None:
    """Count the complete rows of the labeled images; None without any (the prior is uniform)."""
    complete = y[~y.isnan().any(dim=1)][:10_000]
    if not complete.numel():
        return None
    rows, counts = complete.unique(dim=0, return_counts=True)
    return Joint(
        rows=tuple(map(tuple, rows.tolist())), weights=tuple((counts / counts.sum()).tolist())
    )
