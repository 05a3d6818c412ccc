"""Execution of updates: operator by operator, or as CUDA graphs, which a GPU need not wait for.

An update is a few hundred small operators, and the host takes longer to start them than a GPU takes
to compute them. A CUDA graph holds them all and is started at once. What differs from one update to
the next reaches it by memory: images and labels are copied to where it reads them, scalars are one
tensor, and each random stream is a generator that is seeded before every start. So a graph draws
the numbers that the same operators draw without it.

The body of an update is the same Python either way. It changes tensors in place and nothing else,
as a capture runs it without computing anything.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, cast

import torch
from torch import Tensor

from ssgan.base.rng import Streams
from ssgan.data.batches import RealBatch
from ssgan.method.optimizer import Weights

_FARTHEST = 0.05  # of how far a tensor moves; with other inputs it would be as far as it moves
_MOST_ASTRAY = 0.01  # of all numbers: those that move by rounding alone, as biases below BatchNorm

_log = logging.getLogger(__name__)


class Scalars(NamedTuple):
    """What an update multiplies by: numbers, or float32 () on the device that hold them."""

    weights: Weights
    """Weights of the objective's terms, and learning rates."""
    ema: float
    """Weight, in [0, 1], of the parameters after the update in the moving average."""
    update: float
    """The update's number, from 0."""
    noise: float | None
    """Standard deviation of instance noise; None for none."""


Body = Callable[[RealBatch, Scalars], None]
"""Makes one update from real images as they are, drawing from an `Execution`'s generators."""


class Execution(Protocol):
    """A way to execute the body of an update."""

    def generator(self, stream: str, update: int) -> torch.Generator:
        """Return the generator of a keyed stream for an update (`ssgan.base.rng.Streams`)."""

    def __call__(self, body: Body, real: RealBatch, scalars: Scalars) -> None:
        """Make an update."""


@dataclass(frozen=True)
class Eager:
    """Executes operator by operator."""

    streams: Streams
    device: torch.device

    def generator(self, stream: str, update: int) -> torch.Generator:
        return self.streams.generator(stream, update, self.device)

    def __call__(self, body: Body, real: RealBatch, scalars: Scalars) -> None:
        body(real, scalars)


class Capture(Protocol):
    """Makes something that can be repeated of a call."""

    def __call__(
        self, call: Callable[[], None], generators: Sequence[torch.Generator]
    ) -> Callable[[], None]:
        """Return what computes as the call would, again and again, drawing from the generators.

        Nothing is computed yet.
        """


class Graphs:
    """Executes as graphs, one for each kind of update: with and without a labeled batch, noise.

    The first update of a kind is made without a graph, which allocates what it needs; the second
    one is captured. It is then made by both ways from the same state. If they disagree, or if the
    body cannot be captured, all updates are made without graphs from then on.
    """

    def __init__(
        self,
        streams: Streams,
        device: torch.device,
        state: Callable[[], list[Tensor]],
        capture: Capture,
        *,
        is_strict: bool = False,
    ) -> None:
        """Prepare for capture.

        Args:
            streams: The run's.
            device: Where updates are computed.
            state: Returns all tensors that the body changes.
            capture: `cuda_graphs()`.
            is_strict: Raise `RuntimeError` rather than go on without graphs.
        """
        self._streams, self._device, self._state = streams, device, state
        self._capture, self._is_strict = capture, is_strict
        self._generators: dict[tuple[str, int], torch.Generator] = {}
        self._asked: Counter[str] = Counter()
        self._kinds: dict[Any, _Program | None] = {}
        self._is_off = False

    def generator(self, stream: str, update: int) -> torch.Generator:
        key = stream, self._asked[stream]  # who asks again gets the same numbers once more
        self._asked[stream] += 1
        if key not in self._generators:
            self._generators[key] = self._streams.generator(stream, update, self._device)
        return self._generators[key]

    def __call__(self, body: Body, real: RealBatch, scalars: Scalars) -> None:
        kind = _kind(real, scalars)
        self._seed(scalars)
        if self._is_off:
            body(real, scalars)
            return
        if kind not in self._kinds:
            self._kinds[kind] = None
            with _aside(self._device):
                body(real, scalars)
            return
        program = self._kinds[kind]
        if program is not None:
            program.fill(real, scalars)
            program.replay()
            return
        program = _Program(self._device, real, scalars)
        self._kinds[kind] = program
        before = [tensor.clone() for tensor in self._state()]
        by_graph: list[Tensor] = []
        try:
            program.capture(body, self._capture, [*self._generators.values()])
            self._seed(scalars)
            program.replay()
            by_graph = [tensor.clone() for tensor in self._state()]
        except RuntimeError as error:
            why = f"it cannot be captured: {error}"
        self._restore(before)
        self._seed(scalars)
        with _aside(self._device):
            body(real, scalars)
        if by_graph:
            astray = _astray(by_graph, self._state(), before)
            if astray <= _MOST_ASTRAY:
                return
            why = f"its graph moves {astray:.0%} of what is trained otherwise than its operators"
        if self._is_strict:
            raise RuntimeError(
                f"training.execution=graph: an update cannot be one, {why}; set it to auto or eager"
            )
        _log.warning("training goes on without CUDA graphs, as eager: %s", why)
        self._is_off = True

    def _seed(self, scalars: Scalars) -> None:
        """Give every stream its key of this update, and begin to count who asks for it."""
        self._asked.clear()
        for (stream, _), generator in self._generators.items():
            generator.manual_seed(self._streams.key(stream, int(scalars.update)))

    @torch.no_grad()
    def _restore(self, before: Sequence[Tensor]) -> None:
        for tensor, value in zip(self._state(), before, strict=True):
            tensor.copy_(value)


