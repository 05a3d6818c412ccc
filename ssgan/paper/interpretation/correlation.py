"""How interpretable unsupervised codes are, as a number: their correlation with visible traits.

The paper shows what an unsupervised code does by pictures (figures 2 and 5, and 9 for a code
without meaning). Here each continuous one is read by the trait of the generated images that
follows it best, `ssgan.paper.interpretation.traits`, and InfoGAN is measured alike.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import mean
from typing import NamedTuple

import numpy as np

from ssgan.base.errors import BadInput
from ssgan.base.rng import Streams
from ssgan.export import NamedGenerator
from ssgan.paper.findings import mean_and_spread
from ssgan.paper.interpretation.traits import Floats, traits_of
from ssgan.paper.runs import Group

_UNRELATED = 1000  # codes that G never saw, for the level of chance
_QUANTILE = 0.95
_LEAST_SHARE = 0.5  # of the images, for a trait to be one: a few correlate strongly by chance
_LEAST_FREEDOM = 3  # images beyond the class means, for a correlation to mean anything
_ROUNDING = 1e-9  # a residual this small beside its trait is rounding

HEADER = ("labels", "strongest correlation", "runs", "chance", "traits")
"""What the cells of `write_row` are."""


class CodeReading(NamedTuple):
    """The trait that a code moves most."""

    code: str
    trait: str
    correlation: float
    """Pearson's correlation within the classes, in [-1, 1]; 0 where no trait varies."""
    n: int
    """Images that have the trait."""


class Interpretation(NamedTuple):
    """How interpretable a generator's continuous unsupervised codes are."""

    readings: tuple[CodeReading, ...]
    """One a code, in the generator's order; none where it has no such code."""
    chance: float
    """The 95 % quantile of the strongest absolute correlation of a code that the generator never
    saw, with the same images and traits."""

    @property
    def strongest(self) -> float | None:
        """Mean over the codes of the strongest absolute correlation; None without a code."""
        if not self.readings:
            return None
        return mean(abs(reading.correlation) for reading in self.readings)

    @property
    def found(self) -> tuple[CodeReading, ...]:
        """The readings that are stronger than chance."""
        return tuple(one for one in self.readings if abs(one.correlation) > self.chance)


def interpret(generator: NamedGenerator, n: int = 2000, seed: int = 0) -> Interpretation:
    """Correlate each continuous unsupervised code with the traits of generated images.

    All codes are drawn from their prior, with their noise. Class explains most of slant and area,
    so both sides are correlated *within* the classes: the least-squares fit by the classes of all
    categorical codes, supervised or not, is taken off code and trait. With one categorical code
    this fit is the mean of each class; with several it is the sum of their effects, for of their
    combinations there may be more than images. Images without a trait (no ink) are left out of
    its correlation, and a trait that does not vary within the classes has a correlation of 0. What
    continuous codes with labels do to a trait is left in.

    Where categorical codes do not decide what is drawn, as may be with InfoGAN, the variety of
    the classes stays in the traits and lowers the correlations.

    The seed is that of the n images, and of the codes that give the level of chance.

    Raises:
        BadInput: n is too small for the number of classes.
    """
    infos = generator.codes
    codes = [k for k, one in enumerate(infos) if one.kind == "continuous" and not one.supervised]
    if not codes:
        return Interpretation((), 0.0)
    latents = generator.draw(n, seed)
    traits = traits_of(generator.render(latents))
    c = latents.c.numpy().astype(np.float64)
    classes = _one_hot(c, [one.size for one in infos])
    correlations = within_classes(c[:, codes], traits, classes)
    if not correlations:
        raise BadInput(
            f"{n} images are too few to correlate within {classes.shape[1]} classes; draw more, "
            "by n"
        )
    names = list(correlations)
    table = np.array(list(correlations.values()))  # (traits, codes)
    best = np.abs(table).argmax(axis=0)
    readings = tuple(
        CodeReading(
            code=infos[k].name,
            trait=names[row],
            correlation=float(table[row, column]),
            n=int((~np.isnan(traits[names[row]])).sum()),
        )
        for column, (k, row) in enumerate(zip(codes, best, strict=True))
    )
    return Interpretation(readings, chance_level(traits, classes, seed))


