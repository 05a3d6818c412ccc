import torch

from ssgan.base.threads import use_threads


def test_threads_are_given_back() -> None:
    before = torch.get_num_threads()
    with use_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
