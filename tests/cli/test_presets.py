"""`ssgan presets` lists what ships, and what the fields of an experiment are and mean."""

import json
from pathlib import Path

from ssgan.experiment.fields import flatten
from ssgan.experiment.loading import load_experiment, preset_names
from tests.cli.conftest import Run


def test_every_preset_has_a_line(ssgan: Run) -> None:
    listed = json.loads(ssgan("presets", "--json").out)["presets"]
    assert sorted(listed) == preset_names()
    assert listed["mnist"].startswith("MNIST with 132 labels")
    assert all(len(text) > 20 for text in listed.values())
    assert listed["digits"] in ssgan("presets").out


def test_the_fields_of_a_preset_have_values_and_meanings(ssgan: Run) -> None:
    found = json.loads(ssgan("presets", "mnist", "--json").out)
    fields = {field.pop("name"): field for field in found["fields"]}
    assert found["preset"] == "mnist"
    assert {name: field["value"] for name, field in fields.items()} == flatten(
        load_experiment("mnist")
    )
    assert [name for name, field in fields.items() if not field["meaning"]] == []
    assert fields["seed"]["meaning"] == (
        "Seed of weights, draws and noise; not of the label budget"
    )
    assert fields["data.labels"]["is_default"] is False
    assert fields["data.label_seed"]["is_default"] is True
    assert (fields["training.epochs"]["class"], fields["seed"]["class"]) == ("extent", "identity")
    (line,) = (
        line for line in ssgan("presets", "mnist").out.splitlines() if " data.labels " in f" {line}"
    )
    assert line.split()[:3] == ["data.labels", "132", "*"]


def test_a_file_is_shown_like_a_preset(ssgan: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("preset: digits\nseed: 9\n")
    found = json.loads(ssgan("presets", str(tmp_path / "mine.yaml"), "--json").out)
    (seed,) = (field for field in found["fields"] if field["name"] == "seed")
    assert (found["preset"], seed["value"]) == ("mine", 9)
    refused = ssgan("presets", "mnits")
    assert (refused.code, "did you mean 'mnist'" in refused.err) == (2, True)
