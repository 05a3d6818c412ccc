"""The state that a checkpoint holds, as bytes: plain data, and finite when it is read."""

import io
import math
import zipfile
from typing import Any

import torch

from ssgan.networks.weights import check_tensor

State = dict[str, Any]
"""What is saved: nested dicts and lists of tensors, integers, floats, strings."""

_PLAIN = (bool, int, float, str, type(None))


def pack(state: State) -> bytes:
    """Write a state as bytes (`TypeError` if it holds something else than `State` allows)."""
    _check_plain(state, "state")
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
    _check_finite(state, "state")
    return state


def _check_finite(value: object, where: str) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _check_finite(item, f"{where}[{key!r}]")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _check_finite(item, f"{where}[{index}]")
    elif isinstance(value, torch.Tensor):
        check_tensor(where, value)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{where} is {value}")


def _check_plain(value: object, where: str) -> None:
    """Refuse what ``weights_only`` would refuse, now and not when it is needed."""
    if isinstance(value, dict):
        for key, item in value.items():
            _check_plain(item, f"{where}[{key!r}]")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _check_plain(item, f"{where}[{index}]")
    elif not isinstance(value, torch.Tensor) and type(value) not in _PLAIN:
        raise TypeError(f"{where} is a {type(value).__name__}; a checkpoint holds plain data only")
