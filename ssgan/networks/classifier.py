"""The independent classifier C that measures the 0-1 loss of synthetic images (section 5).

The paper uses "a standard CNN" for MNIST, CelebA and SVHN and a Wide Residual Network (Zagoruyko
and Komodakis, 2016, arXiv:1605.07146) for CIFAR-10. One trunk serves all codes; its last hidden
layer is the feature space of the Fréchet distance, precision and recall.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from ssgan.base.config import Config
from ssgan.base.errors import BadInput
from ssgan.method.codes import Code
from ssgan.networks.architecture import Shape

_SMALLEST = 8  # pixels; below that nothing is left to halve
_HIDDEN = 256  # features of the CNN


class ClassifierConfig(Config):
    """Architecture of C."""

    architecture: Literal["cnn", "wrn"] = "cnn"
    """A plain convolutional network, or a Wide ResNet."""
    width: int = Field(default=16, ge=1)
    """cnn: channels of the first stage. wrn: the widening factor, 4 by default, as in WRN-16-4."""
    depth: int = Field(default=2, ge=1)
    """cnn: convolutions a stage. wrn: layers in all, 6 n + 4; 16 by default, as in WRN-16-4."""

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("architecture") == "wrn":
            return {"width": 4, "depth": 16, **data}
        return data

    @model_validator(mode="after")
    def _check(self) -> "ClassifierConfig":
        if self.architecture == "wrn" and (self.depth < 10 or self.depth % 6 != 4):
            raise ValueError(
                f"a Wide ResNet has 6 n + 4 layers, not {self.depth}; "
                "set depth to 10, 16, 22, 28 or 40 (and width to the widening factor)"
            )
        return self


class Classifier(nn.Module):
    """C: one trunk, one linear head for all codes.

    Attributes:
        feature_width: Columns of `features`.
    """

    def __init__(self, config: ClassifierConfig, codes: Sequence[Code], shape: Shape) -> None:
        """Build the layers for the codes and an image shape (C, H, W).

        Raises:
            BadInput: The images have fewer than 8 pixels a side, or there are no codes.
        """
        super().__init__()
        if min(shape[1:]) < _SMALLEST:
            raise BadInput(
                f"images of {shape[2]}x{shape[1]} pixels are too small for the classifier C; "
                f"set data.source.size to {_SMALLEST} or more"
            )
        if not codes:
            raise BadInput("the classifier C needs one code or more to recognize")
        build = _cnn if config.architecture == "cnn" else _wide_resnet
        self._trunk, self.feature_width = build(config, shape)
        self._head = nn.Linear(self.feature_width, sum(code.size for code in codes))

    def features(self, x: Tensor) -> Tensor:
        """Compute the last hidden layer of images x, float32 (B, C, H, W) in [0, 1].

        Returns:
            float32 (B, feature_width), not negative.
        """
        h: Tensor = self._trunk(x - 0.5)
        return h

    def head(self, features: Tensor) -> Tensor:
        """Compute, code by code, class logits or the value of a continuous code.

        Returns:
            float32 (B, width): `code.size` columns a code.
        """
        logits: Tensor = self._head(features)
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """Compute the head's output of images x, float32 (B, C, H, W) in [0, 1]."""
        return self.head(self.features(x))


def build_classifier(
    config: ClassifierConfig, codes: Sequence[Code], shape: Shape, generator: torch.Generator
) -> Classifier:
    """Build C with weights drawn from `generator`: He's normal initialization, biases 0."""
    network = Classifier(config, codes, shape)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    # Every class starts with about the same probability, whatever the features' size.
    nn.init.normal_(network._head.weight, 0.0, 0.01, generator=generator)
    return network


def _cnn(config: ClassifierConfig, shape: Shape) -> tuple[nn.Module, int]:
    """Stages of convolutions, halved until 3 or 4 pixels are left, and one hidden layer."""
    channels, height, width = shape
    stages = max(2, math.ceil(math.log2(min(height, width) / 4)))
    layers: list[nn.Module] = []
    for stage in range(stages):
        out = config.width * min(2**stage, 4)
        for layer in range(config.depth):
            layers.append(nn.Conv2d(channels, out, kernel_size=3, padding=1, bias=False))
            if layer == config.depth - 1:
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


def _wide_resnet(config: ClassifierConfig, shape: Shape) -> tuple[nn.Module, int]:
    """WRN-depth-width: three groups of pre-activated residual blocks (their table 1)."""
    blocks = (config.depth - 4) // 6
    channels = 16
    layers: list[nn.Module] = [nn.Conv2d(shape[0], channels, 3, padding=1, bias=False)]
    for group, stride in enumerate((1, 2, 2)):
        out = 16 * config.width * 2**group
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


class _Residual(nn.Module):
    """BatchNorm, ReLU, convolution, twice, beside a shortcut."""

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
