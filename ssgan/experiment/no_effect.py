"""Fields that have no effect in an experiment, and why: set by a user, they are errors."""

from collections.abc import Iterator

from ssgan.base.errors import BadInput
from ssgan.data.labels import count_labels
from ssgan.experiment.tree import Experiment

_MANY = 10**12  # as if there were so many labeled images


def find_inert(experiment: Experiment) -> dict[str, str]:
    """Return the fields, or whole branches, without effect, each with the reason."""
    rules = _rules(experiment)
    return {path: reason for is_inert, paths, reason in rules if is_inert for path in paths.split()}


def _rules(e: Experiment) -> Iterator[tuple[bool, str, str]]:
    """Yield whether some fields have no effect, which they are, and why."""
    try:
        budget = count_labels(e.data.labels, _MANY)
    except BadInput:
        budget = -1  # said when the budget is drawn, with the number of labels that there are
    has_test_split = e.data.source.has_test_split
    drawn = (
        "label_sampling codes.prior data.label_seed data.balanced data.held_out data.choice "
        "data.spread"
    )
    yield (
        budget == 0,
        drawn,
        "the label budget is 0, so no labeled image is ever drawn (data.labels)",
    )
    yield (
        not e.codes.supervised,
        f"data.labels {drawn}",
        "there are no supervised codes (codes.supervised), so no label is ever used",
    )
    yield (
        has_test_split,
        "data.held_out",
        "this source has a test split, on which Q_ss is measured (data.source)",
    )
    yield (
        not has_test_split,
        "evaluation.judge",
        "this source has no test split to train C on (data.source), so there is no C",
    )
    yield (
        budget == _MANY and e.data.source.fully_labeled,
        "label_sampling.probability label_sampling.floor data.spread",
        "all images are labeled, so every draw is a labeled one (data.labels)",
    )
    yield (
        e.label_sampling.unit != "separate",
        "label_sampling.batch_size",
        "only label_sampling.unit=separate gives Q_ss a batch of its own",
    )
    yield (
        e.label_sampling.unit != "separate",
        "label_sampling.augment",
        "only images of Q_ss's own batch are augmented; set label_sampling.unit=separate",
    )
    yield (
        budget == _MANY,
        "data.balanced data.choice data.label_seed"
        if has_test_split
        else "data.balanced data.choice",
        "all labels are used, so there is none to choose (data.labels)",
    )
    q_hidden = "networks.q_hidden" if hasattr(e.networks, "q_hidden") else ""
    yield (
        not e.codes.unsupervised,
        f"objective.lambda1 {q_hidden}",
        "there are no unsupervised codes (codes.unsupervised), so there is no Q_us and L_I is 0",
    )
    yield (
        not e.codes.supervised,
        "objective.lambda2",
        "there are no supervised codes (codes.supervised), so L_IS is 0",
    )
    yield (
        not e.codes.supervised or e.objective.lambda2 == 0,
        "objective.lambda2_warm_up",
        "L_IS has no weight (codes.supervised, objective.lambda2)",
    )
    rebuild = None if e.data.spread is None else e.data.spread.rebuild
    yield (
        rebuild is not None and rebuild >= e.training.epochs,
        "data.spread.rebuild",
        f"the training is over after {e.training.epochs} epochs, before labels are spread again "
        "(training.epochs)",
    )
    unlabeled = e.objective.consistency
    yield (
        not e.codes.supervised,
        "objective.consistency",
        "there are no supervised codes (codes.supervised), so there is no Q_ss",
    )
    yield (
        unlabeled is not None
        and not (unlabeled.weight or unlabeled.information or unlabeled.fairness),
        "objective.consistency",
        "its terms have no weight (weight, information and fairness are 0)",
    )
    yield (
        unlabeled is not None and unlabeled.threshold != "adaptive",
        "objective.consistency.half_life",
        "the threshold is a number, not adaptive (objective.consistency.threshold)",
    )
    yield (
        e.scaling.most_workers == 1,
        "scaling.cpus",
        "one worker runs in this process and reserves nothing (scaling.workers)",
    )
    yield (
        e.scaling.most_workers == 1,
        "scaling.retries",
        "one worker runs in this process, where nothing restarts it; use --resume",
    )
    of_gpus = "scaling.gpus training.execution training.tf32 training.deterministic"
    yield (e.scaling.device == "cpu", of_gpus, "the device is the CPU (scaling.device)")
