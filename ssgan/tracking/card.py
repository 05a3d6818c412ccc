"""The model card of a generator: what it draws, from what, how well, how to use it, its limits.

It is made from the run directory alone, and stands as the description of the run, of the registered
model and of its version.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ssgan.base.errors import BadInput, CorruptFile
from ssgan.data.labels import LabelBudget
from ssgan.evaluation import catalog
from ssgan.export.code_values import CodeInfo, describe
from ssgan.export.format import MANIFEST, ExportManifest, parse_manifest
from ssgan.method.codes import NONE_OF_THESE
from ssgan.records.data_info import DataInfo, read_budget, read_data_info
from ssgan.records.rundir import RunDir
from ssgan.tracking.best import winning_configuration

BEGIN = "**What it draws.**"
"""Every card begins so: other descriptions are somebody's own, and stay."""
_LONGEST = 5000  # characters, MLflow's limit for descriptions
_CLASSES, _CODES = 12, 24  # that are listed
_FIGURES = (
    *(catalog.MAIN, "judge_error", catalog.WITHOUT_JUDGE, "diversity", "fd_judge"),
    *("precision", "recall", "density", "coverage"),
)
_PARTS = ("correlation/", "rmse/", "judge_rmse/")
_CHANNELS = {1: "gray", 3: "color"}


def model_card(
    run: RunDir, search: Mapping[str, Any] | None = None, model: str | None = None
) -> str | None:
    """Describe the generator that a run has exported, in Markdown.

    Args:
        run: The run directory.
        search: The summary of the search that the run won, whose winner was run with several seeds.
        model: The registered version that the card is for, ``NAME/VERSION``.

    Returns:
        At most 5000 characters; None where the run is not over, or has no export that is whole.
    """
    summary = run.summary()
    file = f"export/{MANIFEST}"
    if summary is None or not run.exists(file):
        return None
    try:
        manifest = parse_manifest(run.read_bytes(file), run.locate(file))
        info, budget = read_data_info(run), read_budget(run)
    except (BadInput, CorruptFile):
        return None
    codes = describe(manifest.space)
    lines = [
        *_drawing(manifest, codes),
        *_data(manifest, info, budget),
        *_figures(summary, search or {}),
        *_use(codes, model),
        *_limits(codes, budget, summary),
    ]
    kept = _LONGEST
    return "\n".join(line for line in lines if (kept := kept - len(line) - 1) >= 0)


def is_card(text: str | None) -> bool:
    """Whether a description is a card, or none at all, and may be replaced by a card."""
    return not text or text.startswith(BEGIN)


def _drawing(manifest: ExportManifest, codes: Sequence[CodeInfo]) -> Iterator[str]:
    channels, height, width = manifest.shape
    kind = _CHANNELS.get(channels, f"{channels} channels")
    data = manifest.provenance.get("data")
    yield f"{BEGIN} Images of {width} x {height} pixels ({kind}) like those of {data}, by name:"
    yield ""
    yield from _table(
        ("code", "values", "meaning"),
        [
            (f"`{code.name}`", _values(code), "given by labels" if code.supervised else "found")
            for code in codes[:_CODES]
        ],
    )
    rest = f"and {len(codes) - _CODES} more codes; " if len(codes) > _CODES else ""
    yield ""
    yield f"{rest}all else is drawn from {manifest.space.noise} numbers of noise."


def _values(code: CodeInfo) -> str:
    if not code.classes:
        return f"{code.low:g} to {code.high:g}"
    shown = ", ".join(code.classes[:_CLASSES])
    return f"{shown} and {code.size - _CLASSES} more" if code.size > _CLASSES else shown


