"""Small networks, the latent space of MNIST, and what one step of training needs."""

import torch

from ssgan.method.codes import Code, LatentSpace
from ssgan.method.optimizer import Weights
from ssgan.networks.dcgan import DcganConfig

DIGIT = Code(name="digit", kind="categorical", classes=tuple("0123456789"))
STYLES = tuple(Code(name=f"style_{k}", kind="continuous") for k in (1, 2))
MNIST = LatentSpace(supervised=(DIGIT,), unsupervised=STYLES, noise=62)
TINY = DcganConfig(width=2, hidden=4, q_hidden=3)

SPACE = LatentSpace(
    supervised=(Code(name="shape", kind="categorical", classes=("a", "b", "c")),),
    unsupervised=(
        Code(name="style", kind="continuous"),
        Code(name="lot", kind="categorical", classes=("0", "1")),
    ),
    noise=3,
)
SIZES = DcganConfig(width=2, hidden=6, q_hidden=4)
SHAPE = (1, 16, 16)  # two stages, so that every kind of layer is there
B = 6
WEIGHTS = Weights(lambda1=0.7, lambda2=1.3, d_lr=1e-3, g_lr=1e-2)


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
