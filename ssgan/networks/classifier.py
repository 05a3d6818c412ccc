"""The independent classifier C that measures the 0-1 loss of synthetic images (section 5).

The paper uses "a standard CNN" for MNIST, CelebA and SVHN and a Wide Residual Network (Zagoruyko
and Komodakis, 2016, arXiv:1605.07146) for CIFAR-10. One trunk serves all codes; its last hidden
layer is the feature space of the Fréchet distance, precision and recall.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from ssgan.base.config import Formerly, OpenUnion
from ssgan.base.errors import BadInput
from ssgan.method.codes import Code
from ssgan.networks.architecture import Shape

_SMALLEST = 8  # pixels; below that nothing is left to halve
_HIDDEN = 256  # features of the CNN


class ClassifierConfig(OpenUnion):
    """Architecture of C; `kind` says which."""

    default_kind = "cnn"

    def check(self, shape: Shape) -> None:
        """Refuse images of fewer than 8 pixels a side.

        Raises:
            BadInput: They are smaller.
        """
        if min(shape[1:]) < _SMALLEST:
            raise BadInput(
                f"images of {shape[2]}x{shape[1]} pixels are too small for the classifier C; "
                f"set data.source.size to {_SMALLEST} or more"
            )

    @abstractmethod
    def trunk(self, shape: Shape) -> tuple[nn.Module, int]:
        """Build the layers from images in [-0.5, 0.5] to features >= 0, and count these."""

    @abstractmethod
    def deeper(self) -> "ClassifierConfig":
        """Return the next deeper architecture: a second judge should err in other places."""

    def build(
        self, codes: Sequence[Code], shape: Shape, generator: torch.Generator
    ) -> "Classifier":
        """Build C with weights drawn from `generator`: He's normal initialization, biases 0.

        Raises:
            BadInput: As `check`, or there are no codes.
        """
        self.check(shape)
        network = Classifier(*self.trunk(shape), codes)
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        # Every class starts with about the same probability, whatever the features' size.
        nn.init.normal_(network._head.weight, 0.0, 0.01, generator=generator)
        return network


class CnnConfig(ClassifierConfig):
    """A plain convolutional network, halved until 3 or 4 pixels are left, and one hidden layer."""

    kind: Annotated[Literal["cnn"], Formerly("architecture")] = "cnn"
    width: int = Field(default=16, ge=1)
    """Channels of the first stage."""
    depth: int = Field(default=2, ge=1)
    """Convolutions a stage."""

    def deeper(self) -> "CnnConfig":
        """Add a convolution to each stage."""
        return self.model_copy(update={"depth": self.depth + 1})

    def trunk(self, shape: Shape) -> tuple[nn.Module, int]:
        """Build the stages and the hidden layer."""
        channels, height, width = shape
        stages = max(2, math.ceil(math.log2(min(height, width) / 4)))
        layers: list[nn.Module] = []
        for stage in range(stages):
            out = self.width * min(2**stage, 4)
            for layer in range(self.depth):
                layers.append(nn.Conv2d(channels, out, kernel_size=3, padding=1, bias=False))
                if layer == self.depth - 1:
                    # Pooled before normalizing: a quarter of the work, the same kind of network.
                    layers.append(nn.MaxPool2d(2))
                layers += [nn.BatchNorm2d(out), nn.ReLU(inplace=True)]
                channels = out
            height, width = height // 2, width // 2
        layers += [
            nn.Flatten(),
            nn.Linear(channels * height * width, _HIDDEN, bias=False),
            nn.BatchNorm1d(_HIDDEN),
            nn.ReLU(inplace=True),
        ]
        return nn.Sequential(*layers), _HIDDEN


class WrnConfig(ClassifierConfig):
    """A Wide ResNet, WRN-depth-width: three groups of pre-activated residual blocks."""

    kind: Annotated[Literal["wrn"], Formerly("architecture")] = "wrn"
    width: int = Field(default=4, ge=1)
    """The widening factor."""
    depth: int = Field(default=16, ge=1)
    """Layers in all, 6 n + 4."""

    @model_validator(mode="after")
    def _check_depth(self) -> "WrnConfig":
        if self.depth < 10 or self.depth % 6 != 4:
            raise ValueError(
                f"a Wide ResNet has 6 n + 4 layers, not {self.depth}; "
                "set depth to 10, 16, 22, 28 or 40 (and width to the widening factor)"
            )
        return self

    def deeper(self) -> "WrnConfig":
        """Add a residual block to each group."""
        return self.model_copy(update={"depth": self.depth + 6})

    def trunk(self, shape: Shape) -> tuple[nn.Module, int]:
        """Build the groups (table 1 of Zagoruyko and Komodakis)."""
        blocks = (self.depth - 4) // 6
        channels = 16
        layers: list[nn.Module] = [nn.Conv2d(shape[0], channels, 3, padding=1, bias=False)]
        for group, stride in enumerate((1, 2, 2)):
            out = 16 * self.width * 2**group
            for block in range(blocks):
                layers.append(_Residual(channels, out, stride if block == 0 else 1))
                channels = out
        layers += [
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        ]
        return nn.Sequential(*layers), channels


class Classifier(nn.Module):
    """C: one trunk with `feature_width` features, one linear head for all codes."""

    def __init__(self, trunk: nn.Module, feature_width: int, codes: Sequence[Code]) -> None:
        """Put the head for the codes on a trunk.

        Raises:
            BadInput: There are no codes.
        """
        super().__init__()
        if not codes:
            raise BadInput("the classifier C needs one code or more to recognize")
        self._trunk, self.feature_width = trunk, feature_width
        self._head = nn.Linear(feature_width, sum(code.size for code in codes))

    def features(self, x: Tensor) -> Tensor:
        """Compute the last hidden layer, (B, feature_width), of x, (B, C, H, W) in [0, 1]."""
        h: Tensor = self._trunk(x - 0.5)
        return h

    def head(self, features: Tensor) -> Tensor:
        """Compute class logits or values, float32 (B, width): `code.size` columns a code."""
        logits: Tensor = self._head(features)
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """Compute the head's output of images x, float32 (B, C, H, W) in [0, 1]."""
        return self.head(self.features(x))


class _Residual(nn.Module):
    """BatchNorm, ReLU, convolution, twice, next to a shortcut."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, out, 3, stride=stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        same = channels == out and stride == 1
        self.shortcut = None if same else nn.Conv2d(channels, out, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.norm1(x))
        # A projection takes the activated input, the identity the raw one.
        shortcut = x if self.shortcut is None else self.shortcut(h)
        h = self.conv2(torch.relu(self.norm2(self.conv1(h))))
        result: Tensor = shortcut + h
        return result
