"""Experiment: one frozen tree of configuration, composed of the parts' own.

It is built once (a preset or a file, then dotted overrides; see `ssgan.experiment.loading`),
validated before anything starts, saved with every run,
checkpoint and export, and passed down in parts.
"""

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from ssgan.base.config import Config, Extent, Formerly, Free, Mutable, NotSearchable
from ssgan.base.errors import BadInput
from ssgan.data.batches import LabelSamplingConfig
from ssgan.data.dataset import DataConfig, build_space
from ssgan.data.store import Manifest
from ssgan.evaluation.catalog import METRICS
from ssgan.evaluation.config import EvaluationConfig
from ssgan.method.augment import AugmentConfig
from ssgan.method.codes import CodesConfig
from ssgan.method.consistency import ConsistencyTerms
from ssgan.method.objective import ObjectiveConfig
from ssgan.method.optimizer import OptimizerConfig
from ssgan.method.schedules import Constant, Schedule
from ssgan.networks.architecture import NetworksConfig
from ssgan.networks.dcgan import DcganConfig
from ssgan.networks.ema import EmaConfig
from ssgan.networks.precision import Precision


class TrainingConfig(Config):
    """How long to train, and what to keep."""

    epochs: Annotated[
        int,
        Extent,
        NotSearchable(
            "the epochs are the budget that trials are compared at; set it with an override"
        ),
    ] = Field(default=50, ge=1)
    """Epochs; an epoch is a number of updates, not a walk through the data."""
    steps_per_epoch: int = Field(default=100, ge=1)
    """Updates in an epoch, each of D and Q, then G."""
    batch_size: int = Field(default=128, ge=2)
    """Images an update, over all workers; they share it evenly."""
    precision: Precision = "float32"
    """What G and D's trunk compute in; losses, parameters and optimizers are float32 always, and so
    are evaluation and export. bfloat16 is faster on GPUs since 2020 and on CPUs with AVX512-BF16
    or AMX, and slower on others."""
    execution: Annotated[Literal["auto", "eager", "graph"], Free, NotSearchable()] = "auto"
    """How a GPU is told of an update: operator by operator (`eager`), or as a CUDA graph (`graph`),
    which spares it waiting for the host; one worker only. `auto` is the graph, unless it cannot be
    made or does not do what the operators do. On a CPU it is eager always."""
    tf32: bool = False
    """Whether a GPU rounds the inputs of matrix products and convolutions in float32 to 10 bits."""
    deterministic: bool = True
    """Whether cuDNN chooses among algorithms that give the same bits each time."""
    ema: Annotated[EmaConfig, Formerly("average")] = EmaConfig()
    """The moving average of G that is evaluated and exported."""
    check_every: int = Field(default=20, ge=1)
    """Steps between two looks at the flag of losses that are not finite."""
    keep_last: Annotated[int, NotSearchable()] = Field(default=2, ge=1)
    """Newest checkpoints kept."""
    keep_best: Annotated[int, NotSearchable()] = Field(default=1, ge=0)
    """Best checkpoints kept besides, by the 0-1 loss of the average."""


class ScalingConfig(Config):
    """Workers and what each of them gets."""

    workers: int | tuple[int, int] = 1
    """DDP workers: a number, or the least and the most for elastic training."""
    cpus: float = Field(default=1.0, gt=0)
    """CPU cores of one worker of several; Ray reserves them."""
    gpus: float = Field(default=0.0, ge=0)
    """GPUs of one worker; a fraction lets several trials of one worker share one, with that share
    of its memory each."""
    threads: int | None = Field(default=None, ge=1)
    """Threads a worker computes with; None divides the cores among the workers, and takes one
    where the networks and the batch are too small for more."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute; `auto` is the GPU where there is one."""
    retries: int = Field(default=3, ge=0)
    """How often training resumes from its last checkpoint after a worker died."""

    @property
    def most_workers(self) -> int:
        """The largest number of workers that may run."""
        return self.workers if isinstance(self.workers, int) else self.workers[1]

    def counts(self) -> range:
        """Return every number of workers that may run."""
        low, high = (self.workers,) * 2 if isinstance(self.workers, int) else self.workers
        return range(low, high + 1)

    @model_validator(mode="after")
    def _check(self) -> "ScalingConfig":
        counts = self.counts()
        if not counts or counts[0] < 1:
            raise ValueError("workers is a number from 1, or (least, most)")
        if self.gpus > 1 and self.gpus % 1:
            raise ValueError(f"gpus={self.gpus:g}: beyond one GPU a worker has whole ones")
        if 0 < self.gpus < 1 < self.most_workers:
            raise ValueError(
                f"{self.most_workers} workers x {self.gpus:g} GPUs = "
                f"{self.most_workers * self.gpus:g} GPUs, so that two of them may share one, "
                "which NCCL refuses; give each a whole one (scaling.gpus=1), or train with one "
                "worker (scaling.workers=1), of which several trials share a GPU"
            )
        return self


class TrackingConfig(Config):
    """Where the run is recorded besides its own directory."""

    uri: str | None = None
    """MLflow tracking URI; None is ``MLFLOW_TRACKING_URI``, or an SQLite file next to the runs."""
    experiment: str | None = None
    """Name of the MLflow experiment; None is the preset's."""
    register_as: str | None = None
    """Registered model that the export becomes a version of; None registers nothing."""
    system_metrics: bool = False
    """Whether MLflow records, every ten seconds, how busy the machine is that the command runs on:
    processors, memory, disk, network, GPUs where `nvidia-ml-py` is installed. They are not in the
    run directory."""


