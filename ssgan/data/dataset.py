"""What a run trains on: a store's images, the latent space of its labels, the label budget."""

import logging
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Annotated, Literal

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor

from ssgan.base.config import Config, NotSearchable, nearest
from ssgan.base.errors import BadInput
from ssgan.base.progress import PreparationProgress, of_step
from ssgan.base.rng import Streams
from ssgan.data.asking import draw_together, order_by_answers
from ssgan.data.features import FITTED, pixel_features
from ssgan.data.labels import Amount, LabelBudget, count_labels, draw_budget
from ssgan.data.memmap import Split, Take
from ssgan.data.neighbors import Graph, check_count
from ssgan.data.sources import SourceConfig
from ssgan.data.sources.base import FOREIGN
from ssgan.data.sources.digits import DigitsSource
from ssgan.data.spread import SpreadConfig
from ssgan.data.spread_labels import SpreadLabels, check_spread, find_graph, spread_labels
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
    images of the train split, those of no class (`data.source.foreign`) among them. 0 is
    InfoGAN."""
    label_seed: int = 0
    """Seed of the budget's draw; common to all runs that are compared."""
    choice: Literal["drawn", "asked"] = "drawn"
    """How the budget is chosen. `asked`: the images that `ssgan label` asks about first, answered
    by their known labels. With `label_seed` 0 it may ask about any labeled image; another seed
    leaves it a random half of them."""
    balanced: bool = True
    """Draw the budget as even over classes, or their combinations, as the set allows."""
    held_out: float = Field(default=0.2, ge=0, lt=1)
    """Share of the budget kept apart to measure Q_ss; only for data without a test split."""
    spread: SpreadConfig | None = None
    """Labels that other images gain from those of the budget by their nearest neighbors, as more y
    for equation 3; null is the paper."""

    @field_validator("labels")
    @classmethod
    def _check_labels(cls, labels: Amount) -> Amount:
        count_labels(labels, _MANY)
        return labels

    @model_validator(mode="after")
    def _check_choice(self) -> "DataConfig":
        if self.choice == "asked" and self.balanced:
            raise ValueError(
                "choice=asked takes the classes as they come; set data.balanced=false with it"
            )
        return self


