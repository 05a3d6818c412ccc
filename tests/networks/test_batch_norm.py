"""BatchNorm over groups of images; over several workers: tests/training/test_world_size.py."""

import pytest
import torch
from torch import Tensor, nn

from ssgan.networks.batch_norm import (
    BatchNorm,
    BatchNormConfig,
    rank_buffers,
    replace_batchnorm,
)
from tests.helpers.networks import draw

GROUPS = BatchNormConfig(group=4)


def layer(affine: bool = True) -> nn.BatchNorm2d:
    made = nn.BatchNorm2d(3, affine=affine)
    if affine:
        nn.init.normal_(made.weight, 1.0, 0.3, generator=draw(1))
        nn.init.normal_(made.bias, 0.0, 0.3, generator=draw(2))
    return made


def in_groups(made: nn.BatchNorm2d) -> BatchNorm:
    network = nn.Sequential(made)
    replace_batchnorm(network, GROUPS, 1)
    found = network[0]
    assert isinstance(found, BatchNorm)
    return found


def images(count: int = 12) -> Tensor:
    return torch.randn(count, 3, 5, 5, generator=draw(3)) * 2 + 1


@pytest.mark.parametrize("affine", [True, False])
def test_each_group_is_normalized_as_torch_would(affine: bool) -> None:
    x, weights = images(), torch.randn(12, 3, 5, 5, generator=draw(4))
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    grouped, plain = in_groups(layer(affine)), layer(affine)
    out = grouped(ours)
    expected = torch.cat([plain(part) for part in theirs.split(4)])
    torch.testing.assert_close(out, expected)
    (out * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)
    for one, other in zip(grouped.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_a_group_does_not_depend_on_the_others() -> None:
    grouped = in_groups(layer())
    assert torch.equal(grouped(images())[4:8], grouped(images()[4:8]))


@pytest.mark.parametrize("momentum", [0.1, None])
def test_running_statistics_are_those_of_the_groups(momentum: float | None) -> None:
    made = layer()
    made.momentum = momentum  # type: ignore[assignment]
    grouped = in_groups(made)
    assert grouped.running_mean is not None
    assert grouped.running_var is not None
    batches = [images(), images() + 1]
    for batch in batches:
        grouped(batch)
    means = torch.stack([batch.mean((0, 2, 3)) for batch in batches])
    variances = torch.stack(
        [torch.stack([part.var((0, 2, 3)) for part in batch.split(4)]).mean(0) for batch in batches]
    )
    if momentum is None:
        expected = means.mean(0), variances.mean(0)
    else:
        expected = 0.09 * means[0] + 0.1 * means[1], 0.81 + 0.09 * variances[0] + 0.1 * variances[1]
    torch.testing.assert_close((grouped.running_mean, grouped.running_var), expected)
    grouped.eval()
    still = grouped.running_mean.clone()
    torch.testing.assert_close(grouped(images()), made.eval()(images()))
    assert torch.equal(grouped.running_mean, still)


def test_a_batch_that_is_no_number_of_groups_is_refused() -> None:
    with pytest.raises(ValueError, match=r"10 images are not a multiple of batch_norm.group=4"):
        in_groups(layer())(images(10))


def test_what_is_replaced_keeps_parameters_statistics_and_names() -> None:
    network = nn.Sequential(nn.Sequential(layer()), nn.Flatten(), nn.BatchNorm1d(75, eps=0.5))
    before, parameters = network.state_dict(), list(network.parameters())
    network.eval()
    replace_batchnorm(network, GROUPS, 1)
    assert all(a is b for a, b in zip(parameters, network.parameters(), strict=True))
    after = network.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) for name in before)
    last = network[2]
    assert isinstance(last, BatchNorm)
    assert last.eps == 0.5
    assert not last.training


def test_one_worker_without_groups_keeps_the_layers_of_torch() -> None:
    network = nn.Sequential(layer())
    replace_batchnorm(network, BatchNormConfig(), 1)
    assert type(network[0]) is nn.BatchNorm2d
    assert len(rank_buffers(network)) == 2


def test_a_copy_for_one_worker_asks_no_other_one() -> None:
    network = nn.Sequential(layer())
    replace_batchnorm(network, BatchNormConfig(), 8)
    assert rank_buffers(network) == []
    replace_batchnorm(network, BatchNormConfig(), 1)
    assert len(rank_buffers(network)) == 2
    assert torch.equal(network(images()), layer()(images()))


def test_a_copy_of_a_layer_that_torch_synchronizes_asks_no_other_worker() -> None:
    made = layer()
    network = nn.Sequential(nn.SyncBatchNorm.convert_sync_batchnorm(made))
    assert rank_buffers(network) == []
    replace_batchnorm(network, BatchNormConfig(), 1)
    assert len(rank_buffers(network)) == 2
    assert network[0].weight is made.weight
    assert torch.equal(network(images()), layer()(images()))


def test_without_running_statistics_none_are_kept() -> None:
    made = nn.BatchNorm2d(3, track_running_stats=False)
    assert in_groups(made)(images()).shape == (12, 3, 5, 5)


def test_half_precision_is_normalized_in_float32() -> None:
    grouped, x = in_groups(layer()), images()
    out = grouped(x.bfloat16())
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), grouped(x), rtol=0.02, atol=0.02)
