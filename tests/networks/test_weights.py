"""What comes from outside is refused where it is not a tensor of finite numbers."""

import math

import pytest
import torch

from ssgan.networks.weights import check_tensor


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 517, -1])
def test_one_number_that_is_not_finite_is_found(
    dtype: torch.dtype, value: float, place: int
) -> None:
    tensor = (torch.linspace(-1, 1, 1001) * 3e38).to(dtype)
    check_tensor("w", tensor)
    tensor[place] = value
    with pytest.raises(ValueError, match="w has values that are NaN or infinite"):
        check_tensor("w", tensor)


def test_tensors_without_numbers_or_of_integers_are_finite() -> None:
    for tensor in (torch.empty(0), torch.tensor(1.5), torch.tensor([2**62])):
        check_tensor("w", tensor)
