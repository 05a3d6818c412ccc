"""Random numbers keyed by (seed, stream, step), so that no generator has state to save.

Every draw of a run (coin, indices, codes, noise, weights) names its stream and the step it
belongs to. A checkpoint then needs one integer, the step; and any number of workers that draw
the global batch and take their slices see the same data.
"""

import hashlib
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Streams:
    """All random streams of one run."""

    seed: int
    """The experiment's seed; any integer."""

    def key(self, stream: str, step: int = 0) -> int:
        """Derive the 63-bit seed of one draw from (seed, stream, step)."""
        digest = hashlib.blake2b(f"{self.seed}/{stream}/{step}".encode(), digest_size=8).digest()
        # torch.Generator.manual_seed takes a signed 64-bit integer.
        return int.from_bytes(digest, "big") >> 1

    def generator(
        self, stream: str, step: int = 0, device: torch.device | str = "cpu"
    ) -> torch.Generator:
        """Make the generator of one draw, for example of ``"noise"`` for an update, from 0.

        CPU and CUDA devices make different numbers.
        """
        return torch.Generator(device=device).manual_seed(self.key(stream, step))

    def coin(self, stream: str, step: int, probability: float) -> bool:
        """Toss one biased coin that every rank sees alike."""
        return torch.rand((), generator=self.generator(stream, step)).item() < probability
