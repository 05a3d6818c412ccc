"""Fields that have no effect in an experiment, and why: set by a user, they are errors."""

from collections.abc import Callable

from ssgan.experiment import Experiment

_Rule = tuple[str, Callable[[Experiment], bool], str]


def _no_labels(e: Experiment) -> bool:
    return e.data.labels in (0, 0.0, "0", "0%")


def _all_labels(e: Experiment) -> bool:
    return e.data.labels in (1.0, "100%") and not isinstance(e.data.labels, int)


def _not_separate(e: Experiment) -> bool:
    return e.label_sampling.unit != "separate"


def _in_process(e: Experiment) -> bool:
    return e.scaling.most_workers == 1


_INFOGAN = "the label budget is 0, so no labelled image is ever drawn (data.labels)"
_RULES: tuple[_Rule, ...] = (
    ("label_sampling", _no_labels, _INFOGAN),
    ("codes.prior", _no_labels, _INFOGAN),
    ("data.label_seed", _no_labels, _INFOGAN),
    ("data.balanced", _no_labels, _INFOGAN),
    ("data.held_out", _no_labels, _INFOGAN),
    (
        "data.held_out",
        lambda e: e.data.source.kind not in ("folder", "parquet"),
        "this source has a judge split, on which Q_ss is measured (data.source.kind)",
    ),
    (
        "label_sampling.batch_size",
        _not_separate,
        "only label_sampling.unit=separate gives Q_ss a batch of its own",
    ),
    (
        "label_sampling.augment",
        _not_separate,
        "only images of Q_ss's own batch are augmented; set label_sampling.unit=separate",
    ),
    (
        "data.balanced",
        _all_labels,
        "all labels are used, so there is none to choose (data.labels)",
    ),
    (
        "data.label_seed",
        lambda e: _all_labels(e) and e.data.source.kind != "folder",
        "all labels are used, so there is none to choose (data.labels)",
    ),
    (
        "objective.lambda1",
        lambda e: not e.codes.unsupervised,
        "there are no unsupervised codes (codes.unsupervised), so L_I is 0",
    ),
    (
        "networks.q_hidden",
        lambda e: not e.codes.unsupervised,
        "there are no unsupervised codes (codes.unsupervised), so there is no Q_us",
    ),
    (
        "objective.lambda2",
        lambda e: not e.codes.supervised,
        "there are no supervised codes (codes.supervised), so L_IS is 0",
    ),
    (
        "codes.prior",
        lambda e: not e.codes.supervised,
        "there are no supervised codes (codes.supervised)",
    ),
    (
        "scaling.cpus",
        _in_process,
        "one worker runs in this process and reserves nothing (scaling.workers)",
    ),
    (
        "scaling.retries",
        _in_process,
        "one worker runs in this process, where nothing restarts it; use --resume",
    ),
    (
        "scaling.gpus",
        lambda e: e.scaling.device == "cpu",
        "the device is the CPU (scaling.device)",
    ),
)


def find_inert(experiment: Experiment) -> dict[str, str]:
    """Return the fields, or whole branches, without effect, each with the reason."""
    return {path: reason for path, is_inert, reason in _RULES if is_inert(experiment)}
