"""Phases of `benchmarks.gpu` about time: machine, synchronizations, speed, launches, compile."""

import collections
import platform
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu_setup import (
    AUGMENTED,
    BFLOAT16,
    GRAPH,
    MNIST,
    MODES,
    NOISE,
    RUNS,
    Bench,
    Result,
    allow_tf32,
    failure,
    run_updates,
)

_SIZES = {
    "mnist b128": (MNIST, ()),
    "mnist b1024": (MNIST, ("training.batch_size=1024", "label_sampling.batch_size=1024")),
    "32px w64 b128": ((3, 32, 32), ("networks.width=64", "networks.hidden=1024")),
}
_RANGES = ("Optimizer", "ProfilerStep", "autograd::", "## ")  # events that name other events
_CALLS = (
    "cudaLaunch",
    "cuLaunch",
    "cudaMemcpy",
    "cudaMemset",
    "cudaStreamSync",
    "cudaDeviceSync",
    "cudaEventSync",
)


def environment(bench: Bench) -> Iterator[Result]:
    """Versions, the card, and what it does at best."""
    found: Result = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cpu_threads": torch.get_num_threads(),
    }
    if not bench.is_cuda:
        yield found | {"gpu": None}
        return
    found |= {"gpu": torch.cuda.get_device_name(), "cudnn": torch.backends.cudnn.version()}
    source = torch.randn(2**28, device=bench.device)  # 1 GiB
    target = torch.empty_like(source)
    milliseconds = _event_ms(lambda: target.copy_(source), 10)
    found["copy_GBps"] = round(2 * source.numel() * 4 / milliseconds / 1e6)
    square = torch.randn(8192, 8192, device=bench.device, dtype=torch.bfloat16)
    found["bf16_TFLOPs"] = round(2 * 8192**3 / _event_ms(lambda: square @ square, 5) / 1e9)
    scalar = torch.zeros((), device=bench.device)
    whole, host = bench.time(lambda: scalar.add_(1), 5000)
    found |= {"enqueue_us_per_op": round(host * 1e6, 2), "op_us": round(whole * 1e6, 2)}
    yield found


def _event_ms(call: Callable[[], object], repeats: int) -> float:
    """Return the milliseconds a call takes on the device."""
    call()
    torch.cuda.synchronize()
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(repeats):
        call()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end) / repeats


def synchronizations(bench: Bench) -> Iterator[Result]:
    """Lines at which the host waits for the device, by torch.cuda.set_sync_debug_mode."""
    if not bench.is_cuda:
        yield {"skipped": "no CUDA"}
        return
    runs = {"plain": (), "augmented, noise": (AUGMENTED, NOISE), "graph": (GRAPH,)}
    for run, overrides in runs.items():
        training = run_updates(bench.training(*overrides), 12)
        bench.wait()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                run_updates(training, 5)
                in_updates = len(caught)
                training.find_not_finite()
                training.take_losses()
            finally:
                torch.cuda.set_sync_debug_mode("default")
        where = collections.Counter(
            f"{one.filename.rsplit('ssgan/', 1)[-1]}:{one.lineno}" for one in caught
        )
        yield {"run": run, "in_5_updates": in_updates, "where": dict(where.most_common(12))}


def speed(bench: Bench) -> Iterator[Result]:
    """Images a second of the whole update, of the step alone, and the host's share of both."""
    warm_up, repeats = (1, 2) if bench.small else (15, 60)
    sizes = dict(list(_SIZES.items())[:1]) if bench.small else _SIZES
    for size, (shape, more) in sizes.items():
        for name, mode in MODES.items():
            if bench.left < 60 and size != "mnist b128":
                return
            overrides = (*mode.overrides, *more)
            if bench.is_cuda:
                torch.cuda.reset_peak_memory_stats()
            with allow_tf32(mode.tf32):
                training = bench.training(*overrides, shape=shape, channels_last=mode.channels_last)
                run_updates(training, warm_up)
                whole, host = bench.time(training.update, repeats)
                inputs, weights = training.draw(), training.weights(training.updates)
                step, step_host = bench.time(partial(training.step, inputs, weights), repeats)
                draw, _ = bench.time(training.draw, repeats)
            batch_size = bench.experiment(*overrides).training.batch_size
            peak = round(torch.cuda.max_memory_allocated() / 2**20) if bench.is_cuda else None
            yield {
                "size": size,
                "mode": name,
                "images_per_s": round(batch_size / whole),
                "update_ms": round(whole * 1e3, 3),
                "enqueue_ms": round(host * 1e3, 3),
                "step_ms": round(step * 1e3, 3),
                "step_enqueue_ms": round(step_host * 1e3, 3),
                "draw_ms": round(draw * 1e3, 3),
                "peak_MiB": peak,
            }


def launches(bench: Bench) -> Iterator[Result]:
    """Kernels, copies and synchronizations of an update, by the profiler."""
    warm_up, updates = (1, 2) if bench.small else (6, 4)
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if bench.is_cuda else [])]
    for run, overrides in RUNS.items():
        training = run_updates(bench.training(*overrides), warm_up)
        bench.wait()
        with profile(activities=activities) as profiled:
            run_updates(training, updates)
            bench.wait()
        counts, busy = _count(profiled.events())
        yield {
            "run": run,
            "per_update": {name: round(count / updates, 2) for name, count in counts.items()},
            "gpu_busy_ms": round(sum(busy.values()) / updates / 1e3, 3),
            "top_us": {name: round(us / updates) for name, us in busy.most_common(10)},
        }


def _count(events: Iterable[object]) -> tuple[collections.Counter[str], collections.Counter[str]]:
    """Count events by kind, and add up the device's microseconds by the kernel's name."""
    counts: collections.Counter[str] = collections.Counter()
    busy: collections.Counter[str] = collections.Counter()
    for event in events:
        name = event.name  # type: ignore[attr-defined]
        if name.startswith(_RANGES):
            continue
        if "cuda" in str(event.device_type).lower():  # type: ignore[attr-defined]
            kinds = [kind for kind in ("memcpy", "memset") if kind in name.lower()]
            counts[kinds[0] if kinds else "kernel"] += 1
            if kinds == ["memcpy"]:
                counts[name.strip()[:40]] += 1  # from where to where
            busy[name[:70]] += event.time_range.elapsed_us()  # type: ignore[attr-defined]
        elif name.startswith(_CALLS):
            counts[name] += 1
        elif name.startswith("aten::"):
            counts["aten ops"] += 1
    return counts, busy


def compiled(bench: Bench) -> Iterator[Result]:
    """torch.compile of G's layers and D's trunk; the rest of the update stays eager."""
    if not bench.is_cuda or bench.left < 100:
        yield {"skipped": "no CUDA, or too little time left"}
        return
    for mode in ("default", "reduce-overhead"):
        if bench.left < 70:
            return
        options = {} if mode == "default" else {"mode": mode}
        try:
            with allow_tf32(False):
                training = bench.training(BFLOAT16)
                started = time.perf_counter()
                generator, discriminator = training.step.generator, training.step.discriminator
                generator.layers = torch.compile(generator.layers, dynamic=False, **options)
                trunk = torch.compile(discriminator._trunk, dynamic=False, **options)
                discriminator._trunk = trunk
                run_updates(training, 4)
                bench.wait()
                first = time.perf_counter() - started
                whole, host = bench.time(training.update, 40)
        except Exception as error:
            yield {"mode": mode, **failure(error)}
            continue
        yield {
            "mode": mode,
            "first_updates_s": round(first, 1),
            "update_ms": round(whole * 1e3, 3),
            "enqueue_ms": round(host * 1e3, 3),
        }