def _data(
    manifest: ExportManifest, info: DataInfo | None, budget: LabelBudget | None
) -> Iterator[str]:
    provenance = manifest.provenance
    yield "\n**Data.**"
    if info is not None:
        test = info.counts.get("test")
        yield (
            f"{info.counts['train']:,} images to train; "
            + (f"{test:,} in the test split." if test else "no test split.")
        )
    yield f"Hash of the manifest: `{provenance.get('data_hash')}`."
    amount = f", `data.labels={budget.amount}`" if budget is not None else ""
    labels = provenance.get("labels") or 0
    yield f"Labels that were used: {labels:,}{amount}; hash: `{provenance.get('labels_hash')}`."
    if (gained := provenance.get("labels_gained")) is not None:
        yield (
            f"From these {gained:,} more images gained labels by their neighbors, which nobody "
            f"checked (`data.spread`: {provenance.get('labels_spread')})."
        )


def _figures(summary: Mapping[str, Any], search: Mapping[str, Any]) -> Iterator[str]:
    metrics = summary.get("metrics") or {}
    names = [name for name in _FIGURES if metrics.get(name) is not None]
    names += [name for part in _PARTS for name in metrics if name.startswith(part)]
    known = [(name, metrics[name]) for name in names if metrics[name] is not None]
    seen, seed = summary.get("images_seen", 0), summary.get("seed")
    yield f"\n**Figures** after {seen:,} images, seed {seed}."
    yield ""
    if known:
        rows = [(catalog.title(name), f"{value:.4f}", _meaning(name)) for name, value in known]
        yield from _table(("metric", "value", ""), rows)
        yield ""
    first = winning_configuration(search)
    if first.get("spread") is not None:
        yield (
            f"{catalog.title(str(search.get('metric')))} of this configuration: "
            f"{first['mean']:.4f} ± {first['spread']:.4f}, mean and standard deviation over "
            f"n = {first['n']} seeds. This run is "
            f"{'the one in the middle' if first['n'] % 2 else 'the worse of the middle two'}."
        )
    else:
        yield "One run: how much these figures vary with the seed is not known."


def _meaning(name: str) -> str:
    metric = catalog.find(name)
    return metric.meaning if metric is not None else ""


def _use(codes: Sequence[CodeInfo], model: str | None) -> Iterator[str]:
    code = codes[0]
    value = repr(code.classes[-1]) if code.classes else f"{code.high:g}"
    plain = code.name.isidentifier() and code.name not in ("n", "seed", "z", "codes")
    chosen = f"{code.name}={value}" if plain else f"codes={{{code.name!r}: {value}}}"
    yield "\n**Use.** The folder is the artifact `export` of the run."
    yield ""
    yield "```python"
    yield "from ssgan import NamedGenerator"
    yield ""
    yield 'generator = NamedGenerator.load("export")'
    yield f"images = generator.sample({chosen}, n=16, seed=0)  # uint8 (16, H, W, C)"
    yield "```"
    if model is not None:
        yield f"\nAs a server: `mlflow models serve -m models:/{model} --env-manager local`."


def _limits(
    codes: Sequence[CodeInfo], budget: LabelBudget | None, summary: Mapping[str, Any]
) -> Iterator[str]:
    metrics, reasons = summary.get("metrics") or {}, summary.get("reasons") or {}
    yield "\n**Limits.**"
    yield "- It draws what its training images show, at their size, and inherits what they lack."
    error = metrics.get("judge_error")
    if error is not None:
        yield (
            f"- Figures by the classifier C, which itself errs on {error:.1%} of real images, say "
            "whether samples are recognized, not whether people take them for real."
        )
    elif reason := reasons.get(catalog.MAIN):
        yield f"- {catalog.title(catalog.MAIN)} is not known: {reason}."
    counts = [
        (n, f"{code} = {one}")
        for code, classes in (budget.counts if budget is not None else {}).items()
        for one, n in classes.items()
        if one != NONE_OF_THESE
    ]
    if counts:
        least, who = min(counts)
        yield f"- Names rest on labels: the fewest that were used are those of {who}, {least:,}."
    if found := [f"`{code.name}`" for code in codes if not code.supervised][:_CODES]:
        yield f"- No label says what {', '.join(found)} mean; look at the traversals."
    for alarm in summary.get("alarms") or ():
        yield f"- The last evaluation warns: {alarm}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
