"""What layers compute in: 32 bits, or 16 where torch's autocast holds that safe."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

Precision = Literal["float32", "bfloat16"]
"""bfloat16 is faster on GPUs since 2020 and on CPUs with AVX512-BF16 or AMX, slower on others."""


def compute(layers: Callable[[Tensor], Tensor], x: Tensor, precision: Precision) -> Tensor:
    """Run layers in a precision of their own; the result has the dtype of x.

    The layers' parameters are float32 and stay so; with float32 nothing is cast.
    """
    dtype = getattr(torch, precision)
    with torch.autocast(x.device.type, dtype, enabled=precision != "float32"):
        return layers(x).to(x.dtype)
