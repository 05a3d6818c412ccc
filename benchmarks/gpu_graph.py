"""The whole update as CUDA graphs (a prototype), and the phases of `benchmarks.gpu` about it."""

import math
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.optim import Adam

from benchmarks.gpu_setup import (
    AUGMENTED,
    CPU,
    EXACT_RATES,
    MODES,
    Bench,
    Mode,
    Result,
    allow_tf32,
    deterministic_cudnn,
    differing,
    failure,
    run_updates,
    tensors_of,
)
from ssgan.experiment.tree import Experiment
from ssgan.method.augment import affine_maps_each, augment, draw_affine
from ssgan.method.optimizer import Weights
from ssgan.training.state import Training
from ssgan.training.step import AffineMaps, StepInput

_EPOCH = 40  # updates whose tables are uploaded at once
_STREAMS = ("latents", "augment", "augmentation", "instance noise")


class UpdateGraphs:
    """`Training.update` as CUDA graphs: draws, D's half, G's half, average and bookkeeping.

    There is one graph for updates with a labeled batch and one for those without. What differs from
    update to update is on the device beforehand: rows and scalars are tables of an epoch, of which
    the graph reads the row at a counter that it moves itself; random streams are generators that
    are registered with the graph and seeded again before each replay. It stands on private parts of
    `Training` and `Batches`.
    """

    def __init__(self, training: Training, experiment: Experiment, updates: int) -> None:
        """Prepare a training for capture: its rates become tensors, its Adam capturable.

        Args:
            training: Is updated in place from here on.
            experiment: The training's own, without instance noise, of unit `separate`.
            updates: Length of the tables.
        """
        self.training, self._experiment, self._updates = training, experiment, updates
        batches, device = training.batches, training.device
        self._size, self._own_size = experiment.training.batch_size, batches._config.batch_size
        self._y, self._take = batches.y.to(device), batches._take
        self._unknown = torch.full((self._size, self._y.shape[1]), math.nan, device=device)
        self._index = torch.zeros((), dtype=torch.long, device=device)
        self._rows = torch.zeros(updates, self._size, dtype=torch.long, device=device)
        self._own_rows = torch.zeros(updates, self._own_size, dtype=torch.long, device=device)
        self._scalars = torch.zeros(updates, len(Weights._fields) + 2, device=device)
        self._weights = Weights(*(torch.zeros((), device=device) for _ in Weights._fields))
        self._generators = {name: torch.Generator(device=device) for name in _STREAMS}
        self._graphs: dict[bool, torch.cuda.CUDAGraph] = {}
        step = training.step
        step.d_optimizer = _capturable(step.d_optimizer, self._weights.d_lr)
        step.g_optimizer = _capturable(step.g_optimizer, self._weights.g_lr)
        self.fill(0)

    def fill(self, first: int) -> None:
        """Upload all that the host decides for the updates from `first` on, and go to it."""
        training, batches = self.training, self.training.batches
        rows, own_rows, scalars, self._coins = [], [], [], []
        for update in range(first, first + self._updates):
            size, own_size, labeled = self._size, self._own_size, batches._labeled
            rows.append(batches._walk("all", len(self._y), update * size, size))
            walked = batches._walk("labelled", len(labeled), update * own_size, own_size)
            own_rows.append(labeled[walked])
            probability = training.label_probability(update)
            self._coins.append(training.streams.coin("coin", update, probability))
            images_seen = training.clock(update + 1).images_seen
            ema = training.ema.weight(self._size, images_seen)
            scalars.append([*training.weights(update), ema, float(update)])
        self._rows.copy_(torch.stack(rows))
        self._own_rows.copy_(torch.stack(own_rows))
        self._scalars.copy_(torch.tensor(scalars))
        self._first = first
        self.go_to(0)

    def go_to(self, position: int) -> None:
        """Make the update at this position of the tables the next one."""
        self._position = position
        self._index.fill_(position)

    def eager(self) -> None:
        """Make the next update without a graph, by the same operators."""
        self._seed()
        self._body(self._coins[self._position])
        self._position += 1

    def replay(self) -> None:
        """Make the next update by a graph."""
        self._seed()
        self._graphs[self._coins[self._position]].replay()
        self._position += 1

    def capture(self) -> dict[str, float]:
        """Capture both graphs, in one memory pool; nothing is computed.

        Returns:
            The seconds that each took.
        """
        seconds, pool = {}, None
        for labeled in (False, True):
            started = time.perf_counter()
            graph = torch.cuda.CUDAGraph()
            for generator in self._generators.values():
                graph.register_generator_state(generator)
            self._seed()
            with torch.cuda.graph(graph, pool=pool):
                self._body(labeled)
            pool = pool or graph.pool()
            self._graphs[labeled] = graph
            torch.cuda.synchronize()
            seconds[f"labeled={labeled}"] = round(time.perf_counter() - started, 2)
        return seconds

    def _seed(self) -> None:
        """Give every stream its key of the next update."""
        for name, generator in self._generators.items():
            key = self.training.streams.key(name, self._first + self._position)
            generator.manual_seed(key)

    def _body(self, labeled: bool) -> None:
        """Make one update from the tables, without a look at a value from the host."""
        training, weights = self.training, self._weights
        *scalars, ema, update = self._pick(self._scalars).unbind()
        for target, value in zip(weights, scalars, strict=True):
            target.copy_(value)
        inputs = self._draw(labeled)
        losses = training.step(inputs, weights).values()
        training._losses += losses
        found = torch.where(torch.isfinite(losses), math.inf, update)
        torch.minimum(training._not_finite_at, found, out=training._not_finite_at)
        present = [parameter.detach() for parameter in training.step.generator.parameters()]
        away = torch._foreach_sub(present, training.ema.parameters)
        torch._foreach_mul_(away, ema)
        torch._foreach_add_(training.ema.parameters, away)
        self._index += 1

    def _draw(self, labeled: bool) -> StepInput:
        """Draw as `Training.draw` does."""
        generators, maps = self._generators, AffineMaps()
        x, own = self._pixels(self._pick(self._rows)), None
        if labeled:
            rows = self._pick(self._own_rows)
            images, config = self._pixels(rows), self._experiment.label_sampling.augment
            if config is not None:
                draws = draw_affine(self._own_size, generators["augment"])
                images = augment(config, images, draws)
            own = images, self._y[rows]
        c, z = self.training._space.sample(self._size, generators["latents"])
        if (seen := self._experiment.augmentation) is not None:
            counts = [self._size] * 3 + [self._own_size] * labeled
            draws = [draw_affine(count, generators["augmentation"]) for count in counts]
            real, fake, fake_g, *of_own = affine_maps_each(seen, draws)
            maps = AffineMaps(real, of_own[0] if labeled else None, fake, fake_g)
        return StepInput(x, self._unknown, own, c, z, maps=maps)

    def _pick(self, table: Tensor) -> Tensor:
        return table.index_select(0, self._index[None])[0]

    def _pixels(self, rows: Tensor) -> Tensor:
        return self._take(rows).float().div_(255)


