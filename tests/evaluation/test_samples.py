import torch
from torch import nn

from ssgan.evaluation.samples import balanced_latents, generate
from ssgan.method.codes import Code, Joint, LatentSpace

PET = Code(name="pet", kind="categorical", classes=("cat", "dog", "cow"))
SIZE = Code(name="size", kind="categorical", classes=("small", "large"))
ANGLE = Code(name="angle", kind="continuous")


def space(joint: Joint | None = None) -> LatentSpace:
    return LatentSpace(supervised=(PET, SIZE), unsupervised=(ANGLE,), noise=2, joint=joint)


def test_every_class_occurs_as_often() -> None:
    c, z = balanced_latents(space(), 60, torch.Generator().manual_seed(0))
    assert torch.bincount(c[:, 0].long()).tolist() == [20, 20, 20]
    assert torch.bincount(c[:, 1].long()).tolist() == [30, 30]
    assert c[:6, 0].tolist() == [0, 1, 2, 0, 1, 2]
    pairs = torch.bincount((c[:, 0] * 2 + c[:, 1]).long(), minlength=6)
    assert (pairs > 0).all()  # the second code is shuffled, not in step with the first
    assert c[:, 2].abs().max() <= 1
    assert z.shape == (60, 2)


def test_an_empirical_prior_is_kept() -> None:
    joint = Joint(rows=((0.0, 1.0), (2.0, 0.0)), weights=(0.5, 0.5))
    c, _ = balanced_latents(space(joint), 50, torch.Generator().manual_seed(0))
    assert {tuple(row) for row in c[:, :2].tolist()} == {(0.0, 1.0), (2.0, 0.0)}


class Echo(nn.Module):
    """Images that hold the first input in every pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, v: torch.Tensor) -> torch.Tensor:
        return (v[:, :1, None, None] * self.scale).expand(-1, 1, 2, 2)


def test_images_are_rounded_bytes_in_the_order_of_the_latents() -> None:
    latents = balanced_latents(space(), 600, torch.Generator().manual_seed(0))
    network = Echo()
    with torch.no_grad():
        network.scale.fill_(0.501)  # 127.755 of 255
    images = generate(network, space(), latents)
    assert images.shape == (600, 1, 2, 2)
    assert images.dtype == torch.uint8
    assert torch.equal(images[:, 0, 0, 0] == 128, latents.c[:, 0] == 0)
    assert not images.requires_grad
