"""Distributed context of this process: rank, world size, device, collectives.

It knows torch.distributed and not Ray, so it is the same under Ray Train and in one process.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

T = TypeVar("T")


@dataclass(frozen=True)
class Worker:
    """One of the workers that train together."""

    rank: int
    """Position among the workers; rank 0 evaluates and writes."""
    world_size: int
    device: torch.device

    @classmethod
    def join(cls, device: torch.device) -> "Worker":
        """Return this process's place in the process group; without one it is alone."""
        if dist.is_available() and dist.is_initialized():
            return cls(dist.get_rank(), dist.get_world_size(), device)
        return cls(0, 1, device)

    @property
    def local_size(self) -> int:
        """Number of workers on this machine, as torchrun and Ray Train tell it."""
        return 1 if self.world_size == 1 else int(os.environ.get("LOCAL_WORLD_SIZE", "1"))

    @property
    def is_main(self) -> bool:
        """Whether this worker evaluates and writes for all."""
        return self.rank == 0

    def wrap(self, module: nn.Module) -> nn.Module:
        """Make gradients the mean over workers.

        Buffers are not broadcast: BatchNorm has the same statistics on all ranks
        (`ssgan.networks.batch_norm`), or running ones of its own groups of images, which
        `Training.synchronize` averages before anyone reads them.
        """
        if self.world_size == 1:
            return module
        return DistributedDataParallel(
            module,
            device_ids=[self.device] if self.device.type == "cuda" else None,
            forward_sync_buffers=False,
            gradient_as_bucket_view=True,
        )

    def maximum(self, values: Tensor) -> Tensor:
        """Take the maximum over workers, in place."""
        return self._reduce(values, dist.ReduceOp.MAX)

    def mean(self, values: Tensor) -> Tensor:
        """Take the mean over workers, in place."""
        return self._reduce(values, dist.ReduceOp.SUM).div_(self.world_size)

    def gather(self, values: Tensor) -> Tensor:
        """Return the workers' values, of one shape, in the order of their ranks."""
        if self.world_size == 1:
            return values[None].clone()
        rows = [torch.empty_like(values) for _ in range(self.world_size)]
        dist.all_gather(rows, values)
        return torch.stack(rows)

    def any(self, flag: bool) -> bool:
        """Whether any worker raises the flag."""
        return (
            flag
            if self.world_size == 1
            else bool(self.maximum(torch.tensor(float(flag), device=self.device)).item())
        )

    def share(self, find: Callable[[], T]) -> T:
        """Return on every worker what the main one finds."""
        if self.world_size == 1:
            return find()
        found: list[Any] = [find() if self.is_main else None]
        dist.broadcast_object_list(found, device=self.device)
        return cast(T, found[0])

    def wait(self, then: Callable[[], object] | None = None) -> None:
        """Let the main worker do something while the others wait for it."""
        if then is not None and self.is_main:
            then()
        if self.world_size > 1:
            dist.barrier()

    def _reduce(self, values: Tensor, operation: "dist.ReduceOp.RedOpType") -> Tensor:
        if self.world_size > 1:
            dist.all_reduce(values, operation)
        return values