def _capturable(adam: Adam, lr: Tensor) -> Adam:
    """Return the same optimizer, state included, with a rate on the device."""
    (group,) = adam.param_groups
    made = Adam(group["params"], lr=lr, betas=group["betas"], fused=True, capturable=True)
    if adam.state:
        groups = made.state_dict()["param_groups"]
        made.load_state_dict({**adam.state_dict(), "param_groups": groups})
        made.param_groups[0]["lr"] = lr
    return made


def graph(bench: Bench) -> Iterator[Result]:
    """Capture the update in every mode: bits against the eager update, and speed."""
    if not bench.is_cuda:
        yield {"skipped": "no CUDA", **_body_on_cpu(bench)}
        return
    yield {"as_it_stands": _capture_shipped_step(bench)}
    for name, mode in {**MODES, "augmented fp32": Mode((AUGMENTED,))}.items():
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
    """Run the graph's body eagerly on the CPU: are its bits those of the shipped update?"""
    graphs = UpdateGraphs(
        bench.training(*EXACT_RATES, device=CPU), bench.experiment(*EXACT_RATES), 4
    )
    for _ in range(3):
        graphs.eager()
    shipped = run_updates(bench.training(*EXACT_RATES, device=CPU), 3)
    ours, theirs = (one.step.generator.state_dict() for one in (graphs.training, shipped))
    found = differing(ours, theirs)
    return {"body_on_cpu_equals_update": not found, "differing": found[:3]}


