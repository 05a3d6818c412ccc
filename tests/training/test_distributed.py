"""Workers alone, and two of them joined by gloo; this file is also the program that each runs."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ssgan.networks.batch_norm import rank_buffers
from ssgan.training.distributed import Worker

CPU = torch.device("cpu")


def test_without_a_process_group_a_worker_stands_alone() -> None:
    worker = Worker.join(CPU)
    assert (worker.rank, worker.world_size, worker.device) == (0, 1, CPU)
    assert worker.is_main
    module = nn.BatchNorm1d(2)
    assert worker.wrap(module) is module
    values = torch.tensor([1.0, -2.0])
    assert worker.maximum(values) is values
    assert worker.mean(values) is values
    assert values.tolist() == [1, -2]
    assert worker.any(True)
    assert not worker.any(False)
    assert worker.gather(values).tolist() == [[1, -2]]
    called: list[int] = []
    worker.wait(lambda: called.append(1))
    worker.wait()
    assert called == [1]


def test_only_rank_zero_leads() -> None:
    assert [Worker(rank, 3, CPU).is_main for rank in range(3)] == [True, False, False]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What two workers found out together."""
    folder = tmp_path_factory.mktemp("ranks")
    processes = [
        subprocess.Popen([sys.executable, __file__, str(rank), str(folder)]) for rank in range(2)
    ]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


def test_workers_know_their_places(ranks: list[dict[str, Any]]) -> None:
    assert [found["place"] for found in ranks] == [[0, 2, True], [1, 2, False]]


def test_maximum_and_mean_are_taken_over_workers(ranks: list[dict[str, Any]]) -> None:
    for found in ranks:
        assert found["maximum"] == [1.0, 5.0]
        assert found["mean"] == [0.5, 2.5]


def test_values_are_gathered_in_the_order_of_ranks(ranks: list[dict[str, Any]]) -> None:
    for found in ranks:
        assert found["gathered"] == [[0.0, 5.0], [1.0, 0.0]]


def test_one_raised_flag_is_enough(ranks: list[dict[str, Any]]) -> None:
    for found in ranks:
        assert found["any"] == [True, False]


def test_gradients_are_means_over_workers(ranks: list[dict[str, Any]]) -> None:
    for found in ranks:
        assert found["gradient"] == [[1.5, 1.0]]  # of [1, 2] and [2, 0]


def test_running_statistics_are_kept_apart_until_they_are_averaged(
    ranks: list[dict[str, Any]],
) -> None:
    assert ranks[0]["before"] != ranks[1]["before"]
    for found in ranks:
        assert found["after"] == pytest.approx([0.05, 1.0, 2.0])  # (0.0 + 0.1) / 2, and so on


def test_the_others_wait_for_the_lead(ranks: list[dict[str, Any]]) -> None:
    assert [found["done"] for found in ranks] == [[0], []]
    assert all(found["saw"] for found in ranks)


def main(rank: int, folder: Path) -> None:
    """Be one of two workers."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/group", rank=rank, world_size=2)
    worker = Worker.join(CPU)
    found: dict[str, Any] = {"place": [worker.rank, worker.world_size, worker.is_main]}
    values = torch.tensor([float(rank), 5.0 * (1 - rank)])
    found["gathered"] = worker.gather(values).tolist()
    found["mean"] = worker.mean(values.clone()).tolist()
    found["maximum"] = worker.maximum(values).tolist()
    found["any"] = [worker.any(rank == 1), worker.any(False)]

    module = nn.Linear(2, 1, bias=False)
    wrapped = worker.wrap(module)
    assert isinstance(wrapped, DistributedDataParallel)
    wrapped(torch.tensor([[1.0, 2.0]] if rank == 0 else [[2.0, 0.0]])).sum().backward()
    assert module.weight.grad is not None
    found["gradient"] = module.weight.grad.tolist()

    norm = nn.BatchNorm1d(1)
    together = worker.wrap(norm)
    scale = torch.tensor([[-1.0], [1.0]]) * (0.5 if rank == 0 else 1.0) + rank
    together(scale)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    found["before"] = norm.running_mean.tolist()
    norm.running_var.fill_(0.5 + rank)
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.fill_(2)
    for buffer in rank_buffers(norm):
        worker.mean(buffer)
    found["after"] = [
        norm.running_mean.item(),
        norm.running_var.item(),
        float(norm.num_batches_tracked.item()),
    ]

    done: list[int] = []
    worker.wait(lambda: (done.append(rank), (folder / "led").touch()))
    found |= {"done": done, "saw": os.path.exists(folder / "led")}
    (folder / f"{rank}.json").write_text(json.dumps(found))
    dist.barrier()  # a rank that leaves early can make gloo abort the other
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
