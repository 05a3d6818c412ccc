"""Whether a saved state (`ssgan.training.state.Training.state`) is one of given networks."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from ssgan.networks.weights import check_weights
from ssgan.records.saved_state import State


def check_networks(state: State, generator: nn.Module, discriminator: nn.Module) -> None:
    """Compare what a checkpoint says of networks with networks, which may have shapes alone.

    Raises:
        ValueError: Tensors are missing, unknown or of other shapes; the message is one line.
    """
    if not isinstance(state.get("step"), int) or state["step"] < 0:
        raise ValueError("step is not a number of updates")
    for name, network in (("generator", generator), ("discriminator", discriminator)):
        check_part(name, state, network)
    average = state.get("average")
    _check_list("average", average, list(generator.parameters()))
    for name, network in (("g_optimizer", generator), ("d_optimizer", discriminator)):
        optimizer = state.get(name)
        parts = optimizer if isinstance(optimizer, dict) else {}
        moments, groups = parts.get("state"), parts.get("param_groups")
        parameters = list(network.parameters())
        if (
            not isinstance(moments, dict)
            or not isinstance(groups, list)
            or [group.get("params") for group in groups] != [[*range(len(parameters))]]
        ):
            raise ValueError(f"{name} is not the state of an optimizer of these networks")
        for moment in ("exp_avg", "exp_avg_sq"):
            if moments:
                found = [moments.get(k, {}).get(moment) for k in range(len(parameters))]
                _check_list(f"{name}.{moment}", found, parameters)


def check_part(name: str, state: State, expected: nn.Module) -> None:
    """Compare one part of a state with a module, as `check_networks`."""
    try:
        check_weights(state.get(name) or {}, expected.state_dict())
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _check_list(name: str, found: Any, expected: Sequence[Tensor]) -> None:
    if not isinstance(found, list) or len(found) != len(expected):
        raise ValueError(f"{name} does not hold {len(expected)} tensors")
    named = {f"{name}[{k}]": tensor for k, tensor in enumerate(found)}
    check_weights(named, dict(zip(named, expected, strict=True)))
