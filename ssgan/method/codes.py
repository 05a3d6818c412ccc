"""Named latent codes: c = c_ss and c_us, their prior, and the generator's input (section 3.2).

Throughout ssgan the values of codes travel as a *code table*: float32 of shape (B, K), one
column a code, holding the class index of a categorical code or the value in [-1, 1] of a
continuous one. NaN marks a label that is not known.
"""

import math
from collections.abc import Sequence
from functools import cache, cached_property
from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import AfterValidator, Field, model_validator
from torch import Tensor
from torch.nn.functional import one_hot

from ssgan.base.config import Config, NotSearchable, nearest
from ssgan.base.errors import BadInput

Posterior = Literal["mse", "gaussian"]

NONE_OF_THESE = "none of these"
"""What is said of an image that is none of a code's classes: the word that `ssgan label` writes,
for `data.source.foreign`, and that Q_ss's reading has."""
_LONGEST_NAME = 100  # characters


class Code(Config):
    """One latent code, or the label column that it stands for."""

    name: str = Field(min_length=1)
    """Name by which users set this code."""
    kind: Literal["categorical", "continuous"]
    """Whether the code picks one of `classes` or takes a value between `low` and `high`."""
    classes: tuple[str, ...] = ()
    """Class names in the order of their indices; categorical codes only."""
    low: float = -1.0
    """The value in the user's units that -1 stands for; continuous codes only."""
    high: float = 1.0
    """The value in the user's units that +1 stands for; continuous codes only."""

    @model_validator(mode="after")
    def _check(self) -> "Code":
        if self.kind == "categorical":
            if len(self.classes) < 2:
                raise ValueError(f"code {self.name!r} needs two classes or more")
            if len(set(self.classes)) < len(self.classes):
                raise ValueError(f"code {self.name!r} names a class twice")
        elif self.classes:
            raise ValueError(f"continuous code {self.name!r} takes no classes")
        elif not self.low < self.high:
            raise ValueError(
                f"code {self.name!r} needs low < high, not {self.low:g} and {self.high:g}"
            )
        return self

    @property
    def is_categorical(self) -> bool:
        """Whether the code picks one of several classes."""
        return self.kind == "categorical"

    @property
    def size(self) -> int:
        """Columns that the code takes in G's input: one a class, or one."""
        return len(self.classes) if self.is_categorical else 1

    @property
    def none(self) -> float:
        """The class index that a code table of labels has for *none of the classes*.

        No number is it.
        """
        return self.size if self.is_categorical else math.inf

    @property
    def answers(self) -> tuple[str, ...]:
        """What may be said of an image, by class index: a class, or, last, *none of these*."""
        return (*self.classes, NONE_OF_THESE)

    def to_unit(self, values: Tensor) -> Tensor:
        """Map values of a continuous code from the user's units to [-1, 1]; pass indices on."""
        if self.is_categorical:
            return values
        return (values - self.low) / (self.high - self.low) * 2 - 1

    def from_unit(self, values: Tensor) -> Tensor:
        """Invert `to_unit`."""
        if self.is_categorical:
            return values
        return (values + 1) / 2 * (self.high - self.low) + self.low


def _check_name(name: str) -> str:
    """Refuse the name of a code that no command line could set, or that cannot be written down."""
    if not name.isprintable() or "=" in name or name != name.strip() or len(name) > _LONGEST_NAME:
        raise ValueError(
            f"a code cannot be called {name[:_LONGEST_NAME]!r}: a name has up to {_LONGEST_NAME} "
            "visible characters, no = and no space at its ends; rename the column"
        )
    return name


CodeName = Annotated[str, Field(min_length=1), AfterValidator(_check_name)]
"""What users set a code by, ``NAME=VALUE``."""


class UnsupervisedCode(Config):
    """A code that no label explains; InfoGAN finds its meaning."""

    name: CodeName
    """Name by which users set this code."""
    size: int = Field(default=1, ge=1, le=10_000)
    """Number of classes of a categorical code; 1 makes a continuous code."""

    def code(self) -> Code:
        """Return the code itself."""
        if self.size == 1:
            return Code(name=self.name, kind="continuous")
        return Code(name=self.name, kind="categorical", classes=tuple(map(str, range(self.size))))


class CodesConfig(Config):
    """Which codes drive the generator, and how Q models them."""

    supervised: Annotated[
        tuple[CodeName, ...],
        NotSearchable(
            "all trials share one judge C, trained on these codes; start one search for each set "
            "of codes"
        ),
    ] = ("digit",)
    """Label columns of the data that become semi-supervised codes, c_ss."""
    unsupervised: tuple[UnsupervisedCode, ...] = (
        UnsupervisedCode(name="style_1"),
        UnsupervisedCode(name="style_2"),
    )
    """Codes without labels, c_us."""
    noise: int = Field(default=62, ge=1)
    """Dimensions of the incompressible noise z ~ N(0, 1)."""
    prior: Literal["uniform", "empirical", "estimated"] = "uniform"
    """Prior of c_ss: uniform, the joint distribution of the labeled images, or that of the classes
    that `data.spread` reads in all images."""
    posterior: Posterior = "mse"
    """Q for continuous codes: mean squared error (the paper, section 4), or a Gaussian with
    learned variance (InfoGAN)."""


class Joint(Config):
    """An empirical joint distribution of the supervised codes."""

    rows: tuple[tuple[float, ...], ...]
    """Distinct rows of the code table, one value a supervised code."""
    weights: tuple[float, ...]
    """Their probabilities."""


