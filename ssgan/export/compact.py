"""Networks made small enough to travel inside a page: folded, quantized, and run by a browser.

BatchNorm is folded into the layer before it. Weights become whole numbers of 8 bits with a scale
for each output channel; the first layer of a network and small ones have 16, because they weigh
little and all else depends on them: in MNIST's G, 8 bits in the first layer alone put 1.3 % of the
pixels off by more than 2/255, and 8 bits in the largest layer 0.0003 %. A wide linear layer of the
trunk becomes two narrow ones, which keep what differs most over G's own images.

Here a feature map is flat, in the order of height, width, channel (HWC), so that the innermost loop
of a convolution runs over channels.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from ssgan.base.errors import BadInput

_SMALL = 2**16  # weights, up to which a layer has 16 bits
_RANK = 96  # of a wide layer that is factored
_WORTH = 5  # times as many weights as its factors that it must have


@dataclass(frozen=True)
class Layer:
    """One layer as a page runs it."""

    kind: Literal["linear", "conv", "deconv"]
    weight: Tensor
    """float32 (out, in), or (kernel, kernel, in, out) of a convolution."""
    bias: Tensor
    """float32 (out,)."""
    leak: float = 1.0
    """Slope below zero of the activation that follows: 0 is ReLU's, 1 is none."""
    sigmoid: bool = False
    """Whether a sigmoid follows."""
    side: int = 1
    """Side of the square that a convolution reads, in pixels."""
    stride: int = 1
    """Pixels between two places of a convolution's kernel."""
    padding: int = 0
    """Pixels of zeros around its square; around the one that it makes, where it is transposed."""

    def __call__(self, x: Tensor) -> Tensor:
        """Compute the layer: float32 (B, in) to (B, out); feature maps are flat, in HWC order."""
        if self.kind == "linear":
            x = F.linear(x, self.weight, self.bias)
        else:
            x = x.unflatten(1, (self.side, self.side, -1)).permute(0, 3, 1, 2)
            if self.kind == "conv":
                weight = self.weight.permute(3, 2, 0, 1)
                x = F.conv2d(x, weight, self.bias, self.stride, self.padding)
            else:
                weight = self.weight.permute(2, 3, 0, 1)
                x = F.conv_transpose2d(x, weight, self.bias, self.stride, self.padding)
            x = x.permute(0, 2, 3, 1).flatten(1)
        x = torch.where(x < 0, x * self.leak, x)
        return x.sigmoid() if self.sigmoid else x

    @property
    def is_open(self) -> bool:
        """Whether no activation follows yet."""
        return self.leak == 1 and not self.sigmoid

    @property
    def _outputs(self) -> int:
        """The dimension of the weight that counts outputs."""
        return 0 if self.kind == "linear" else 3

    def normalized(self, norm: _BatchNorm) -> Self:
        """Fold a BatchNorm in eval mode, which follows, into the layer."""
        if norm.running_mean is None or norm.running_var is None or not norm.affine:
            raise BadInput(f"a page runs BatchNorm by its running statistics, and {norm} has none")
        factor = (norm.running_var.double() + norm.eps).rsqrt() * norm.weight.double()
        bias = (self.bias.double() - norm.running_mean.double()) * factor + norm.bias.double()
        shape = [-1 if k == self._outputs else 1 for k in range(self.weight.ndim)]
        weight = self.weight.double() * factor.reshape(shape)
        return replace(self, weight=weight.float(), bias=bias.float())

    def quantized(self, bits: int) -> "QuantizedLayer":
        """Round the weights to whole numbers of so many bits, by the largest of each output."""
        others = [k for k in range(self.weight.ndim) if k != self._outputs]
        largest = self.weight.abs().amax(dim=others, keepdim=True)
        scale = largest.clamp_min(torch.finfo(torch.float32).tiny) / (2 ** (bits - 1) - 1)
        numbers = (self.weight / scale).round()
        return QuantizedLayer(replace(self, weight=numbers * scale), numbers, scale.flatten(), bits)


@dataclass(frozen=True)
class QuantizedLayer:
    """A layer whose weights are whole numbers times a scale for each output."""

    layer: Layer
    """What it computes: the layer with these weights."""
    numbers: Tensor
    """Whole numbers, float32, in the weights' shape."""
    scale: Tensor
    """float32 (out,)."""
    bits: int
    """8 or 16."""

    def __call__(self, x: Tensor) -> Tensor:
        """Compute the layer, (B, in) to (B, out)."""
        return self.layer(x)

    def describe(self) -> dict[str, Any]:
        """Return what the page has to know besides the bytes, as JSON."""
        layer, shape = self.layer, self.layer.weight.shape
        linear = layer.kind == "linear"
        return {
            "kind": layer.kind,
            "bits": self.bits,
            "inputs": shape[1] if linear else shape[2],
            "outputs": shape[0] if linear else shape[3],
            "kernel": 1 if linear else shape[0],
            "side": layer.side,
            "stride": layer.stride,
            "padding": layer.padding,
            "leak": layer.leak,
            "sigmoid": layer.sigmoid,
        }

    def to_bytes(self) -> bytes:
        """Return scale, bias and weights, little-endian, each filled up to four bytes."""
        arrays = [
            self.scale.numpy().astype("<f4"),
            self.layer.bias.numpy().astype("<f4"),
            self.numbers.contiguous().numpy().astype(f"<i{self.bits // 8}"),
        ]
        return b"".join(_filled(array.tobytes()) for array in arrays)


