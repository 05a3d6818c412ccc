"""The state that a checkpoint holds, as bytes: plain data, and finite when it is read."""

import io
import math
import zipfile
from collections.abc import Iterator
from typing import Any

import torch

from ssgan.networks.weights import check_tensor

State = dict[str, Any]
"""What is saved: nested dicts and lists of tensors, integers, floats, strings."""

_PLAIN = (bool, int, float, str, type(None))


def pack(state: State) -> bytes:
    """Write a state as bytes (`TypeError` if it holds something else than `State` allows)."""
    for where, value in leaves(state):
        # `weights_only` would refuse it as well, when it is needed.
        if not isinstance(value, torch.Tensor) and type(value) not in _PLAIN:
            what = type(value).__name__
            raise TypeError(f"{where} is a {what}; a checkpoint holds plain data only")
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def unpack(data: bytes) -> State:
    """Read what ``torch.save`` wrote, from whomever it comes.

    Raises:
        ValueError: It holds something else than a state of finite numbers; the message is a line.
    """
    try:
        # Stored, as torch does: compressed files may be much larger than what was read.
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if any(one.file_size > one.compress_size for one in archive.infolist()):
                raise ValueError("its files are compressed")
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zipfile and torch raise a dozen kinds
        told = " ".join(str(error).split())[:200]
        raise ValueError(f"it does not hold a state: {told}") from error
    if not isinstance(state, dict):
        raise ValueError("it does not hold a state")
    for where, value in leaves(state):
        if isinstance(value, torch.Tensor):
            check_tensor(where, value)
        elif isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{where} is {value}")
    return state


def leaves(value: object, where: str = "state") -> Iterator[tuple[str, object]]:
    """Yield the parts of nested dicts, lists and tuples that are none, each with where it is."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{where}[{key!r}]")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from leaves(item, f"{where}[{index}]")
    else:
        yield where, value
