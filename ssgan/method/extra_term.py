"""Terms that other packages add to the objective, in D's half of an update, in G's, or in both."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from ssgan.base.config import OpenUnion

Generators = Callable[[str], torch.Generator]
"""Random numbers by a name, keyed by the seed, that name and the update; alike on all ranks."""


class Half(NamedTuple):
    """What one half of an update offers to a term; B images on this rank, float32."""

    x: Tensor
    """Real images (B, C, H, W): in D's half as D saw them, augmented and noisy; else in [0, 1]."""
    y: Tensor
    """Their labels (B, K_ss); NaN where not known."""
    fake: Tensor
    """x̃ (B, C, H, W): in D's half as D saw it, without G's graph; else in [0, 1], with it."""
    c: Tensor
    """The codes of x̃ (B, K), supervised ones first."""
    h_fake: Tensor
    """The trunk's features of x̃ (B, hidden)."""
    trunk: Callable[[Tensor], Tensor]
    """From images to features, in the run's precision; in G's half its parameters are frozen."""
    d: Callable[[Tensor], Tensor]
    """From features to D's logits (B,)."""
    generators: Generators
    """Random numbers, so that the same seed gives the same bits, also after a resume."""


class ExtraTerm(OpenUnion):
    """A term besides the paper's. A member overrides one of the two methods, or both.

    They return the mean over this rank's images: a float32 scalar with its graph, in every update.
    DDP averages the gradients over ranks.
    """

    weight: float = Field(default=1.0, ge=0)
    """Factor of the term in the objective; at 0 it is only recorded."""

    def discriminator_term(self, half: Half) -> Tensor:
        """Return what trunk, D and the Qs descend, unweighted."""
        raise NotImplementedError

    def generator_term(self, half: Half) -> Tensor:
        """Return what G descends, unweighted."""
        raise NotImplementedError

    @property
    def names(self) -> tuple[str, str]:
        """Names of the term in D's half and in G's; empty where it has no part in one."""
        name = str(getattr(self, "kind", "")).rpartition(".")[2]
        in_d = type(self).discriminator_term is not ExtraTerm.discriminator_term
        in_g = type(self).generator_term is not ExtraTerm.generator_term
        return name * in_d, f"{name}_g" * (in_d and in_g) or name * in_g
