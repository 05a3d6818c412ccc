import pytest
import torch

from ssgan.data.memmap import Split, place_images

SPLIT = Split(torch.arange(16, dtype=torch.uint8).view(4, 1, 2, 2), torch.zeros(4, 0))  # 16 bytes


def test_images_stay_mapped_for_the_cpu():
    assert place_images(SPLIT, torch.device("cpu")) is SPLIT


def test_rows_are_copied_in_the_order_asked_for():
    taken = SPLIT.take(torch.tensor([3, 0, 3]))
    assert taken[:, 0, 0, 0].tolist() == [12, 0, 12]
    taken.zero_()
    assert SPLIT.images.sum() == sum(range(16))
    assert SPLIT.shape == (1, 2, 2)


@pytest.mark.parametrize(("free", "is_moved"), [(64, True), (63, False)])
def test_a_gpu_takes_images_that_leave_room(monkeypatch, free, is_moved):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 80 * 2**30))
    moved = []
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, device: moved.append(device) or tensor)
    placed = place_images(SPLIT, torch.device("cuda", 1))
    assert moved == ([torch.device("cuda", 1)] if is_moved else [])
    assert placed.labels is SPLIT.labels
