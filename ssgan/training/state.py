"""State of a training: all that an update changes, and how it is saved and loaded.

An *update* is one application of the training step; `Training.updates` counts them, and checkpoints
hold their number under the key "step".
"""

import math
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Adam

from ssgan.base.rng import Streams
from ssgan.data.batches import AUGMENT, Batches, RealBatch
from ssgan.data.dataset import Dataset
from ssgan.data.memmap import place_images
from ssgan.experiment.tree import Experiment
from ssgan.method.augment import affine_maps_each, draw_affine
from ssgan.method.codes import Latents
from ssgan.method.consistency import Consistency, change, draw_strong
from ssgan.method.optimizer import Weights
from ssgan.method.schedules import Clock
from ssgan.networks.architecture import build_networks
from ssgan.networks.batch_norm import rank_buffers, replace_batchnorm
from ssgan.networks.ema import Ema
from ssgan.networks.linear import speed_up_linear
from ssgan.networks.weights import check_tensor, check_weights
from ssgan.training.distributed import Worker
from ssgan.training.execution import Eager, Execution, Graphs, Scalars, cuda_graphs
from ssgan.training.instance_noise import draw_instance_noise
from ssgan.training.state_check import check_networks, check_part
from ssgan.training.step import AffineMaps, StepInput, TrainingStep

Network = TypeVar("Network", bound=nn.Module)


def _adam_state(optimizer: Adam, lr: float) -> dict[str, Any]:
    """Return the state of an optimizer; a rate that graphs read from a tensor becomes a number."""
    state = optimizer.state_dict()
    (group,) = state["param_groups"]
    if isinstance(group["lr"], Tensor):
        group["lr"] = lr
    return state