@dataclass(frozen=True)
class Dataset:
    """A store, ready for training."""

    manifest: Manifest
    train: Split
    test: Split | None
    space: LatentSpace
    """The latent space; its supervised codes are columns of the store."""
    y_known: Tensor
    """All known labels of the train split as a code table, float32 (N, K_ss); NaN also where an
    image is known to be none of a code's classes."""
    y: Tensor
    """The labels within the budget and those that were spread from them, `Code.none` for none of
    the classes, NaN elsewhere; what training may use, until labels are spread again
    (`ssgan.training.rebuild`)."""
    y_test: Tensor | None
    """The test split's code table, or None."""
    budget: LabelBudget
    gained: SpreadLabels | None = None
    """What was made of the budget; None where labels are not spread before the run begins."""
    weights: Tensor | None = None
    """What the labels y count in L¹_IS, float32 (N, K_ss); None is 1 each."""
    foreign: Tensor | None = None
    """Which images of the train split are taken for none of the classes of some code, bool (N,):
    by a label of the budget, or by those that were spread from it before the run begins. None where
    no label says so."""

    @classmethod
    def load(
        cls,
        config: DataConfig,
        codes: CodesConfig,
        store: Store,
        budget: LabelBudget | None = None,
        gained: SpreadLabels | None = None,
        progress: PreparationProgress | None = None,
    ) -> "Dataset":
        """Map a store and apply a label budget drawn before (workers, resume), or draw one.

        Labels that were spread from the budget then are taken as they are, or else spread now.

        Raises:
            BadInput: A supervised code is not a label column, the budget cannot be drawn or
                spread, or it belongs to another data set.
        """
        manifest = store.manifest
        space = build_space(codes, manifest)
        train = store.split("train")
        test = store.split("test") if store.has_test_split else None
        known = _code_table(space, manifest, train)
        y_known = _named(space, known)
        features = cache(lambda: _find_features(train, progress))

        def graph(neighbors: int) -> Graph:
            return find_graph(features, len(train), manifest.hash, neighbors, progress=progress)

        if budget is None:
            if config.spread is not None and config.spread.rebuild is not None:
                check_count(len(train))
            is_asked = config.choice == "asked"
            budget = draw_budget(
                space.supervised,
                known,
                config.labels,
                seed=config.label_seed,
                balanced=config.balanced,
                held_out=0.0 if store.has_test_split else config.held_out,
                data_hash=manifest.hash,
                order=_asking_order(
                    config,
                    draw_together(features(), graph),
                    known,
                    _is_none(space, known).any(dim=1),
                )
                if is_asked
                else None,
            )
            if is_asked or config.spread is not None:
                _warn_of_classes_without_label(budget)
        elif budget.data_hash != manifest.hash:
            raise BadInput(
                f"the label budget belongs to other data (manifest {budget.data_hash[:12]}) than "
                f"data.source gives now ({manifest.hash[:12]}); point data.source at the images "
                "that the run was started with"
            )
        if codes.prior == "empirical":
            space = space.model_copy(update={"joint": _joint(y_known[budget.train])})
            _warn_of_classes_never_drawn(space)
        given, weights = budget.mask(known), None
        y, is_foreign = given, _is_none(space, given)
        if is_foreign.any():
            space = space.model_copy(update={"none": True})
        if config.spread is not None and config.spread.weight != 1:
            weights = torch.where(given.isnan(), config.spread.weight, 1.0)
        if config.spread is not None and config.spread.first == "none":
            check_spread(config.spread, space.supervised, given)
        elif config.spread is not None:
            if gained is None:
                found = graph(config.spread.neighbors)
                gained = spread_labels(
                    config.spread, space.supervised, given, budget.held_out, found
                )
                budget = _with_spread(budget, gained)
            if codes.prior == "estimated":
                readings = _named(space, gained.readings)
                space = space.model_copy(update={"joint": _estimate(space, readings)})
            y = torch.where(y.isnan(), gained.y, y)
            is_foreign = is_foreign | _is_none(space, gained.readings)
        if is_foreign.any(dim=1).all():
            raise BadInput(
                f"the labels say that all images of {manifest.name} are none of the classes, so "
                "that there is nothing to draw; correct them, or data.source.foreign"
            )
        return cls(
            manifest=manifest,
            train=train,
            test=test,
            space=space,
            y_known=y_known,
            y=y,
            y_test=None if test is None else _named(space, _code_table(space, manifest, test)),
            budget=budget,
            gained=gained,
            weights=weights,
            foreign=is_foreign.any(dim=1) if space.none else None,
        )

    @cached_property
    def given(self) -> Tensor:
        """The labels within the budget alone, as they are in y, float32 (N, K_ss)."""
        return self.y if self.gained is None else self.y.where(self.gained.y.isnan(), torch.nan)

    @cached_property
    def wanted(self) -> Tensor:
        """Rows of the train split that G is to draw the like of: all but foreign ones, int64."""
        if self.foreign is None:
            return torch.arange(len(self.train))
        return (~self.foreign).nonzero()[:, 0]

    @property
    def is_infogan(self) -> bool:
        """Whether no label names a class, and the method is InfoGAN."""
        return bool(self.y_known[self.budget.train].isnan().all())

    def held_out(self, *, none: bool = False) -> tuple[Take, Tensor]:
        """Return labeled real images that Q_ss never learns from, to measure it on.

        They are the test split, or the part of the budget that was kept apart: a function that
        reads images by their position, 0 to n - 1, and their code table, float32 (n, K_ss). With
        `none` it has `Code.none` where that is known, else NaN.
        """
        if self.test is not None and self.y_test is not None:
            y = _code_table(self.space, self.manifest, self.test) if none else self.y_test
            return self.test.take, y
        rows = self.budget.held_out
        y = _code_table(self.space, self.manifest, self.train) if none else self.y_known
        return lambda positions: self.train.take(rows[positions]), y[rows]


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
    """Pick the supervised codes' columns, map their units to [-1, 1], and `FOREIGN` to none."""
    names = [column.name for column in manifest.columns]
    columns = []
    for code in space.supervised:
        column = split.labels[:, names.index(code.name)]
        is_foreign = code.is_categorical & (column == FOREIGN)
        columns.append(code.to_unit(column).masked_fill(is_foreign, code.none))
    return torch.stack(columns, dim=1) if columns else torch.empty(len(split), 0)


