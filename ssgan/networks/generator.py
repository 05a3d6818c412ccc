"""The generator G(z, c)."""

from torch import Tensor, nn


class Generator(nn.Module):
    """G(z, c): layers from codes and noise to images; the last one has images in [0, 1]."""

    def __init__(self, *layers: nn.Module) -> None:
        """Take the layers, which map float32 (B, space.width) to float32 (B, C, H, W)."""
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, latents: Tensor) -> Tensor:
        """Synthesize x̃, float32 (B, C, H, W) in [0, 1], from latents, float32 (B, space.width)."""
        images: Tensor = self.layers(latents)
        return images
