import pytest
import torch

from ssgan.data.memmap import place_images


def test_images_stay_mapped_for_the_cpu():
    images = torch.zeros(4, 1, 2, 2, dtype=torch.uint8)
    assert place_images(images, torch.device("cpu")) is images


@pytest.mark.parametrize(("free", "is_moved"), [(64, True), (63, False)])
def test_a_gpu_takes_images_that_leave_room(monkeypatch, free, is_moved):
    images = torch.zeros(4, 1, 2, 2, dtype=torch.uint8)  # 16 bytes, a quarter of 64
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 80 * 2**30))
    moved = []
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, device: moved.append(device) or tensor)
    place_images(images, torch.device("cuda", 1))
    assert moved == ([torch.device("cuda", 1)] if is_moved else [])