def interpret_group(group: Group, n: int = 2000, seed: int = 0) -> tuple[Interpretation, ...]:
    """Interpret the exported generators of one label budget, one a run, by n images of each.

    Runs whose export is gone, and generators without a continuous unsupervised code, are left out.
    """
    found = (interpret(one.generator(), n, seed) for one in group.runs if one.has_export)
    return tuple(one for one in found if one.readings)


def write_row(title: str, runs: Sequence[Interpretation]) -> tuple[str, ...]:
    """Write the interpretations of one label budget as cells of a table, as `HEADER` names them."""
    values = [one.strongest for one in runs if one.strongest is not None]
    if not values:
        return (title, "no value", "0", "", "")
    codes = sum(len(run.readings) for run in runs)
    traits = Counter(one.trait.replace("_", " ") for run in runs for one in run.found)
    counts = [f"{trait} {n}" for trait, n in sorted(traits.items(), key=lambda one: (-one[1], one))]
    if hidden := codes - traits.total():
        counts.append(f"none above chance {hidden}")
    chance = max(run.chance for run in runs)
    found = f"{', '.join(counts)} (of {codes} codes)"
    return (title, mean_and_spread(values, digits=3), str(len(values)), f"{chance:.3f}", found)


def within_classes(
    codes: Floats, traits: Mapping[str, Floats], classes: Floats
) -> dict[str, Floats]:
    """Correlate codes with traits, once the effects of the classes are taken off both.

    Args:
        codes: float64 (N, K).
        traits: By name, float64 (N,); NaN where an image has none.
        classes: One-hot columns, float64 (N, M); M may be 0.

    Returns:
        By trait, float64 (K,) in [-1, 1], 0 where one side does not vary. Left out are traits that
        less than half of the images have, or too few for the number of classes.
    """
    whole = _effects(classes)
    result: dict[str, Floats] = {}
    for name, trait in traits.items():
        known = ~np.isnan(trait)
        if known.mean() < _LEAST_SHARE:
            continue
        effects = whole if known.all() else _effects(classes[known])
        if effects.shape[0] - effects.shape[1] >= _LEAST_FREEDOM:
            left, right = (_unexplained(one[known], effects) for one in (trait[:, None], codes))
            result[name] = np.clip(left.T @ right, -1, 1)[0]
    return result


def chance_level(traits: Mapping[str, Floats], classes: Floats, seed: int = 0) -> float:
    """Return how strong the strongest correlation of an unrelated code is.

    1000 codes are drawn from the prior U(-1, 1), apart from the images. Traits, given as in
    `within_classes`, go together, so the level is lower than for as many independent ones: the 95 %
    quantile of the largest absolute correlation over the traits, or 0 without traits.
    """
    random = np.random.default_rng(Streams(seed).key("unrelated codes"))
    codes = random.uniform(-1, 1, (len(classes), _UNRELATED))
    correlations = within_classes(codes, traits, classes)
    if not correlations:
        return 0.0
    strongest = np.abs(np.array(list(correlations.values()))).max(axis=0)
    return float(np.quantile(strongest, _QUANTILE))


def _effects(classes: Floats) -> Floats:
    """Return an orthonormal basis of what the classes explain, float64 (N, effects)."""
    columns = np.column_stack([np.ones(len(classes)), classes])
    # Columns of several codes each sum to one: the basis drops what repeats.
    left, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(left[:, sizes > _ROUNDING * sizes.max(initial=1.0)])


def _unexplained(columns: Floats, effects: Floats) -> Floats:
    """Take the effects of the classes off columns, and scale them to length 1, or 0."""
    rest = columns - effects @ (effects.T @ columns)
    length = np.linalg.norm(rest, axis=0)
    varies = length > _ROUNDING * np.linalg.norm(columns, axis=0)
    return np.asarray(np.where(varies, rest, 0.0) / np.where(varies, length, 1.0))


def _one_hot(c: Floats, sizes: Sequence[int]) -> Floats:
    """Return one column a class of each categorical code; those of size 1 are continuous."""
    columns = [np.eye(size)[c[:, k].astype(int)] for k, size in enumerate(sizes) if size > 1]
    return np.hstack([np.empty((len(c), 0)), *columns])
