"""Phases of `benchmarks.gpu` about numbers: parity, determinism, resume, and a run that learns."""

import io
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.gpu_setup import (
    AUGMENTED,
    CPU,
    GRAPH,
    NOISE,
    RUNS,
    Bench,
    Result,
    allow_tf32,
    deterministic_cudnn,
    differing,
    run_updates,
    tensors_of,
)
from benchmarks.synthetic import SPACE
from ssgan.data.dataset import Dataset
from ssgan.data.store import prepare
from ssgan.evaluation.evaluator import Evaluator
from ssgan.experiment.loading import load_experiment
from ssgan.networks.precision import Precision
from ssgan.training.distributed import Worker
from ssgan.training.snapshot import take_snapshot
from ssgan.training.state import Training
from ssgan.training.step import AffineMaps, StepInput, TrainingStep


class _Way(NamedTuple):
    """A way to compute the step that is compared with float64 on the CPU."""

    name: str
    device: torch.device
    dtype: torch.dtype = torch.float32
    precision: Precision = "float32"
    tf32: bool = False
    channels_last: bool = False

    @property
    def tolerance(self) -> float:
        """The largest error of a loss that rounding explains."""
        if self.dtype == torch.float64:
            return 1e-8
        return 5e-2 if self.tf32 or self.precision == "bfloat16" else 2e-5


def parity(bench: Bench) -> Iterator[Result]:
    """The same three inputs through the step in every way; float64 on the CPU is the reference."""
    ways = [_Way("cpu fp32", CPU)]
    if bench.is_cuda:
        cuda = bench.device
        ways += [
            _Way("cuda fp64", cuda, torch.float64),
            _Way("cuda fp32", cuda),
            _Way("cuda tf32", cuda, tf32=True),
            _Way("cuda bf16", cuda, precision="bfloat16"),
            _Way("cuda bf16 channels_last", cuda, precision="bfloat16", channels_last=True),
        ]
    for overrides in ((), (AUGMENTED, NOISE)):
        drawer = bench.training(*overrides, device=CPU)
        weights, drawn = drawer.weights(0), []
        for _ in range(3):
            drawn.append(drawer.draw())
            drawer.updates += 1
        reference = _Way("reference", CPU, torch.float64)
        step = _step(bench, overrides, reference)
        expected = [step(_cast(drawn[0], reference), weights).values()]
        d_exact, g_exact = _gradients(step.discriminator), _gradients(step.generator)
        expected += [step(_cast(inputs, reference), weights).values() for inputs in drawn[1:]]
        for way in ways:
            with allow_tf32(way.tf32):
                step = _step(bench, overrides, way)
                found = [step(_cast(drawn[0], way), weights).values()]
                d_error = float((_gradients(step.discriminator) - d_exact).norm() / d_exact.norm())
                g_error = float((_gradients(step.generator) - g_exact).norm() / g_exact.norm())
                found += [step(_cast(inputs, way), weights).values() for inputs in drawn[1:]]
            errors = [
                float((ours.double().cpu() - exact).abs().max())
                for ours, exact in zip(found, expected, strict=True)
            ]
            is_exact = way.dtype == torch.float64
            yield {
                "way": way.name,
                "augmented": bool(overrides),
                "loss_error_by_update": [f"{error:.1e}" for error in errors],
                "relative_error_of_gradients": {"D": f"{d_error:.1e}", "G": f"{g_error:.1e}"},
                "ok": (errors[-1] if is_exact else errors[0]) < way.tolerance,
            }


def _step(bench: Bench, overrides: Iterable[str], way: _Way) -> TrainingStep:
    """Build the step with the weights of seed 0."""
    source = bench.training(*overrides, device=CPU, channels_last=way.channels_last).step
    return TrainingStep(
        source.generator.to(way.device, way.dtype),
        source.discriminator.to(way.device, way.dtype),
        SPACE,
        bench.experiment(*overrides).optimizer,
        precision=way.precision,
    )


