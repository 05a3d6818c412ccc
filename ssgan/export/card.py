"""What a model card says, read from the record of the run that a generator was exported from.

`ssgan.export.card_text` writes it as Markdown and as HTML.
"""

import json
from collections.abc import Mapping
from statistics import mean, stdev
from typing import Any, NamedTuple

from ssgan.data.labels import LabelBudget
from ssgan.evaluation import catalog
from ssgan.evaluation.catalog import safe_names
from ssgan.export.format import MANIFEST, ExportManifest, parse_manifest
from ssgan.method.codes import NONE_OF_THESE, Code
from ssgan.records.data_info import DataInfo, read_budget, read_data_info
from ssgan.records.rundir import Record, RunDir
from ssgan.records.search_info import read_search_info
from ssgan.records.searchdir import TrialRow, search_of


class Spread(NamedTuple):
    """A figure over the seeds of one configuration."""

    mean: float
    deviation: float
    """Standard deviation, with n - 1."""
    n: int


class Repeats(NamedTuple):
    """The runs of a search that differ from the card's by their seed alone, and the card's."""

    search: str
    """Name of the search."""
    metric: str
    """What the search goes by."""
    rank: int
    """Place of the card's run among them by that metric, the best being 1."""
    metrics: tuple[Mapping[str, float | None], ...]
    """What the last evaluation of each found; empty as long as one of them is not over."""

    def spread(self, name: str) -> Spread | None:
        """Return the spread of a figure; None below two values."""
        values = [value for one in self.metrics if (value := one.get(name)) is not None]
        return Spread(mean(values), stdev(values), len(values)) if len(values) > 1 else None


class Card(NamedTuple):
    """What the record of a run says of the generator that it exported."""

    manifest: ExportManifest
    """The content of generator.json."""
    data: DataInfo | None
    """None of a run that version 0.1 wrote."""
    budget: LabelBudget | None
    record: Record | None
    """The last evaluation at the exported update or before; None without one."""
    samples: int | None
    """Images that it measured, of each copy of G; None where the record does not say."""
    choice: str | None
    """How the labels were chosen (`data.choice`); None where the record does not say."""
    repeats: Repeats | None
    """None for a run that belongs to no search."""

    @property
    def codes(self) -> tuple[Code, ...]:
        """All codes, supervised ones first."""
        return self.manifest.space.codes

    @property
    def supervised(self) -> tuple[Code, ...]:
        """Codes to which labels gave their meaning: none under InfoGAN."""
        return self.manifest.space.supervised if self.is_labeled else ()

    @property
    def is_labeled(self) -> bool:
        """Whether a label named a class or a value."""
        if self.budget is None or not self.budget.counts:
            return bool(self.manifest.provenance.get("labels"))
        return any(n for _, name, n in self.label_counts if name != NONE_OF_THESE)

    @property
    def label_counts(self) -> list[tuple[str, str, int]]:
        """Labels used, by code and class."""
        counts = {} if self.budget is None else self.budget.counts
        return [(code, name, n) for code, named in counts.items() for name, n in named.items()]

    @property
    def step(self) -> int | None:
        """Update after which the generator was exported."""
        step = self.manifest.provenance.get("step")
        return step if isinstance(step, int) else None

    @property
    def metrics(self) -> Mapping[str, float | None]:
        """What the evaluation found; empty without one."""
        return {} if self.record is None else self.record.metrics

    @property
    def loss(self) -> str:
        """Name of the 0-1 loss of the copy of G that was exported."""
        return catalog.MAIN if self.manifest.copy_of == "ema" else "zero_one_loss"

    def class_losses(self) -> list[tuple[float, str, str]]:
        """Return the 0-1 loss of each class, with code and class, the worst first.

        Of classes whose names a record spells alike, nothing where it lacks one of them.
        """
        found = []
        safe = safe_names([code.name for code in self.codes])
        for code in self.supervised:
            known = {
                one: self.metrics.get(f"{self.loss}/{safe[code.name]}.{spelled}")
                for one, spelled in safe_names(code.classes).items()
            }
            alike = len({safe_names([one])[one] for one in code.classes}) < len(code.classes)
            if not (alike and None in known.values()):
                found += [(loss, code.name, one) for one, loss in known.items() if loss is not None]
        return sorted(found, key=lambda one: -one[0])


def read_card(run: RunDir, manifest: ExportManifest | None = None) -> Card | None:
    """Read what the record says of an export of a run, by default of the one in its folder.

    Returns:
        None where the run has no export.

    Raises:
        BadInput: The export needs a newer ssgan.
        CorruptFile: A file of the record is not as it was written.
    """
    if manifest is None:
        file = f"export/{MANIFEST}"
        if not run.exists(file):
            return None
        manifest = parse_manifest(run.read_bytes(file), run.locate(file))
    tree = run.definition_tree()
    samples = _field(tree, "evaluation", "samples")
    choice = _field(tree, "data", "choice")
    return Card(
        manifest,
        read_data_info(run),
        read_budget(run),
        _last_evaluation(run, manifest.provenance.get("step")),
        samples if isinstance(samples, int) else None,
        choice if isinstance(choice, str) else None,
        _read_repeats(run),
    )


def _field(tree: Mapping[str, Any], group: str, name: str) -> Any:
    fields = tree.get(group)
    return fields.get(name) if isinstance(fields, Mapping) else None


def _last_evaluation(run: RunDir, step: Any = None) -> Record | None:
    for epoch in sorted(run.epochs(), reverse=True):
        record = run.record(epoch)
        is_before = record is not None and (not isinstance(step, int) or record.step <= step)
        if record is not None and is_before and record.is_evaluated:
            return record
    return None


def _read_repeats(run: RunDir) -> Repeats | None:
    found = search_of(run)
    if found is None:
        return None
    search, stage = found
    rows = {row.trial: row for row in search.rows() if row.stage == stage}
    own = rows.get(run.base_name)
    info = read_search_info(search)
    same = [] if own is None else [row for row in rows.values() if _varied(row) == _varied(own)]
    if own is None or not all(row.is_over for row in same):
        return Repeats(info.name, info.metric, 0, ())
    scored = sorted((row for row in same if row.is_scored), key=lambda row: info.rank(row.metric))
    last = [_last_evaluation(search.run(row)) for row in scored]
    metrics = tuple(record.metrics for record in last if record is not None)
    rank = 1 + scored.index(own) if own in scored else 0
    return Repeats(info.name, info.metric, rank, metrics)


def _varied(row: TrialRow) -> str:
    """Write the searched fields but the seed."""
    values = {field: value for field, value in row.values.items() if field != "seed"}
    return json.dumps(values, sort_keys=True)