class _Program:
    """One kind of update as a graph, with the memory that it reads."""

    def __init__(self, device: torch.device, real: RealBatch, scalars: Scalars) -> None:
        self._table = _table(device, scalars)
        self._scalars = _named(self._table, scalars)
        self._real = _rebuilt(real, [tensor.clone() for tensor in _tensors(real)])
        self.replay: Callable[[], None] = lambda: None

    def capture(self, body: Body, capture: Capture, generators: Sequence[torch.Generator]) -> None:
        """Let `replay` make the update that the body makes of what is in the memory."""
        self.replay = capture(lambda: body(self._real, self._scalars), generators)

    def fill(self, real: RealBatch, scalars: Scalars) -> None:
        """Copy the inputs of another update of this kind."""
        for target, source in zip(_tensors(self._real), _tensors(real), strict=True):
            target.copy_(source, non_blocking=True)
        self._table.copy_(_table(self._table.device, scalars))


def cuda_graphs() -> Capture:
    """Return what captures CUDA graphs, all of them in one pool of memory."""
    pool = None

    def capture(
        call: Callable[[], None], generators: Sequence[torch.Generator]
    ) -> Callable[[], None]:
        nonlocal pool
        graph = torch.cuda.CUDAGraph()
        for generator in generators:
            graph.register_generator_state(generator)
        # Another thread may measure the epoch before meanwhile, as it likes.
        with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            call()
        pool = pool or graph.pool()
        return graph.replay

    return capture


@contextmanager
def numerics(device: torch.device, *, tf32: bool, deterministic: bool) -> Iterator[None]:
    """Let a GPU compute float32 in TF32 or not, and cuDNN choose among deterministic algorithms."""
    if device.type != "cuda":
        yield
        return
    cudnn, products = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, products.allow_tf32, cudnn.deterministic
    cudnn.allow_tf32, products.allow_tf32, cudnn.deterministic = tf32, tf32, deterministic
    try:
        yield
    finally:
        cudnn.allow_tf32, products.allow_tf32, cudnn.deterministic = before


@contextmanager
def _aside(device: torch.device) -> Iterator[None]:
    """Compute on another stream of a GPU, as is needed before a capture."""
    if device.type != "cuda":
        yield
        return
    current, side = torch.cuda.current_stream(device), torch.cuda.Stream(device)
    side.wait_stream(current)
    with torch.cuda.stream(side):
        yield
    current.wait_stream(side)


def _kind(real: RealBatch, scalars: Scalars) -> Any:
    shapes = tuple(tuple(tensor.shape) for tensor in _tensors(real))
    return shapes, real.labeled is None, real.weights is None, scalars.noise is None


def _tensors(real: RealBatch) -> list[Tensor]:
    weights = [] if real.weights is None else [real.weights]
    return [real.x, real.y, *(real.labeled or ()), *weights]


def _rebuilt(real: RealBatch, tensors: Sequence[Tensor]) -> RealBatch:
    x, y, *rest = tensors
    labeled = None if real.labeled is None else (rest.pop(0), rest.pop(0))
    return RealBatch(x, y, labeled, rest[0] if rest else None)


def _table(device: torch.device, scalars: Scalars) -> Tensor:
    """Put scalars into one float32 tensor on a device, without waiting for it."""
    numbers = [*scalars.weights, scalars.ema, scalars.update, scalars.noise or 0.0]
    values = torch.tensor(numbers, pin_memory=device.type == "cuda")
    return values.to(device, non_blocking=True)


def _named(table: Tensor, scalars: Scalars) -> Scalars:
    """Return the scalars that a table holds, by name, with noise where these have it."""
    *weights, ema, update, noise = cast(Any, table.unbind())
    return Scalars(Weights(*weights), ema, update, None if scalars.noise is None else noise)


def _astray(ours: Sequence[Tensor], theirs: Sequence[Tensor], before: Sequence[Tensor]) -> float:
    """Return the share of all numbers whose tensors two ways moved apart by `_FARTHEST` or more."""

    def distance(one: Tensor, other: Tensor) -> float:
        return float((one.double() - other.double()).masked_fill(one == other, 0).norm())

    apart = [distance(*pair) for pair in zip(ours, theirs, strict=True)]
    moved = [distance(*pair) for pair in zip(theirs, before, strict=True)]
    counts = [tensor.numel() for tensor in ours]
    is_astray = [not a <= _FARTHEST * m for a, m in zip(apart, moved, strict=True)]  # or not finite
    return sum(n for n, astray in zip(counts, is_astray, strict=True) if astray) / sum(counts)
