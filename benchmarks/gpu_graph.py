"""The update as CUDA graphs, and the phases of `benchmarks.gpu` about it."""

import statistics
import time
from collections.abc import Iterator

import torch

from benchmarks.gpu_setup import (
    AUGMENTED,
    CPU,
    EXACT_RATES,
    GRAPH,
    MODES,
    NOISE,
    Bench,
    Mode,
    Result,
    allow_tf32,
    deterministic_cudnn,
    differing,
    failure,
    run_updates,
)
from ssgan.training.execution import Graphs
from ssgan.training.state import Training

_CAPTURED = 12  # updates after which there is a graph of each kind
_EPOCH = 40  # updates that are timed at once
_CONSISTENCY = "objective.consistency={fairness: 0.5, strong: {cut: 0.3}}"


def graph(bench: Bench) -> Iterator[Result]:
    """Make updates by graphs in every mode: bits against the eager update, and speed."""
    if not bench.is_cuda:
        yield {"skipped": "no CUDA", **_body_on_cpu(bench)}
        return
    ways = {
        **MODES,
        "augmented fp32": Mode((AUGMENTED,)),
        "noise, consistency fp32": Mode((NOISE, _CONSISTENCY)),
    }
    for name, mode in ways.items():
        if bench.left < 45:
            return
        try:
            with deterministic_cudnn(), allow_tf32(mode.tf32):
                found = _measure(bench, mode)
        except Exception as error:
            found = failure(error)
        torch.cuda.empty_cache()
        yield {"mode": name, **found}


def _body_on_cpu(bench: Bench) -> Result:
    """Make updates as graphs are made, but for the capture: are the bits those of eager ones?"""
    training, eager = (bench.training(*EXACT_RATES, device=CPU) for _ in range(2))
    training._execution = Graphs(
        training.streams,
        CPU,
        training._changed_tensors,
        lambda call, generators: call,
        is_strict=True,
    )
    run_updates(training, _CAPTURED)
    found = differing(training.state(), run_updates(eager, _CAPTURED).state())
    return {"body_on_cpu_equals_update": not found, "differing": found[:3]}


def _measure(bench: Bench, mode: Mode) -> Result:
    """Compare graphs with the eager update by bits, then time them."""
    overrides = mode.overrides
    made = [
        bench.training(*overrides, *how, channels_last=mode.channels_last) for how in ((GRAPH,), ())
    ]
    started = time.perf_counter()
    by_graph = run_updates(made[0], _CAPTURED)
    torch.cuda.synchronize()
    captured = time.perf_counter() - started
    found = differing(by_graph.state(), run_updates(made[1], _CAPTURED).state())
    times, hosts = [], []
    for _ in range(5):
        torch.cuda.synchronize()
        started = time.perf_counter()
        run_updates(by_graph, _EPOCH)
        hosts.append((time.perf_counter() - started) / _EPOCH)
        torch.cuda.synchronize()
        times.append((time.perf_counter() - started) / _EPOCH)
    batch_size = bench.experiment(*overrides).training.batch_size
    return {
        "first_updates_s": round(captured, 2),
        "update_ms": round(statistics.median(times) * 1e3, 3),
        "min_ms": round(min(times) * 1e3, 3),
        "host_ms": round(statistics.median(hosts) * 1e3, 3),
        "images_per_s": round(batch_size / statistics.median(times)),
        "equals_eager": not found,
        "differs_in": found[:3],
    }


def trials(bench: Bench) -> Iterator[Result]:
    """Several trials on one GPU, in one process: each has its graphs, on a stream of its own."""
    if not bench.is_cuda:
        yield {"skipped": "no CUDA"}
        return
    for name in ("tf32", "bf16"):
        mode = MODES[name]
        with allow_tf32(mode.tf32):
            made = []
            for seed in range(8):
                if bench.left < 30:
                    return
                training = bench.training(*mode.overrides, GRAPH, f"seed={seed}")
                made.append((run_updates(training, _CAPTURED), torch.cuda.Stream()))
            torch.cuda.synchronize()
            found = [_together(made[:count]) for count in (1, 2, 4, 8)]
        batch_size = bench.experiment(*mode.overrides).training.batch_size
        allocated = round(torch.cuda.memory_allocated() / 2**20)
        made.clear()
        torch.cuda.empty_cache()
        for count, seconds in zip((1, 2, 4, 8), found, strict=True):
            yield {
                "mode": name,
                "trials": count,
                "round_ms": round(seconds * 1e3, 3),
                "images_per_s_all": round(batch_size * count / seconds),
                "allocated_MiB": allocated,
            }


def _together(trials: list[tuple[Training, torch.cuda.Stream]]) -> float:
    """Return the seconds of one update of every trial, over an epoch of rounds."""
    torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(_EPOCH):
        for training, stream in trials:
            with torch.cuda.stream(stream):
                training.update()
    torch.cuda.synchronize()
    return (time.perf_counter() - started) / _EPOCH
