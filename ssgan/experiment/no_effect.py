"""Fields that have no effect in an experiment, and why: set by a user, they are errors."""

from collections.abc import Callable
from operator import attrgetter

from ssgan.base.errors import BadInput
from ssgan.data.labels import count_labels
from ssgan.experiment.tree import Experiment

_Rule = tuple[str, Callable[[Experiment], bool], str]


_MANY = 10**12  # as if there were so many labeled images


def _budget(e: Experiment) -> int | None:
    try:
        return count_labels(e.data.labels, _MANY)
    except BadInput:
        return None  # said when the budget is drawn, with the number of labels that there are


def _no_labels(e: Experiment) -> bool:
    return _budget(e) == 0


def _all_labels(e: Experiment) -> bool:
    return _budget(e) == _MANY


def _no_supervised(e: Experiment) -> bool:
    return not e.codes.supervised


def _has_test_split(e: Experiment) -> bool:
    return e.data.source.has_test_split


def _fully_labeled(e: Experiment) -> bool:
    """Whether every image counts as labeled: they all are, and the budget is all of them."""
    return _all_labels(e) and e.data.source.fully_labeled


def _not_separate(e: Experiment) -> bool:
    return e.label_sampling.unit != "separate"


def _in_process(e: Experiment) -> bool:
    return e.scaling.most_workers == 1


_NO_CODES = "there are no supervised codes (codes.supervised), so no label is ever used"
_ALL = "all labels are used, so there is none to choose (data.labels)"
_INFOGAN = "the label budget is 0, so no labeled image is ever drawn (data.labels)"
_RULES: tuple[_Rule, ...] = (
    ("label_sampling", _no_labels, _INFOGAN),
    ("codes.prior", _no_labels, _INFOGAN),
    ("data.label_seed", _no_labels, _INFOGAN),
    ("data.balanced", _no_labels, _INFOGAN),
    ("data.held_out", _no_labels, _INFOGAN),
    ("data.labels", _no_supervised, _NO_CODES),
    ("data.label_seed", _no_supervised, _NO_CODES),
    ("data.balanced", _no_supervised, _NO_CODES),
    ("data.held_out", _no_supervised, _NO_CODES),
    ("label_sampling", _no_supervised, _NO_CODES),
    ("codes.prior", _no_supervised, _NO_CODES),
    (
        "data.held_out",
        _has_test_split,
        "this source has a test split, on which Q_ss is measured (data.source)",
    ),
    (
        "evaluation.judge",
        lambda e: not _has_test_split(e),
        "this source has no test split to train C on (data.source), so there is no C",
    ),
    (
        "label_sampling.probability",
        _fully_labeled,
        "all images are labeled, so every draw is a labeled one (data.labels)",
    ),
    (
        "label_sampling.floor",
        _fully_labeled,
        "all images are labeled, so every draw is a labeled one (data.labels)",
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
    ("data.balanced", _all_labels, _ALL),
    ("data.label_seed", lambda e: _all_labels(e) and _has_test_split(e), _ALL),
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
        _no_supervised,
        "there are no supervised codes (codes.supervised), so L_IS is 0",
    ),
    (
        "objective.lambda2_warm_up",
        lambda e: _no_supervised(e) or e.objective.lambda2 == 0,
        "L_IS has no weight (codes.supervised, objective.lambda2)",
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
    return {
        path: reason
        for path, is_inert, reason in _RULES
        if _has(experiment, path) and is_inert(experiment)
    }


def _has(experiment: Experiment, path: str) -> bool:
    """Whether the field exists: a kind of networks from elsewhere may not have it."""
    try:
        attrgetter(path)(experiment)
    except AttributeError:
        return False
    return True
