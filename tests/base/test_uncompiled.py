import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.optim import Adam, AdamW, Optimizer

from ssgan.base.uncompiled import uncompiled


@pytest.mark.parametrize("kind", [Adam, AdamW])
def test_parameters_and_state_are_those_of_torch(kind: type[Optimizer]) -> None:
    ends = []
    for made in (kind, uncompiled(kind)):
        torch.manual_seed(0)
        layer = nn.Linear(3, 2)
        optimizer = made(layer.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            layer(torch.ones(1, 3)).square().sum().backward()
            optimizer.step()
        ends.append({"weights": dict(layer.state_dict()), "state": optimizer.state_dict()})
    torch.testing.assert_close(*ends, rtol=0, atol=0)


def test_the_compiler_is_not_imported() -> None:
    program = """
import sys
import torch
from ssgan.base.uncompiled import uncompiled
layer = torch.nn.Linear(2, 2)
optimizer = uncompiled(torch.optim.Adam)(layer.parameters(), fused=True)
layer(torch.ones(1, 2)).sum().backward()
optimizer.step()
optimizer.zero_grad()
optimizer.load_state_dict(optimizer.state_dict())
sys.exit("torch._dynamo" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
