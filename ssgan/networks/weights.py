"""Weights that come from outside: their names, shapes and types, and that they are finite.

What is read is compared with what networks of the stated sizes have, before anything of the size
that a file states is allocated.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def check_weights(found: Mapping[str, Any], expected: Mapping[str, Tensor]) -> None:
    """Compare the state of a network with what it should hold, `expected`.

    Raises:
        ValueError: A tensor is missing, unknown, of another shape or type, or not finite; the
            message is one line and names it.
    """
    if not isinstance(found, Mapping):
        raise ValueError("there are no tensors by name")
    if missing := sorted(expected.keys() - found.keys()):
        raise ValueError(f"the tensor {missing[0]} is missing{_others(missing)}")
    if unknown := sorted(map(str, found.keys() - expected.keys())):
        raise ValueError(f"the tensor {unknown[0][:80]} is unknown{_others(unknown)}")
    for name, wanted in expected.items():
        check_tensor(name, found[name])
        shape, dtype = tuple(found[name].shape), found[name].dtype
        if shape != tuple(wanted.shape) or dtype != wanted.dtype:
            raise ValueError(
                f"the tensor {name} is {_described(shape, dtype)}, and these networks have "
                f"{_described(tuple(wanted.shape), wanted.dtype)}"
            )


def check_tensor(name: str, value: Any) -> None:
    """Refuse what is not a tensor of finite numbers that are all there.

    Raises:
        ValueError: The message is one line.
    """
    if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_quantized:
        raise ValueError(f"{name} is not a plain tensor")
    # A view may repeat the numbers that are there more often than memory could hold.
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise ValueError(f"the tensor {name} states {value.numel():,} numbers that are not there")
    if value.is_floating_point() and value.numel() and not _is_finite(value):
        raise ValueError(f"the tensor {name} has values that are NaN or infinite")


def _is_finite(value: Tensor) -> bool:
    """Look for NaN and infinities in one pass; `isfinite` takes ten times as long."""
    return all(bool(torch.isfinite(end)) for end in value.detach().aminmax())


def _others(names: list[str]) -> str:
    return f", and {len(names) - 1} more" if len(names) > 1 else ""


def _described(shape: tuple[int, ...], dtype: torch.dtype) -> str:
    return f"{str(dtype).removeprefix('torch.')} ({', '.join(map(str, shape))})"