class Experiment(Config):
    """Everything that determines a run."""

    name: Annotated[str, Free, NotSearchable()] = "experiment"
    """Name of the preset or file it came from."""
    data: DataConfig = DataConfig()
    """Images and label budget."""
    codes: CodesConfig = CodesConfig()
    """What drives the generator."""
    networks: NetworksConfig = DcganConfig()
    """Sizes of G and D."""
    objective: ObjectiveConfig = ObjectiveConfig()
    """The paper's λ1 and λ2, and terms of other packages."""
    label_sampling: LabelSamplingConfig = LabelSamplingConfig()
    """How labeled images reach D and Q_ss."""
    instance_noise: Annotated[Schedule, Mutable] = Constant(value=0.0)
    """Standard deviation of the noise on D's images (image range 0 to 1), real and fake."""
    augmentation: AugmentConfig | None = None
    """How D and the Qs see images while they learn, and while G learns from them: real, labeled
    and synthetic ones, each through a random affine map of its own (Zhao et al., 2020). null, the
    paper's, is as they are. G can please Q_ss by patterns that are not objects; such a pattern
    rarely survives a turn or a shift. Leave out what a code names: rotation, if one is an angle."""
    optimizer: OptimizerConfig = OptimizerConfig()
    """Adam's settings."""
    training: TrainingConfig = TrainingConfig()
    """Extent of training."""
    evaluation: Annotated[
        EvaluationConfig,
        Free,
        NotSearchable("it says how runs are measured, and then they could not be compared"),
    ] = EvaluationConfig()
    """What is measured."""
    scaling: Annotated[
        ScalingConfig,
        Extent,
        NotSearchable("trials are planned alike on the cluster; set it with an override"),
    ] = ScalingConfig()
    """Workers."""
    tracking: Annotated[TrackingConfig, Free, NotSearchable()] = TrackingConfig()
    """MLflow."""
    seed: int = 0
    """Seed of weights, draws and noise; not of the label budget."""

    @model_validator(mode="after")
    def _check_rates(self) -> "Experiment":
        last = self.images_per_epoch * self.training.epochs - self.training.batch_size
        for name in ("lr_schedule", "generator_lr_schedule"):
            if getattr(self.optimizer, name).at(last, self.images_per_epoch) == 0:
                raise ValueError(
                    f"optimizer.{name} has come to 0 before the last update of "
                    f"training.epochs={self.training.epochs}, and nothing is learned from there "
                    "on; make its delay or its duration longer, or raise its floor"
                )
        return self

    @model_validator(mode="after")
    def _check_prior(self) -> "Experiment":
        spread = self.data.spread
        if self.codes.prior == "estimated" and (spread is None or spread.first == "none"):
            mend = "data.spread={}" if spread is None else "data.spread.first=pixels"
            raise ValueError(
                "codes.prior=estimated takes the shares of classes from labels that are spread "
                f"before the run begins; set {mend}, or another prior"
            )
        return self

    @model_validator(mode="after")
    def _check_extra(self) -> "Experiment":
        ours = [] if self.objective.consistency is None else ConsistencyTerms._fields
        names = [f"loss/{name}" for name in ours]
        for term in self.objective.extra:
            names += (f"loss/{name}" for name in term.names if name)
            if not any(term.names) or METRICS.keys() & names or len(set(names)) < len(names):
                raise ValueError(
                    f"objective.extra: {type(term).__qualname__} needs a discriminator_term or a "
                    "generator_term, and a name that no other term of the objective has"
                )
        return self

    @model_validator(mode="after")
    def _check(self) -> "Experiment":
        if self.training.execution == "graph" and self.scaling.workers != 1:
            raise ValueError(
                "training.execution=graph is for one worker (scaling.workers); leave it out"
            )
        sizes = {"training.batch_size": self.training.batch_size}
        if self.label_sampling.unit == "separate":
            sizes["label_sampling.batch_size"] = self.label_sampling.batch_size
        for field, size in sizes.items():
            for workers in self.scaling.counts():
                if size % workers:
                    raise ValueError(
                        f"{field}={size} cannot be shared evenly by {workers} workers "
                        f"(scaling.workers); {size - size % workers or workers} or "
                        f"{size + workers - size % workers} can"
                    )
                group = self.networks.batch_norm.group or 1
                if size // workers % group:
                    fit = math.gcd(size // workers, group)
                    others = f"groups of {fit} can, and " if fit > 1 else ""
                    raise ValueError(
                        f"{field}={size} leaves each of {workers} workers {size // workers} "
                        f"images, which are not whole groups of networks.batch_norm.group={group}; "
                        f"{others}{field}={size + -size % (workers * group)} would be"
                    )
        return self

    @property
    def images_per_epoch(self) -> int:
        """Real images that D sees in an epoch, over all workers."""
        return self.training.batch_size * self.training.steps_per_epoch

    def validate_against(self, manifest: Manifest) -> None:
        """Check what depends on the data, before any work starts.

        Raises:
            BadInput: A code is not a label column, no network fits the images, or no code has
                classes that a consistency could be about.
        """
        space = build_space(self.codes, manifest)
        consistency = self.objective.consistency
        if consistency is not None and not any(code.is_categorical for code in space.supervised):
            raise BadInput(
                "objective.consistency has no effect: it is about classes, and no supervised code "
                "is categorical (codes.supervised); set objective.consistency=null"
            )
        self.networks.check(manifest.shape)
