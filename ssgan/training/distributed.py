"""Distributed context of this process: rank, world size, device, collectives.

It depends on torch.distributed only, so it is the same under Ray Train and in one process.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel


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
    def is_main(self) -> bool:
        """Whether this worker evaluates and writes for all."""
        return self.rank == 0

    def wrap(self, module: nn.Module) -> nn.Module:
        """Make gradients the mean over workers.

        Buffers are not broadcast: every rank's BatchNorm uses the statistics of its own images,
        and the running ones are averaged by `average_buffers` before anyone reads them.
        """
        if self.world_size == 1:
            return module
        return DistributedDataParallel(
            module,
            device_ids=[self.device] if self.device.type == "cuda" else None,
            broadcast_buffers=False,
            gradient_as_bucket_view=True,
        )

    def maximum(self, values: Tensor) -> Tensor:
        """Take the maximum over workers, in place."""
        return self._reduce(values, dist.ReduceOp.MAX)

    def mean(self, values: Tensor) -> Tensor:
        """Take the mean over workers, in place."""
        return self._reduce(values, dist.ReduceOp.SUM).div_(self.world_size)

    def any(self, flag: bool) -> bool:
        """Whether any worker raises the flag."""
        return (
            flag
            if self.world_size == 1
            else bool(self.maximum(torch.tensor(float(flag), device=self.device)).item())
        )

    def average_buffers(self, *modules: nn.Module) -> None:
        """Average floating-point buffers (BatchNorm's running statistics) over workers."""
        for module in modules:
            for buffer in module.buffers():
                if buffer.is_floating_point() and self.world_size > 1:
                    self.mean(buffer)

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
