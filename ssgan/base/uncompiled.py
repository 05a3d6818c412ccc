"""torch's optimizers without torch's compiler, which they import and nothing here uses."""

from typing import Any, TypeVar, cast

import torch
from torch.optim import Optimizer

Kind = TypeVar("Kind", bound=Optimizer)


def uncompiled(kind: type[Kind]) -> type[Kind]:
    """Return an optimizer of torch that computes the same and does not import the compiler.

    torch keeps some of its methods out of compiled code, and imports the compiler to say so when
    they are first called: two seconds of CPU in every process.
    """

    def inner(name: str) -> Any:
        method = getattr(kind, name)
        return getattr(method, "__wrapped__", method)

    methods = {name: inner(name) for name in _MARKED}
    methods["step"] = torch.no_grad()(inner("step"))
    return cast(type[Kind], type(kind.__name__, (kind,), methods))


_MARKED = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