@cache  # for good: CUDA graphs read them from where they are
def _joint_tensors(joint: Joint, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return rows and weights on a device."""
    return torch.tensor(joint.rows, device=device), torch.tensor(joint.weights, device=device)


class Latents(NamedTuple):
    """One draw from the prior."""

    c: Tensor
    """Code table, float32 (B, K); supervised codes come first."""
    z: Tensor
    """Noise, float32 (B, noise)."""


class LatentSpace(Config):
    """Everything that drives G: supervised codes, unsupervised codes, noise."""

    supervised: tuple[Code, ...]
    """c_ss: the codes that labels explain."""
    unsupervised: tuple[Code, ...]
    """c_us: the codes that InfoGAN finds."""
    noise: int = Field(ge=1)
    """Dimensions of z."""
    posterior: Posterior = "mse"
    """Model of continuous codes in Q."""
    joint: Joint | None = None
    """Prior of c_ss when it is not uniform."""
    none: bool = False
    """Whether Q_ss can say that an image is none of the classes, by one more logit for each
    categorical code; G is never asked for such an image."""

    @model_validator(mode="after")
    def _check(self) -> "LatentSpace":
        names = [code.name for code in self.codes]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ValueError(f"codes share the name {', '.join(doubled)}; rename one of them")
        if not names:
            raise ValueError("a latent space needs one code or more")
        return self

    @property
    def codes(self) -> tuple[Code, ...]:
        """All codes in the order of the code table's columns."""
        return self.supervised + self.unsupervised

    @cached_property
    def width(self) -> int:
        """Columns of G's input."""
        return sum(code.size for code in self.codes) + self.noise

    def index(self, name: str) -> int:
        """Return the column of a code in the code table.

        Raises:
            BadInput: No code has that name.
        """
        names = [code.name for code in self.codes]
        if name not in names:
            raise BadInput(f"no code is named {name!r}{nearest(name, names)}")
        return names.index(name)

    def q_width(self, codes: tuple[Code, ...]) -> int:
        """Columns that Q needs for these codes: logits, means, log-variances."""
        continuous = 2 if self.posterior == "gaussian" else 1
        own = sum(code.size if code.is_categorical else continuous for code in codes)
        return own + sum(
            self.none and code.is_categorical for code in codes if code in self.supervised
        )

    def sample(self, n: int, generator: torch.Generator) -> Latents:
        """Draw n latents from the prior (section 4): categorical and continuous codes uniform.

        Codes (n, K) and noise (n, noise) are float32 on the generator's device.
        """
        device = generator.device
        columns = []
        for code in self.codes:
            if code.is_categorical:
                drawn = torch.randint(code.size, (n,), generator=generator, device=device).float()
            else:
                drawn = torch.rand(n, generator=generator, device=device) * 2 - 1
            columns.append(drawn)
        c = torch.stack(columns, dim=1)
        if self.joint is not None:
            rows, weights = _joint_tensors(self.joint, device)
            picked = torch.multinomial(weights, n, replacement=True, generator=generator)
            c[:, : len(self.supervised)] = rows[picked]
        return Latents(c, torch.randn(n, self.noise, generator=generator, device=device))

    def sample_each(self, seeds: Sequence[int]) -> Latents:
        """Draw latents from the prior, row i as `sample` draws one from a generator with seed i.

        The bits are those of `sample`; a fifth of the time is that of it. Codes (n, K) and noise
        (n, noise) are float32 on the CPU.
        """
        c, z = torch.empty(len(self.codes), len(seeds)), torch.empty(len(seeds), self.noise)
        sizes = [code.size if code.is_categorical else None for code in self.codes]
        cells = [*zip(sizes, (column.split(1) for column in c), strict=True)]
        weights = None if self.joint is None else torch.tensor(self.joint.weights)
        picked = []
        generator = torch.Generator()
        for i, (seed, noise) in enumerate(zip(seeds, z.split(1), strict=True)):
            generator.manual_seed(seed)
            for size, column in cells:
                if size is None:
                    column[i].uniform_(generator=generator)
                else:
                    column[i].random_(0, size, generator=generator)
            if weights is not None:
                picked.append(torch.multinomial(weights, 1, True, generator=generator))
            noise.normal_(generator=generator)
        for code, column in zip(self.codes, c, strict=True):
            if not code.is_categorical:
                column.mul_(2).sub_(1)
        table = c.T.contiguous()
        if self.joint is not None:
            table[:, : len(self.supervised)] = torch.tensor(self.joint.rows)[torch.cat(picked)]
        return Latents(table, z)

    def encode(self, c: Tensor, z: Tensor) -> Tensor:
        """Lay a code table c (B, K) and noise z (B, noise) out as G's input, float32 (B, width).

        One-hot classes and values come first, code by code, then the noise.
        """
        parts = []
        for code, column in zip(self.codes, c.unbind(dim=1), strict=True):
            if code.is_categorical:
                parts.append(one_hot(column.long(), code.size).to(z.dtype))
            else:
                parts.append(column[:, None])
        return torch.cat([*parts, z], dim=1)

    def prior_probabilities(self, code: Code) -> list[float]:
        """Return the marginal prior of a categorical code's classes."""
        if self.joint is None or code not in self.supervised:
            return [1 / code.size] * code.size
        column = self.supervised.index(code)
        shares = [0.0] * code.size
        for row, weight in zip(self.joint.rows, self.joint.weights, strict=True):
            shares[int(row[column])] += weight
        return shares

    def entropy(self, code: Code) -> float:
        """Return H(c) under the prior in nats; differential for continuous codes, U(-1, 1)."""
        if not code.is_categorical:
            return math.log(2)
        return -sum(p * math.log(p) for p in self.prior_probabilities(code) if p > 0)