def _filled(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def fold(
    modules: Iterable[nn.Module], shape: tuple[int, int, int] | None = None
) -> tuple[Layer, ...]:
    """Turn the modules of a network in eval mode, one after the other, into layers.

    Args:
        modules: What the network runs, in order.
        shape: Channels, height and width of what it reads, where that is an image.

    Raises:
        BadInput: A page cannot run one of the modules.
    """
    layers: list[Layer] = []
    for module in _flat(modules):
        match module:
            case nn.Linear():
                weight = module.weight
                if shape is not None:
                    weight = weight[:, _order(shape)]
                layers.append(Layer("linear", weight.detach(), _bias(module, len(weight))))
                shape = None
            case nn.Conv2d() | nn.ConvTranspose2d() if shape and _is_plain(module, shape):
                layer, shape = _convolution(module, shape)
                layers.append(layer)
            case _BatchNorm() if layers and layers[-1].is_open:
                layers[-1] = layers[-1].normalized(module)
            case nn.ReLU() if layers and layers[-1].is_open:
                layers[-1] = replace(layers[-1], leak=0.0)
            case nn.LeakyReLU() if layers and layers[-1].is_open:
                layers[-1] = replace(layers[-1], leak=module.negative_slope)
            case nn.Sigmoid() if layers and layers[-1].is_open:
                layers[-1] = replace(layers[-1], sigmoid=True)
            case nn.Unflatten() if layers and len(module.unflattened_size) == 3:
                channels, height, width = map(int, module.unflattened_size)
                shape = (channels, height, width)
                order, last = _order(shape), layers[-1]
                layers[-1] = replace(last, weight=last.weight[order], bias=last.bias[order])
            case nn.Flatten() | nn.Identity():
                pass
            case _:
                raise BadInput(
                    f"a page cannot run the layer {module}; export networks of kind=dcgan, or "
                    "use the folder that `ssgan export` writes without --html"
                )
    return tuple(layers)


def factor(layers: Iterable[Layer], inputs: Tensor) -> list[Layer]:
    """Split wide linear layers of a network in two, where that saves most of their weights.

    Kept are the principal components of what a layer makes of the inputs, float32 (n, in).
    """
    made: list[Layer] = []
    for layer in layers:
        outputs, width = layer.weight.shape[0], layer.weight.shape[-1]
        wide = layer.kind == "linear" and _RANK * (outputs + width) * _WORTH <= outputs * width
        made += _factored(layer, inputs) if wide else [layer]
        inputs = layer(inputs)
    return made


def _factored(layer: Layer, inputs: Tensor) -> list[Layer]:
    made = inputs @ layer.weight.T
    mean = made.mean(dim=0)
    apart = (made - mean).double()
    kept = torch.linalg.eigh(apart.T @ apart).eigenvectors[:, -_RANK:].float()
    first = Layer("linear", kept.T @ layer.weight, torch.zeros(_RANK))
    bias = layer.bias + mean - kept @ (kept.T @ mean)
    return [first, replace(layer, weight=kept, bias=bias)]


def quantize(layers: Sequence[Layer]) -> tuple[QuantizedLayer, ...]:
    """Quantize a network: the first layer and small ones to 16 bits, all others to 8."""
    return tuple(
        layer.quantized(16 if k == 0 or layer.weight.numel() <= _SMALL else 8)
        for k, layer in enumerate(layers)
    )


def run(layers: Iterable[Layer | QuantizedLayer], x: Tensor) -> Tensor:
    """Compute layers one after the other, (B, in) to (B, out)."""
    for layer in layers:
        x = layer(x)
    return x


def _flat(modules: Iterable[nn.Module]) -> Iterable[nn.Module]:
    for module in modules:
        yield from _flat(module) if isinstance(module, nn.Sequential) else (module,)


def _order(shape: tuple[int, int, int]) -> Tensor:
    """Return where, in a flat feature map of CHW order, each number of HWC order is."""
    return torch.arange(math.prod(shape)).reshape(shape).permute(1, 2, 0).flatten()


def _bias(module: nn.Module, outputs: int) -> Tensor:
    bias = module.bias
    return bias.detach() if isinstance(bias, Tensor) else torch.zeros(outputs)


def _is_plain(module: nn.Conv2d | nn.ConvTranspose2d, shape: tuple[int, int, int]) -> bool:
    """Whether a convolution is square, and needs no more than kernel, stride and padding."""
    sizes = (module.kernel_size, module.stride, module.padding, shape[1:])
    return (
        all(not isinstance(size, str) and size[0] == size[1] for size in sizes)
        and (module.groups, *module.dilation, *module.output_padding) == (1, 1, 1, 0, 0)
        and module.padding_mode == "zeros"
    )


def _convolution(
    module: nn.Conv2d | nn.ConvTranspose2d, shape: tuple[int, int, int]
) -> tuple[Layer, tuple[int, int, int]]:
    """Return the layer of a plain convolution, and the shape of what it makes."""
    side, kernel = shape[1], module.kernel_size[0]
    stride, padding = module.stride[0], int(module.padding[0])
    weight = module.weight.detach()
    if isinstance(module, nn.ConvTranspose2d):
        kind: Literal["conv", "deconv"] = "deconv"
        weight, made = weight.permute(2, 3, 0, 1), (side - 1) * stride - 2 * padding + kernel
    else:
        kind = "conv"
        weight, made = weight.permute(2, 3, 1, 0), (side + 2 * padding - kernel) // stride + 1
    bias = _bias(module, module.out_channels)
    layer = Layer(kind, weight, bias, side=side, stride=stride, padding=padding)
    return layer, (module.out_channels, made, made)
