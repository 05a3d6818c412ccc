"""``ssgan data``: prepare the store of a data set, and show what is in one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssgan.base.errors import BadInput
from ssgan.cli.screen import Screen, progress, say, table
from ssgan.cli.verb import Answer, Verb, writing

if TYPE_CHECKING:
    from ssgan.data.store import Manifest, Store
    from ssgan.experiment.tree import Experiment
    from ssgan.labeling.shares import Share

    Shares = Mapping[str, Mapping[str, Share]]

_SHOWN = 10  # broken images that are listed


@click.group(short_help="Prepare images and labels, look at them.")
def data() -> None:
    """Prepare images and labels once, and look at them before you train."""


@data.command(
    cls=Verb,
    json="the store's description",
    examples="""\
  ssgan data prepare digits
  ssgan data prepare mnist data.source.download=true
  ssgan data prepare mnist data.source.root=/data/mnist   files that are on this machine
  ssgan data prepare my-photos.yaml data.source.size=64
""",
)
@click.argument("source", metavar="PRESET|FILE.yaml")
@click.argument("overrides", metavar="[FIELD=VALUE]...", nargs=-1)
def prepare(source: str, overrides: tuple[str, ...]) -> Answer:
    """Decode the images of an experiment's data.source into a store.

    Training does this by itself when it has not been done; the store is kept in $SSGAN_CACHE or
    the user's cache folder and shared by all experiments on the same images.
    """
    return _answer(_prepare(_load(source, overrides)))


@data.command(
    "show",
    cls=Verb,
    json="the store's description",
    examples="""\
  ssgan data show digits
  ssgan data show mnist data.source.root=/data/mnist --sheet mnist.png
  ssgan data show my-photos.yaml --sheet contact.png
  ssgan data show /data/stores/faces      a store by its folder
""",
)
@click.argument("source", metavar="PRESET|FILE.yaml|STORE")
@click.argument("overrides", metavar="[FIELD=VALUE]...", nargs=-1)
@click.option("--sheet", type=click.Path(path_type=Path), help="Write a contact sheet, FILE.png.")
def show_data(source: str, overrides: tuple[str, ...], sheet: Path | None) -> Answer:
    """Show what a store holds: splits, label columns, counts of classes, broken images.

    Where the experiment spreads its labels (data.spread) they are spread now, to say how many
    images gain one, and how large each class is by estimate; training finds the neighbors in the
    cache. The contact sheet has real images of each class in rows.
    """
    if sheet is not None and sheet.suffix != ".png":
        raise BadInput(f"--sheet {sheet} must end in .png")
    from ssgan.data.store import MANIFEST, Store

    is_store = "://" in source or (Path(source) / MANIFEST).is_file()
    if is_store and overrides:
        raise BadInput(f"{overrides[0]} has no effect: {source} is a store and stays as it is")
    experiment = None if is_store else _load(source, overrides)
    store = Store.open(source) if experiment is None else _prepare(experiment)
    if sheet is not None:
        from ssgan.drawing.store_sheet import store_sheet

        with writing(sheet, "--sheet"):
            sheet.write_bytes(store_sheet(store))
        say(f"contact sheet: {sheet}")
    answer = _answer(store)
    if experiment is None or experiment.data.spread is None:
        return answer
    return _with_labels(answer, experiment, store)


def _load(source: str, overrides: tuple[str, ...]) -> Experiment:
    from ssgan.experiment.loading import load_experiment

    return load_experiment(source, overrides)


def _with_labels(answer: Answer, experiment: Experiment, store: Store) -> Answer:
    """Add to what is shown how many images labels are spread to, and the shares of classes."""
    from ssgan.labeling.shares import shares_of
    from ssgan.launch.preparation import load_dataset

    assert experiment.data.spread is not None
    try:
        with Screen() as screen:
            dataset = load_dataset(experiment, store=store, progress=screen.prepare)
    except BadInput as error:  # the store is as it is
        say(f"labels are not spread: {error}", style="yellow")
        return answer
    given, gained = len(dataset.budget), len(dataset.gained or ())
    line = (
        f"labels: {given:,} given, by data.labels; {gained:,} more images gain some, by data.spread"
    )
    if experiment.data.spread.rebuild is not None:
        line += ", before they are spread again"
    shown, facts = [*answer.screen, line], {**answer.facts, "given": given, "gained": gained}
    shares = shares_of(dataset, experiment.data.spread)
    if shares:
        shown.append(_shares(shares))
        facts["shares"] = {
            code: {name: share._asdict() for name, share in classes.items()}
            for code, classes in shares.items()
        }
    return Answer(shown, facts)


def _prepare(experiment: Experiment) -> Store:
    from ssgan.data.store import prepare

    with progress(f"preparing {experiment.data.source.kind}") as advance:
        return prepare(experiment.data.source, progress=advance)


def _answer(store: Store) -> Answer:
    from ssgan.data.store import split_name

    manifest = store.manifest
    counts = _count_classes(store)
    channels, height, width = manifest.shape
    splits = table("split", "images ", *(f"with {column.name} " for column in manifest.columns))
    for name, split in manifest.splits.items():
        known = (f"{count:,}" for count in split.known)
        splits.add_row(split_name(name), f"{split.count:,}", *known)
    shown = [f"{manifest.name}: {width}x{height} pixels, {'gray' if channels == 1 else 'RGB'}"]
    shown += [splits, _columns(manifest, counts)] if manifest.columns else [splits]
    if not store.has_test_split:
        shown.append(
            "no test split: Q_ss is measured on labels held out of the budget; no 0-1 loss"
        )
    shown += [f"{what}: {text}" for what, text in manifest.provenance.items()]
    shown += [f"store: {store.location}", f"hash: {manifest.hash}"]
    if manifest.broken:
        more = len(manifest.broken) - _SHOWN
        listed = ", ".join(manifest.broken[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
        say(f"{len(manifest.broken)} broken images were left out: {listed}", style="yellow")
    facts = {"location": store.location, "hash": manifest.hash, "classes": counts}
    described = manifest.model_dump(mode="json")
    described["splits"] = {split_name(name): one for name, one in described["splits"].items()}
    return Answer(shown, {**facts, **described})


def _columns(manifest: Manifest, counts: Mapping[str, Mapping[str, int]]) -> Any:
    columns = table("label", "kind", "classes or range", title="labels of the train split")
    for code in manifest.columns:
        of_class = [f"{name}: {count:,}" for name, count in counts.get(code.name, {}).items()]
        columns.add_row(
            code.name, code.kind, ", ".join(of_class) or f"{code.low:g} to {code.high:g}"
        )
    return columns


def _shares(shares: Shares) -> Any:
    title = (
        "shares in the train split, estimated from the labels of the budget, with 95 % intervals"
    )
    rows = table("label", "classes", title=title)
    for code, classes in shares.items():
        listed = ", ".join(f"{name}: {share}" for name, share in classes.items())
        rows.add_row(code, listed or "too few labels: a class needs two")
    return rows


def _count_classes(store: Store) -> dict[str, dict[str, int]]:
    from ssgan.data.labels import count_classes
    from ssgan.data.sources.base import FOREIGN

    labels = store.split("train").labels
    counts = {}
    for k, code in enumerate(store.manifest.columns):
        if code.is_categorical:
            column = labels[:, k]
            known = column[~column.isnan()]
            counts[code.name] = count_classes(code, known.where(known != FOREIGN, code.none))
    return counts
