"""What training takes of memory and of computation, by arithmetic.

So sizes that fit no machine are found at once. Networks are built and run on torch's meta device,
which has shapes and no numbers. The figures of memory are lower bounds: what a process, its
libraries and the images take comes on top.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ssgan.base.errors import BadInput
from ssgan.experiment.tree import Experiment
from ssgan.method.codes import Code, LatentSpace
from ssgan.networks.architecture import Shape, build_networks, shapes_only

_FLOAT = 4  # bytes
_MATRIX = 2  # dimensions that a weight has at the least, where it is not BatchNorm's
_PER_PARAMETER = 4 * _FLOAT  # the parameter, its gradient, and two moments of Adam
_SMALLEST: Shape = (1, 8, 8)  # images, where those of the data are not known yet
_USUAL = 16_384  # images of a batch, for which what layers keep is not worth asking torch
_BEYOND = 2**63  # bytes that nothing can address


class Footprint(NamedTuple):
    """Bytes that training takes on all workers together, at the least."""

    parameters: int
    """Parameters of G and D, a number."""
    networks: int
    """Parameters with gradients and Adam's moments, of every worker, and the moving average."""
    batch: int
    """What one update keeps of a batch for its gradients."""

    @property
    def total(self) -> int:
        """All bytes."""
        return self.networks + self.batch


def estimate(experiment: Experiment, shape: Shape | None = None) -> Footprint | None:
    """Add up what training takes with images of a shape; None: the smallest there are.

    Returns None where the networks cannot be counted so: they fit no such images, or those of
    another package need real numbers to be built.
    """
    space = _narrowest(experiment)
    shape = shape or _SMALLEST
    workers = experiment.scaling.counts()[0]
    batch = experiment.training.batch_size
    own = experiment.label_sampling
    seen = 2 * batch + (own.batch_size if own.unit == "separate" else 0)
    seen += 0 if experiment.objective.consistency is None else batch
    try:
        with shapes_only():
            networks = build_networks(experiment.networks, space, shape)
            generator, discriminator = networks
            count_g, count_d = map(_parameters, networks)
            of_image = math.prod(shape) * _FLOAT
            kept = (batch + seen) * of_image
            if batch + seen > _USUAL:
                kept = batch * _kept(generator, generator, torch.empty(2, space.width))
                image = torch.empty(2, *shape)
                kept += seen * _kept(discriminator, discriminator.trunk, image)
    except BadInput:
        return None
    except (RuntimeError, TypeError, OverflowError, NotImplementedError) as error:
        is_overflow = "overflow" in str(error).lower() or isinstance(error, OverflowError)
        return Footprint(_BEYOND, _BEYOND, 0) if is_overflow else None
    share = 0.5 if experiment.training.precision == "bfloat16" else 1.0
    # Every worker draws the codes and the noise of the whole batch.
    drawn = batch * space.width * _FLOAT * workers
    return Footprint(
        parameters=count_g + count_d,
        networks=workers * ((count_g + count_d) * _PER_PARAMETER + count_g * _FLOAT),
        batch=int(kept * share) + drawn,
    )


def takes_multiply_adds(experiment: Experiment, shape: Shape, least: int) -> bool | None:
    """Say if a worker's batch takes so many multiply-adds to pass G and D's trunk once.

    Returns None where the networks cannot be counted, as `estimate` does.
    """
    space = _narrowest(experiment)
    least = -(-least * experiment.scaling.most_workers // experiment.training.batch_size)
    try:
        with shapes_only():
            networks = build_networks(experiment.networks, space, shape)
        if sum(map(_parameters, networks)) >= least:  # each meets a pixel or more
            return True
        # Small networks, which run sooner than torch has got ready to run them without numbers.
        generator, discriminator = build_networks(experiment.networks, space, shape)
        found = _multiply_adds(generator, generator, torch.zeros(2, space.width))
        found += _multiply_adds(discriminator, discriminator.trunk, torch.zeros(2, *shape))
    except (BadInput, RuntimeError, TypeError, OverflowError, NotImplementedError):
        return None
    return found >= least


def check_footprint(experiment: Experiment, shape: Shape | None, has: int, what: str) -> None:
    """Refuse an experiment that needs more memory than `what` has, before any work starts.

    Raises:
        BadInput: With the arithmetic.
    """
    needs = estimate(experiment, shape)
    if needs is None or needs.total <= has:
        return
    batch = experiment.training.batch_size
    raise BadInput(
        f"training needs {_size(needs.total)} at least, and {what} has {_size(has)}: "
        f"{_size(needs.networks)} for {needs.parameters:,} parameters of G and D with their "
        f"gradients and moments, {_size(needs.batch)} for a batch of {batch:,} images; lower "
        + (
            "the sizes in networks or codes"
            if needs.networks > needs.batch
            else "training.batch_size or label_sampling.batch_size"
        )
    )


def _narrowest(experiment: Experiment) -> LatentSpace:
    """Return the latent space as if every labeled code had one column: the data says how many."""
    codes = experiment.codes
    columns = len(codes.supervised) + sum(code.size for code in codes.unsupervised)
    code = Code(name="codes", kind="continuous")  # one of the columns
    noise = codes.noise + max(columns, 1) - 1
    return LatentSpace(supervised=(code,), unsupervised=(), noise=noise)


def _parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _kept(network: nn.Module, run: Callable[[Tensor], Tensor], inputs: Tensor) -> int:
    """Return the bytes that a network keeps of each image for its gradients."""

    def count(layer: nn.Module, given: Tensor, output: Tensor) -> int:
        return 0 if getattr(layer, "inplace", False) else output.numel()

    kept = inputs.numel() + _sum_over_layers(network, run, inputs, count)
    return kept * _FLOAT // len(inputs)


def _multiply_adds(network: nn.Module, run: Callable[[Tensor], Tensor], inputs: Tensor) -> int:
    """Return the multiply-adds of an image in layers that are linear, convolutions or transposed.

    Each weight meets every pixel once: of the output, or of the input where that is the smaller.
    """

    def count(layer: nn.Module, given: Tensor, output: Tensor) -> int:
        weight = getattr(layer, "weight", None)
        if not isinstance(weight, Tensor) or weight.dim() < _MATRIX:
            return 0
        return weight.numel() * min(given[0, 0].numel(), output[0, 0].numel())

    return _sum_over_layers(network, run, inputs, count)


def _sum_over_layers(
    network: nn.Module,
    run: Callable[[Tensor], Tensor],
    inputs: Tensor,
    count: Callable[[nn.Module, Tensor, Tensor], int],
) -> int:
    """Run inputs through a network, and add up what is counted of its layers by what they pass."""
    total = 0

    def add(layer: nn.Module, given: tuple[Tensor, ...], output: object) -> None:
        nonlocal total
        if isinstance(output, Tensor):
            total += count(layer, given[0], output)

    layers = [module for module in network.modules() if not any(module.children())]
    hooks = [layer.register_forward_hook(add) for layer in layers]
    with torch.no_grad():
        run(inputs)
    for hook in hooks:
        hook.remove()
    return total


def _size(count: int) -> str:
    return f"{count / 2**30:,.1f} GiB"