def _is_none(space: LatentSpace, y: Tensor) -> Tensor:
    """Return which cells of a code table of labels say none of the classes, bool (N, K)."""
    return y == torch.tensor([code.none for code in space.supervised])


def _named(space: LatentSpace, y: Tensor) -> Tensor:
    """Return a code table of labels with NaN where they say none of the classes."""
    return y.masked_fill(_is_none(space, y), torch.nan)


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


def _find_features(train: Split, progress: PreparationProgress | None) -> Tensor:
    """Return the features of all images, float32 (N, F), and tell how many were read for them."""
    count, done = len(train), 0
    advance = of_step(progress, "comparing images", "images")

    def take(rows: Tensor) -> Tensor:
        nonlocal done
        images = train.take(rows)
        done += len(rows)
        if advance is not None:
            advance(done, count + min(count, FITTED))
        return images

    return pixel_features(take, count, train.shape)


def _asking_order(config: DataConfig, features: Tensor, known: Tensor, is_none: Tensor) -> Tensor:
    """Return all labeled images, int64 (n,), those first that are asked about first."""
    labeled = (~known.isnan()).any(dim=1).nonzero()[:, 0]
    may_be = labeled
    if config.label_seed:
        generator = Streams(config.label_seed).generator("images that may be asked about")
        shuffled = torch.randperm(len(labeled), generator=generator)
        may_be = labeled[shuffled[: (len(labeled) + 1) // 2]]
    count = count_labels(config.labels, len(labeled))
    order = order_by_answers(features, count, is_none, may_be.tolist())
    first = torch.tensor(order, dtype=torch.int64)
    # A budget may be larger than what there is to ask about.
    return torch.cat([first, labeled[~torch.isin(labeled, first)]])


def _warn_of_classes_without_label(budget: LabelBudget) -> None:
    for name, counts in budget.counts.items():
        missing = [of for of, count in counts.items() if not count]
        if missing and len(missing) < len(counts):
            _log.warning(
                "no label of the budget names %s = %s, so that nothing is learned of it; raise "
                "data.labels",
                name,
                ", ".join(missing),
            )


def _with_spread(budget: LabelBudget, gained: SpreadLabels) -> LabelBudget:
    """Write down what was made of a budget, or see that it is what was made of it before."""
    if budget.spread not in (None, gained.hashes):
        raise BadInput(
            "data.spread gives other labels here than those that the run was started with (their "
            f"hash is {gained.hash[:12]}, in labels.parquet {budget.spread['labels'][:12]}); "
            "restore spread.parquet from a copy of the run, or go on with the versions of "
            "environment.json, on a machine of the same kind"
        )
    return replace(budget, spread=gained.hashes)


def _estimate(space: LatentSpace, readings: Tensor) -> Joint | None:
    """Estimate the joint distribution of the supervised codes from readings of all images."""
    numbers = [code.name for code in space.supervised if not code.is_categorical]
    if numbers:
        raise BadInput(
            f"codes.prior=estimated counts classes, and {numbers[0]!r} is a number; set "
            "codes.prior to empirical or uniform"
        )
    return _joint(readings, most=len(readings))


def _joint(y: Tensor, most: int = 10_000) -> Joint | None:
    """Count the first complete rows of a code table; None without any (the prior is uniform)."""
    complete = y[~y.isnan().any(dim=1)][:most]
    if not complete.numel():
        return None
    rows, counts = complete.unique(dim=0, return_counts=True)
    return Joint(
        rows=tuple(map(tuple, rows.tolist())), weights=tuple((counts / counts.sum()).tolist())
    )