def _capture_shipped_step(bench: Bench) -> str:
    """Try to capture the step as it is; return what torch says."""
    training = run_updates(bench.training(), 3)
    inputs, weights = training.draw(), training.weights(training.updates)
    try:
        with _side_stream():
            training.step(inputs, weights)
        with torch.cuda.graph(torch.cuda.CUDAGraph()):
            training.step(inputs, weights)
    except Exception as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"
    return "captured"


def _measure(bench: Bench, mode: Mode) -> Result:
    """Compare graph, eager body and shipped update by bits, then time the graph."""
    warm_up, compared = 4, 10
    overrides = (*EXACT_RATES, *mode.overrides)
    training = bench.training(*overrides, channels_last=mode.channels_last)
    graphs = UpdateGraphs(training, bench.experiment(*overrides), _EPOCH)
    with _side_stream():
        for _ in range(warm_up):
            graphs.eager()
    torch.cuda.synchronize()
    saved = _clone(training)
    seconds = graphs.capture()
    _restore(training, saved)
    graphs.go_to(warm_up)
    for _ in range(compared):
        graphs.replay()
    torch.cuda.synchronize()
    by_graph = _clone(training)
    _restore(training, saved)
    graphs.go_to(warm_up)
    with _side_stream():
        for _ in range(compared):
            graphs.eager()
    torch.cuda.synchronize()
    unlike_eager = differing(by_graph, tensors_of(training.state()))
    shipped = run_updates(
        bench.training(*overrides, channels_last=mode.channels_last), warm_up + compared
    )
    pairs = {
        "G": (shipped.step.generator, training.step.generator),
        "D": (shipped.step.discriminator, training.step.discriminator),
    }
    unlike_shipped = {
        name: len(differing(*(network.state_dict() for network in pair)))
        for name, pair in pairs.items()
    }
    times = []
    for _ in range(5):
        graphs.fill(warm_up)
        torch.cuda.synchronize()
        started = time.perf_counter()
        for _ in range(_EPOCH):
            graphs.replay()
        host = time.perf_counter() - started
        torch.cuda.synchronize()
        times.append((time.perf_counter() - started) / _EPOCH)
    started = time.perf_counter()
    graphs.fill(warm_up)
    torch.cuda.synchronize()
    fill = time.perf_counter() - started
    batch_size = bench.experiment(*overrides).training.batch_size
    return {
        "capture_s": seconds,
        "update_ms": round(statistics.median(times) * 1e3, 3),
        "min_ms": round(min(times) * 1e3, 3),
        "host_ms": round(host / _EPOCH * 1e3, 3),
        "images_per_s": round(batch_size / statistics.median(times)),
        "fill_ms_per_update": round(fill / _EPOCH * 1e3, 3),
        "replay_equals_eager_body": not unlike_eager,
        "replay_differs_in": unlike_eager[:3],
        "tensors_unlike_shipped_update": unlike_shipped,
    }


@contextmanager
def _side_stream() -> Iterator[None]:
    """Compute on another stream, as is needed before a capture; the current one waits for it."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        yield
    torch.cuda.current_stream().wait_stream(side)


def _clone(training: Training) -> dict[str, Tensor]:
    return {path: tensor.clone() for path, tensor in tensors_of(training.state()).items()}


def _restore(training: Training, saved: dict[str, Tensor]) -> None:
    for path, tensor in tensors_of(training.state()).items():
        tensor.copy_(saved[path])


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
                overrides = (*mode.overrides, f"seed={seed}")
                graphs = UpdateGraphs(
                    bench.training(*overrides), bench.experiment(*overrides), _EPOCH
                )
                with _side_stream():
                    for _ in range(3):
                        graphs.eager()
                torch.cuda.synchronize()
                graphs.capture()
                made.append((graphs, torch.cuda.Stream()))
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


def _together(trials: list[tuple[UpdateGraphs, torch.cuda.Stream]]) -> float:
    """Return the seconds of one update of every trial, over an epoch of rounds."""
    for graphs, _ in trials:
        graphs.go_to(0)
    torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(_EPOCH):
        for graphs, stream in trials:
            with torch.cuda.stream(stream):
                graphs.replay()
    torch.cuda.synchronize()
    return (time.perf_counter() - started) / _EPOCH
