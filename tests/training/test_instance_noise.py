import pytest
import torch

from ssgan.base.rng import Streams
from ssgan.training.instance_noise import BLOCK, draw_instance_noise

SHAPE = (1, 2, 2)


def drawn(images: range, batch_size: int, update: int = 3) -> torch.Tensor:
    def generator(stream: str) -> torch.Generator:
        return Streams(5).generator(stream, update)

    return draw_instance_noise(generator, 0.3, images, batch_size, SHAPE)


@pytest.mark.parametrize("batch_size", [8, BLOCK])
def test_a_batch_of_one_block_has_the_noise_of_its_stream(batch_size: int) -> None:
    generator = Streams(5).generator("instance noise", 3)
    expected = torch.randn((2, batch_size, *SHAPE), generator=generator) * 0.3
    assert torch.equal(drawn(range(batch_size), batch_size), expected)


@pytest.mark.parametrize("batch_size", [16, BLOCK, 2 * BLOCK, 3 * BLOCK + 48])
@pytest.mark.parametrize("world_size", [2, 8, 16])
def test_ranks_draw_parts_of_what_one_draws(batch_size: int, world_size: int) -> None:
    part = batch_size // world_size
    whole = drawn(range(batch_size), batch_size)
    parts = [drawn(range(r * part, (r + 1) * part), batch_size) for r in range(world_size)]
    assert torch.equal(torch.cat(parts, dim=1), whole)
    assert len(whole.flatten().unique()) > 0.99 * whole.numel()
    assert not torch.equal(whole, drawn(range(batch_size), batch_size, update=4))


@pytest.mark.parametrize(("world_size", "blocks"), [(1, 16), (16, 1), (64, 1)])
def test_a_rank_draws_the_blocks_of_its_images_only(
    world_size: int, blocks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    generator = Streams.generator

    def recorded(self: Streams, stream: str, *rest: object) -> torch.Generator:
        asked.append(stream)
        return generator(self, stream, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Streams, "generator", recorded)
    part = 16 * BLOCK // world_size
    last = world_size - 1
    drawn(range(last * part, (last + 1) * part), 16 * BLOCK)
    assert asked == ["instance noise", *(f"instance noise/{b}" for b in range(1, 16))][-blocks:]