def _cast(inputs: StepInput, way: _Way) -> StepInput:
    """Move all tensors of an input to a way's device and dtype."""

    def moved(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor.to(way.device, way.dtype)

    fields = {
        name: moved(value)
        for name, value in inputs._asdict().items()
        if name not in ("labeled", "maps")
    }
    labeled = inputs.labeled and tuple(map(moved, inputs.labeled))
    return StepInput(**fields, labeled=labeled, maps=AffineMaps(*map(moved, inputs.maps)))


def _gradients(network: nn.Module) -> Tensor:
    """Return a copy of all gradients that the last update left, float64 (parameters,)."""
    found = [parameter.grad for parameter in network.parameters()]
    return torch.cat([grad.detach().double().cpu().flatten() for grad in found if grad is not None])


def determinism(bench: Bench) -> Iterator[Result]:
    """Two runs of one seed, bit for bit, and the operators that torch calls nondeterministic."""
    updates = 3 if bench.small else 30
    for run, overrides in RUNS.items():
        for on in (False, True):
            with deterministic_cudnn(on):
                one, other = (
                    run_updates(bench.training(*overrides), updates).state() for _ in range(2)
                )
                found = differing(one, other)
            yield {
                "run": run,
                "cudnn_deterministic": on,
                "updates": updates,
                "bit_equal": not found,
                "differing": len(found),
                "of": len(tensors_of(one)),
                "first": found[:3],
            }
        yield {"run": run, "torch_names_nondeterministic": _nondeterministic(bench, overrides)}


def _nondeterministic(bench: Bench, overrides: Iterable[str]) -> list[str]:
    """Return the operators of an update that torch warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            bench.training(*overrides).update()
            bench.wait()
        finally:
            torch.use_deterministic_algorithms(False)
    messages = [str(warning.message) for warning in caught]
    named = [text for text in messages if "determinis" in text]
    return sorted({text.split(" does not have")[0][-60:] for text in named})


def resume(bench: Bench) -> Iterator[Result]:
    """Some updates, saved and loaded elsewhere, then more on both sides, bit for bit."""
    before, after = (4, 3) if bench.small else (20, 10)
    runs = RUNS | ({"graph": (GRAPH,)} if bench.is_cuda else {})
    for run, overrides in runs.items():
        with deterministic_cudnn():
            one = run_updates(bench.training(*overrides), before)
            file = io.BytesIO()
            torch.save(one.state(), file)
            file.seek(0)
            other = bench.training(*overrides)
            other.load(torch.load(file, map_location="cpu", weights_only=True))
            found = differing(*(run_updates(each, after).state() for each in (one, other)))
        optimizers = {k: v for k, v in other.state().items() if "optimizer" in k}
        devices = {str(tensor.device) for tensor in tensors_of(optimizers).values()}
        yield {
            "run": run,
            "bit_equal": not found,
            "differing": found[:3],
            "optimizer_state_on": sorted(devices),
        }


def real_digits(bench: Bench) -> Iterator[Result]:
    """Two epochs of the preset `digits` on real images: does it learn on this device?"""
    with tempfile.TemporaryDirectory() as cache:
        overrides = ["training.steps_per_epoch=20"] if bench.small else []
        experiment = load_experiment("digits", overrides)
        store = prepare(experiment.data.source, Path(cache))
        dataset = Dataset.load(experiment.data, experiment.codes, store)
        training = Training(experiment, dataset, Worker(0, 1, bench.device))
        started = time.perf_counter()
        run_updates(training, 2 * experiment.training.steps_per_epoch)
        losses, trained = training.take_losses(), time.perf_counter()
        snapshot = take_snapshot(experiment, dataset, training.state(), bench.device)
        evaluator = Evaluator(experiment.evaluation, dataset, None, training.streams, bench.device)
        metrics = evaluator.evaluate(snapshot.generators, snapshot.discriminator).metrics
        yield {
            "updates": training.updates,
            "seconds": round(trained - started, 2),
            "not_finite": training.find_not_finite(),
            "losses": {name: round(value or 0.0, 3) for name, value in losses.items()},
            "q_ss_accuracy": metrics.get("q_ss_accuracy"),
            "evaluation_s": round(time.perf_counter() - trained, 2),
        }
