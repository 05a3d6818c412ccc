"""Random layouts of pictures and labels: what was meant is what the written file reads."""

import csv
import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ssgan.cli.init import write_template
from ssgan.data.sources.inspect import inspect_folder
from ssgan.experiment.loading import load_experiment
from tests.helpers.archives import contents_of, write_tar, write_zip

COUNT = 12
_folders = itertools.count()

NAMES = {
    "in full": lambda name: name,
    "by their last part": lambda name: name.rpartition("/")[2],
    "without ending": lambda name: name.removesuffix(".png"),
    "as uploaded": lambda name: f"/data/upload/3/0a1b2c3d-{name.rpartition('/')[2]}",
    "with backslashes": lambda name: name.replace("/", "\\"),
}


@st.composite
def layouts(draw: st.DrawFn) -> dict[str, Any]:
    splits = draw(st.sampled_from([None, ("train", "test"), ("Train", "valid", "TEST")]))
    return {
        "splits": splits,
        "classes": draw(st.sampled_from(["folders", "file"])),
        "names": draw(st.sampled_from([*NAMES])),
        "place": draw(st.sampled_from(["inside", "beside", "below"])),
        "form": draw(st.sampled_from(["csv", "jsonl", "cls"])),
        "delimiter": draw(st.sampled_from(",;\t")),
        "encoding": draw(st.sampled_from(["utf-8", "utf-8-sig"])),
        "nothing": draw(st.sampled_from(["", "NA", "nan", "None", "null"])),
        "words": draw(
            st.sampled_from([("cat", "dog"), ("caf\u00e9", "bar"), ("0", "1"), ("-1", "1")])
        ),
        "unknown": draw(st.sets(st.integers(4, COUNT - 1), max_size=5)),
        "kept": draw(st.sampled_from(["folder", "zip", "tar", "shards"])),
    }


def write(folder: Path, layout: dict[str, Any]) -> dict[str, str | None]:
    """Write pictures and labels; return what each picture is."""
    meant: dict[str, str | None] = {}
    for i in range(COUNT):
        word = layout["words"][i % 2]
        parts = []
        if layout["splits"]:
            parts.append(layout["splits"][i // 2 % len(layout["splits"])])
        if layout["classes"] == "folders":
            parts.append(word)
        name = "/".join([*parts, f"p{i:02}.png"])
        path = folder / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 20 * i).save(path)
        is_unknown = layout["classes"] == "file" and i in layout["unknown"]
        meant[name] = None if is_unknown else word
    if layout["classes"] == "file":
        place = {"inside": "photos", "beside": "", "below": "photos/lists"}[layout["place"]]
        if layout["form"] == "cls":  # a file for each picture, beside it
            place = "photos"
        (folder / place).mkdir(exist_ok=True)
        write_labels(folder / place, layout, meant)
    return meant


def write_labels(place: Path, layout: dict[str, Any], meant: dict[str, str | None]) -> None:
    if layout["form"] == "cls":
        for name, word in meant.items():
            text = "" if word is None else f"{word}\n"
            file = (place / name).with_suffix(".cls")
            file.write_text(text, encoding=layout["encoding"])
        return
    names = [NAMES[layout["names"]](name) for name in meant]
    if layout["form"] == "jsonl":
        rows = [
            {"kind": word, "file_name": name}
            for name, word in zip(names, meant.values(), strict=True)
        ]
        text = "\n".join(json.dumps(row) for row in rows)
        (place / "metadata.jsonl").write_text(text, encoding=layout["encoding"])
        return
    with (place / "labels.csv").open("w", encoding=layout["encoding"], newline="") as stream:
        writer = csv.writer(stream, delimiter=layout["delimiter"])
        writer.writerow(["", "kind", "picture"])
        for k, (name, word) in enumerate(zip(names, meant.values(), strict=True)):
            writer.writerow([k, layout["nothing"] if word is None else word, name])


def keep(folder: Path, kept: str) -> Path:
    """Keep the pictures in another form; return where."""
    if kept == "folder":
        return folder
    contents = contents_of(folder)
    shutil.rmtree(folder)
    if kept == "zip":
        return write_zip(folder.with_suffix(".zip"), contents)
    if kept == "tar":
        return write_tar(folder.with_suffix(".tar"), contents)
    folder.mkdir()
    write_tar(folder / "1.tar", {})
    write_tar(folder / "0.tar", contents)
    return folder


@settings(max_examples=60, deadline=None)
@given(layouts())
def test_what_was_meant_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, layout: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp(f"layout{next(_folders)}")
    meant = write(folder, layout)
    file = folder / "photos.yaml"
    place = keep(folder / "photos", layout["kept"])
    file.write_text(write_template(inspect_folder(place, None), folder))
    experiment = load_experiment(file)
    source = experiment.data.source.open()
    (code,) = source.columns
    # In a CSV the numbers are all that is there; JSON, .cls files and folders have classes.
    is_number = layout["classes"] == "file" and layout["form"] == "csv"
    words = dict(zip(layout["words"], ("no", "yes"), strict=True))
    spelled = words if is_number and layout["words"][1] == "1" else {}
    names = sorted(meant)
    for name, label in zip(names, source.labels[:, 0], strict=True):
        expected = meant[name] and spelled.get(meant[name], meant[name])
        assert (None if np.isnan(label) else code.classes[int(label)]) == expected
    held_out = [name for name in names if name.split("/")[0] in ("test", "valid", "TEST")]
    labeled = {name.split("/")[0] for name in held_out if meant[name] is not None}
    tested = sum(name.split("/")[0] in labeled for name in held_out)
    assert dict(source.counts) == {"train": COUNT - tested} | ({"test": tested} if tested else {})