class Training:
    """Networks, optimizers, moving average and draws of one worker."""

    def __init__(self, experiment: Experiment, dataset: Dataset, worker: Worker) -> None:
        """Build everything as it is before the first update, from the data of all workers."""
        self._experiment = experiment
        self._space = dataset.space
        self._worker = worker
        self.device = worker.device
        self.batch_size = experiment.training.batch_size
        """Real images of an update, over all workers."""
        self.updates = 0
        """Number of updates made."""
        self.streams = Streams(experiment.seed)
        config, extra = experiment.networks, experiment.objective.extra
        generator, discriminator = build_networks(
            config, dataset.space, dataset.manifest.shape, self.streams
        )
        for network in (generator, discriminator):
            network.to(worker.device)
            replace_batchnorm(network, config.batch_norm, worker.world_size, twice=bool(extra))
            speed_up_linear(network)
        self.step = TrainingStep(
            generator,
            discriminator,
            dataset.space,
            experiment.optimizer,
            extra,
            precision=experiment.training.precision,
            infogan=dataset.is_infogan,
            consistency=self._consistency(),
            wrap=worker.wrap,
            reduce_max=worker.maximum,
            generators=lambda stream: self._generator(f"extra/{stream}"),
        )
        self.ema = Ema(self.step.generator, experiment.training.ema)
        self.batches = Batches(
            experiment.label_sampling,
            place_images(dataset.train, worker.device).take,
            dataset.y,
            batch_size=self.batch_size,
            streams=self.streams,
            weights=dataset.weights,
            foreign=dataset.foreign,
            rank=worker.rank,
            world_size=worker.world_size,
            device=worker.device,
        )
        self._dataset = dataset
        self._changed: int | None = None  # images, when labels were spread again
        self._terms = self.step.terms
        self._losses = torch.zeros(len(self._terms), device=worker.device)
        self._summed = 0
        self._not_finite_at = torch.full_like(self._losses, math.inf)
        self._ranks: Tensor | None = None
        self._execution = self._new_execution()

    def _new_execution(self) -> Execution:
        mode = self._experiment.training.execution
        if mode == "eager" or self.device.type != "cuda" or self._worker.world_size > 1:
            return Eager(self.streams, self.device)
        return Graphs(
            self.streams,
            self.device,
            self._changed_tensors,
            cuda_graphs(),
            is_strict=mode == "graph",
        )

    def _changed_tensors(self) -> list[Tensor]:
        """Return all that the body of an update changes."""
        step = self.step
        modules: list[nn.Module] = [step.generator, step.discriminator]
        if step.consistency is not None:
            modules.append(step.consistency)
        kept = [value for module in modules for value in module.state_dict().values()]
        optimizers = step.d_optimizer, step.g_optimizer
        moments = [
            value for one in optimizers for of in one.state.values() for value in of.values()
        ]
        return [*kept, *moments, *self.ema.parameters, self._losses, self._not_finite_at]

    def _consistency(self) -> Consistency | None:
        config = self._experiment.objective.consistency
        if config is None:
            return None
        made = Consistency(config, self._space, self.batch_size, self._worker.mean)
        return made.to(self.device)

    @property
    def images_seen(self) -> int:
        """Real images that D has seen, over all workers."""
        return self.clock(self.updates).images_seen

    def clock(self, updates: int) -> Clock:
        """Return how far the run is after so many updates."""
        images_seen = updates * self.batch_size
        return Clock(images_seen, self._experiment.images_per_epoch)

    def weights(self, updates: int) -> Weights:
        """Return the weights and the learning rates of the update that follows after so many."""
        clock = self.clock(updates)
        return Weights.at(self._experiment.objective, self._experiment.optimizer, clock)

    def _used_weights(self, updates: int) -> Weights:
        """Return `weights`, on a GPU as float32 holds them: graphs read them from a tensor."""
        weights, is_gpu = self.weights(updates), self.device.type == "cuda"
        return Weights(*torch.tensor(weights).tolist()) if is_gpu else weights

    def label_probability(self, updates: int) -> float:
        """Return the probability that the update after so many draws labeled images."""
        return self.batches.probability(*self.clock(updates))

    def update(self) -> None:
        """Make one update: draw, apply the step, add up the losses, move the average."""
        self._execution(self._body, self._read(), self._scalars())
        self._summed += 1
        self.updates += 1

    def _body(self, real: RealBatch, scalars: Scalars) -> None:
        """Make an update on the device (`ssgan.training.execution.Body`)."""
        losses = self.step(self._inputs(real, scalars.noise), scalars.weights).values()
        self._losses += losses
        found = torch.where(torch.isfinite(losses), math.inf, scalars.update)
        torch.minimum(self._not_finite_at, found, out=self._not_finite_at)
        self.ema.update(scalars.ema)

    def _read(self) -> RealBatch:
        return self.batches.read(self.updates, self.label_probability(self.updates))

    def _scalars(self) -> Scalars:
        """Return what the next update multiplies by."""
        images_seen = self.clock(self.updates + 1).images_seen
        noise = self._experiment.instance_noise.at(*self.clock(self.updates))
        return Scalars(
            self._used_weights(self.updates),
            ema=self.ema.weight(self.batch_size, images_seen),
            update=float(self.updates),
            noise=noise or None,
        )

    @property
    def gained(self) -> Tensor:
        """Labels in force beside those of the budget, a code table, float32 (N, K)."""
        return torch.where(self._dataset.given.isnan(), self.batches.y, torch.nan)

    def replace_gained(self, gained: Tensor) -> None:
        """Let other labels be in force beside those of the budget, from the next update on."""
        before = self.gained
        is_other = ~before.isnan() & ~gained.isnan() & (before != gained)
        self._changed = int(is_other.any(dim=1).sum())
        given = self._dataset.given
        self.batches.relabel(torch.where(given.isnan(), gained, given))

    def gained_metrics(self) -> dict[str, float]:
        """Say how many images have gained a label, if these are ever spread again.

        Once they were: how many of those that had one before have got another by the last time.
        """
        spread = self._experiment.data.spread
        if spread is None or spread.rebuild is None:
            return {}
        found = {"labels_gained": float((~self.gained.isnan()).any(dim=1).sum())}
        return found if self._changed is None else found | {"labels_changed": float(self._changed)}

    def take_losses(self) -> dict[str, float | None]:
        """Return the terms' means since the last call, over all workers, and reset them."""
        means = self._worker.mean(self._losses / max(self._summed, 1)).tolist()
        self._losses.zero_()
        self._summed = 0
        return {f"loss/{term}": value for term, value in zip(self._terms, means, strict=True)}

    def find_not_finite(self) -> tuple[str, int] | None:
        """Return the first term that was not finite on any worker, and its update, or None."""
        first = -self._worker.maximum(-self._not_finite_at)
        at, index = first.min(dim=0)
        return None if at.isinf() else (self._terms[int(index)], int(at))

    def synchronize(self, *, within_epoch: bool = False) -> None:
        """Average over ranks what each has of its own, before it is read or saved.

        Within an epoch the ranks' own values are kept for the state, so that a run which goes on
        from there with as many workers is the one that was never interrupted.
        """
        if within_epoch and self._worker.world_size > 1:
            self._ranks = self._worker.gather(self._own_row())
        for values in self._own():
            self._worker.mean(values)

    def _own(self) -> list[Tensor]:
        """Return what differs between ranks: sums of losses, and statistics of their images."""
        return [self._losses, *rank_buffers(self.step.generator, self.step.discriminator)]

    def _own_row(self) -> Tensor:
        return torch.cat([values.flatten() for values in self._own()])

    def _ranks_in(self, state: dict[str, Any]) -> Tensor | None:
        """Return what a state keeps of the ranks, (ranks, values), if there are as many now."""
        ranks = state.get("ranks")
        is_of_these = isinstance(ranks, Tensor) and ranks.shape[:1] == (self._worker.world_size,)
        return ranks if is_of_these else None

    def state(self) -> dict[str, Any]:
        """Return all that `load` needs, after `synchronize`; tensors are the live ones."""
        more: dict[str, Any] = {} if self._ranks is None else {"ranks": self._ranks}
        if self.step.consistency is not None:
            more["consistency"] = self.step.consistency.state_dict()
        if self._changed is not None:
            labels = self.gained.nan_to_num(-1).to(torch.int32)
            more["spread"] = {"labels": labels, "changed": self._changed}
        weights = self._used_weights(max(self.updates - 1, 0))
        return more | {
            "step": self.updates,
            "generator": self.step.generator.state_dict(),
            "discriminator": self.step.discriminator.state_dict(),
            "average": self.ema.parameters,
            "g_optimizer": _adam_state(self.step.g_optimizer, weights.g_lr),
            "d_optimizer": _adam_state(self.step.d_optimizer, weights.d_lr),
            "losses": self._losses,
            "losses_summed": self._summed,
            "labels_seen": self.batches.seen,
        }

    def check(self, state: dict[str, Any]) -> None:
        """Refuse what `load` cannot restore (`ValueError`, in one line), and change nothing."""
        check_networks(state, self.step.generator, self.step.discriminator)
        labeled = self.batches.find_labeled(self._labels_in(state))
        own = {"losses": self._losses, "labels_seen": torch.empty(len(labeled), dtype=torch.bool)}
        if "ranks" in state:
            check_tensor("ranks", state["ranks"])
        if (ranks := self._ranks_in(state)) is not None:
            row = self._own_row()
            own["ranks"] = row.new_empty(len(ranks), len(row), device="meta")
        check_weights({name: state.get(name) for name in own}, own)
        if self.step.consistency is not None:
            check_part("consistency", state, self.step.consistency)
        if not isinstance(state.get("losses_summed"), int):
            raise ValueError("losses_summed is not a number of updates")

    def load(self, state: dict[str, Any]) -> None:
        """Restore a saved state; random numbers follow from its number of updates."""
        self.updates = state["step"]
        self.step.generator.load_state_dict(state["generator"])
        self.step.discriminator.load_state_dict(state["discriminator"])
        self.ema.load(state["average"])
        self.step.g_optimizer.load_state_dict(state["g_optimizer"])
        self.step.d_optimizer.load_state_dict(state["d_optimizer"])
        if self.step.consistency is not None:
            self.step.consistency.load_state_dict(state["consistency"])
        self._losses.copy_(state["losses"])
        self._summed = state["losses_summed"]
        if (ranks := self._ranks_in(state)) is not None:
            own = self._own()
            parts = ranks[self._worker.rank].split([values.numel() for values in own])
            for values, part in zip(own, parts, strict=True):
                values.copy_(part.view_as(values))
        self.batches.relabel(self._labels_in(state))
        self._changed = state["spread"]["changed"] if "spread" in state else None
        self.batches.seen.copy_(state["labels_seen"])
        self._execution = self._new_execution()  # the optimizers have other tensors now

    def _labels_in(self, state: dict[str, Any]) -> Tensor:
        """Return the labels in force in a state, a code table; `ValueError` if they cannot be."""
        if "spread" not in state:
            return self._dataset.y
        saved = state["spread"] if isinstance(state["spread"], dict) else {}
        given, labels = self._dataset.given, saved.get("labels")
        expected = torch.empty_like(given, dtype=torch.int32)
        check_weights({"spread": labels}, {"spread": expected})
        assert isinstance(labels, Tensor)
        codes, none = self._space.supervised, self._space.none
        sizes = [code.size + none if code.is_categorical else 0 for code in codes]
        is_other = (labels < -1) | (labels >= torch.tensor(sizes))
        if not isinstance(saved.get("changed"), int) or is_other.any():
            raise ValueError("spread does not hold classes that labels were spread to")
        gained = labels.float().masked_fill(labels < 0, torch.nan)
        return torch.where(given.isnan(), gained, given)

    def draw(self) -> StepInput:
        """Draw what this rank needs for the next update; the same again until it is made."""
        return self._inputs(self._read(), self._scalars().noise)

    def _inputs(self, real: RealBatch, noise: float | None) -> StepInput:
        """Draw what an update needs besides real images, and change these as it sees them."""
        real = self.batches.augment(real, partial(self._generator, AUGMENT))
        size = self.batch_size
        latents = self._space.sample(size, self._generator("latents"))
        c, z = Latents(*map(self._slice, latents))
        noise_real, noise_fake = self._instance_noise(real.x, noise)
        maps = self._affine_maps(has_own=real.labeled is not None)
        strong = self._strongly_changed(real.x)
        images = real.x, real.y, real.labeled
        return StepInput(*images, c, z, noise_real, noise_fake, maps, real.weights, strong)

    def _affine_maps(self, *, has_own: bool) -> AffineMaps:
        """Draw the maps for the global batch, the same on every rank, and take this rank's part."""
        config = self._experiment.augmentation
        if config is None:
            return AffineMaps()
        generator = self._generator("augmentation")
        size, own = self.batch_size, self._experiment.label_sampling.batch_size
        counts = [size] * 3 + [own] * has_own
        draws = [self._slice(draw_affine(count, generator)) for count in counts]
        real, fake, fake_g, *labeled = affine_maps_each(config, draws)
        return AffineMaps(real, labeled[0] if has_own else None, fake, fake_g)

    def _strongly_changed(self, x: Tensor) -> Tensor | None:
        """Change this rank's real images for the consistency of Q_ss."""
        config = self._experiment.objective.consistency
        if config is None:
            return None
        draws = draw_strong(self.batch_size, self._generator("consistency"))
        return change(config.strong, x, self._slice(draws))

    def _instance_noise(self, x: Tensor, std: float | None) -> tuple[Tensor | None, Tensor | None]:
        """Draw noise for this rank's real and fake images."""
        if std is None:
            return None, None
        first = self._worker.rank * len(x)
        rows, of = range(first, first + len(x)), x.shape[1:]
        size, device = self.batch_size, self.device
        real, fake = draw_instance_noise(self._generator, std, rows, size, of, device)
        return real, fake

    def _generator(self, stream: str) -> torch.Generator:
        return self._execution.generator(stream, self.updates)

    def _slice(self, rows: Tensor) -> Tensor:
        """Return this rank's part of what was drawn for the global batch."""
        return rows.chunk(self._worker.world_size)[self._worker.rank]
