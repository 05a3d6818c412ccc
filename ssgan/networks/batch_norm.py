"""BatchNorm that means the same on any number of workers.

Its statistics are those of the global batch, reduced over all workers, as if one had all images; or
those of fixed groups of images, which no worker has to ask others for. Gradients go through the
reduction, as often as they are taken. The layers of an architecture stay what they are, torch's
own, and one worker without groups keeps them.
"""

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from ssgan.base.config import Config


class BatchNormConfig(Config):
    """Which images are normalized together."""

    group: int | None = Field(default=None, ge=2)
    """Images that are normalized together; null, the paper's, is the whole batch over all workers.
    Groups need no communication, and mean the same on any number of workers whose share of a batch
    is a multiple of the group."""


class BatchNorm(_BatchNorm):
    """BatchNorm of any number of dimensions, over groups of images or over all workers' images.

    Every worker has as many images as the others. Trained in groups, the running statistics are of
    this worker's images alone; else they are the same on all workers.
    """

    group: int | None = None
    """Images that are normalized together, of which a batch is a multiple; None is all of them."""
    workers: int = 1
    """Workers of the process group whose images are normalized together, if there are no groups."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalize (B, C, ...); in eval mode by the running statistics."""
        if self.training and self.group is not None:
            return self._normalize_groups(x, self.group)
        if self.training and self.workers > 1:
            return self._normalize_all(x)
        out: Tensor = super().forward(x)
        return out

    def _normalize_groups(self, x: Tensor, size: int) -> Tensor:
        """Normalize each group as torch would, all at once: a channel of a group is a channel."""
        count = len(x) // size
        if count * size != len(x):
            raise ValueError(f"{len(x)} images are not a multiple of batch_norm.group={size}")
        apart = x.unflatten(0, (count, size)).transpose(0, 1).flatten(1, 2)
        weight, bias = (None if of is None else of.repeat(count) for of in (self.weight, self.bias))
        kept = torch.promote_types(x.dtype, torch.float32)
        mean = torch.zeros(apart.shape[1], dtype=kept, device=x.device)
        variance = torch.ones_like(mean)
        out = F.batch_norm(apart, mean, variance, weight, bias, True, 1.0, self.eps)
        self._track(mean.view(count, -1).mean(0), variance.view(count, -1).mean(0))
        normalized: Tensor = out.unflatten(1, (count, -1)).transpose(0, 1).flatten(0, 1)
        return normalized

    def _normalize_all(self, x: Tensor) -> Tensor:
        """Normalize by the mean and variance over all workers, in float32 at least."""
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        others = [dim for dim in range(x.dim()) if dim != 1]
        variance, mean = torch.var_mean(wide, others, correction=0)
        means, variances = _Gather.apply(torch.stack((mean, variance))).unbind(1)
        mean = means.mean(0)
        variance = variances.mean(0) + means.var(0, correction=0)
        count = self.workers * x.numel() // x.shape[1]
        self._track(mean.detach(), variance.detach() * count / (count - 1))
        scale = torch.rsqrt(variance + self.eps)
        scale = scale if self.weight is None else scale * self.weight
        shift = -mean * scale if self.bias is None else self.bias - mean * scale
        shape = [-1 if dim == 1 else 1 for dim in range(x.dim())]
        return torch.addcmul(shift.view(shape), wide, scale.view(shape)).to(x.dtype)

    def _track(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics towards those of a batch, as torch does."""
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        momentum = self.momentum
        weight = 1 / self.num_batches_tracked.item() if momentum is None else momentum
        self.running_mean.lerp_(mean, weight)
        self.running_var.lerp_(variance, weight)

    def _check_input_dim(self, input: Tensor) -> None:
        """Take any number of dimensions."""


def replace_batchnorm(
    network: nn.Module, config: BatchNormConfig, workers: int, *, twice: bool = True
) -> None:
    """Let a network's BatchNorm be over groups, or over the images of so many workers; in place.

    Parameters and running statistics stay. On CUDA torch's own SyncBatchNorm synchronizes, but for
    what takes derivatives `twice` (a penalty on a slope), which it does not have. A copy that is
    used by one worker alone needs a call with 1.
    """
    for module in list(network.modules()):
        for name, layer in module.named_children():
            if isinstance(layer, _BatchNorm) and _differs(layer, config, workers):
                on_cuda = layer.weight is not None and layer.weight.is_cuda
                fused = on_cuda and workers > 1 and config.group is None and not twice
                module.add_module(name, _replaced(layer, config, workers, fused))


def rank_buffers(*networks: nn.Module) -> list[Tensor]:
    """Return the floating-point buffers that each worker has of its own."""
    layers = [layer for network in networks for layer in network.modules()]
    found = [layer.buffers(recurse=False) for layer in layers if not _is_synchronized(layer)]
    return [buffer for buffers in found for buffer in buffers if buffer.is_floating_point()]


def _is_synchronized(layer: nn.Module) -> bool:
    """Whether a layer is BatchNorm with the same running statistics on all workers."""
    is_ours = isinstance(layer, BatchNorm) and layer.group is None and layer.workers > 1
    return is_ours or isinstance(layer, nn.SyncBatchNorm)


def _differs(layer: _BatchNorm, config: BatchNormConfig, workers: int) -> bool:
    return config.group is not None or workers > 1 or _is_synchronized(layer)


def _replaced(layer: _BatchNorm, config: BatchNormConfig, workers: int, fused: bool) -> _BatchNorm:
    kind: Any = nn.SyncBatchNorm if fused else BatchNorm
    made: _BatchNorm = kind(
        layer.num_features, layer.eps, layer.momentum, layer.affine, layer.track_running_stats
    )
    if isinstance(made, BatchNorm):
        made.group, made.workers = config.group, workers
    made.weight, made.bias = layer.weight, layer.bias
    made.running_mean, made.running_var = layer.running_mean, layer.running_var
    made.num_batches_tracked = layer.num_batches_tracked
    return made.train(layer.training)


class _Sum(torch.autograd.Function):
    """Sum over workers. What is differentiated is the sum of all workers' losses."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        total: Tensor = _Sum.apply(grads[0])
        return total


class _Gather(torch.autograd.Function):
    """Stack the values of all workers, (...) to (workers, ...), in the order of their ranks."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        parts = [torch.empty_like(values) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, values)
        return torch.stack(parts)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        part: Tensor = _Sum.apply(grads[0])[dist.get_rank()]
        return part
