"""Random numbers keyed by (seed, stream, step), so that no generator has state to save.

Every draw of a run (coin, indices, codes, noise, weights) names its stream and the step it
belongs to. A checkpoint then needs one integer, the step; and any number of workers that draw
the global batch and take their slices see the same data.
"""

import hashlib
from dataclasses import dataclass

import torch

_SEED_BITS = 63  # torch.Generator.manual_seed takes a signed 64-bit integer


@dataclass(frozen=True)
class Streams:
    """All random streams of one run.

    Attributes:
        seed: The experiment's seed; any integer.
    """

    seed: int

    def key(self, stream: str, step: int = 0) -> int:
        """Derive the 63-bit seed of one draw from (seed, stream, step)."""
        digest = hashlib.blake2b(f"{self.seed}/{stream}/{step}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") >> (64 - _SEED_BITS)

    def generator(
        self, stream: str, step: int = 0, device: torch.device | str = "cpu"
    ) -> torch.Generator:
        """Make the generator of one draw.

        Args:
            stream: What is drawn, for example ``"noise"``.
            step: The update it is drawn for, from 0.
            device: Where the numbers are made; CPU and CUDA generators differ in their values.
        """
        return torch.Generator(device=device).manual_seed(self.key(stream, step))

    def coin(self, stream: str, step: int, probability: float) -> bool:
        """Toss one biased coin that every rank sees alike."""
        return torch.rand((), generator=self.generator(stream, step)).item() < probability
