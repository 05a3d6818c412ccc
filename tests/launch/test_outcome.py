"""An export has a model card with pictures, none of them of a real image."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssgan.base.storage import Folder
from ssgan.drawing.sheet import Cells
from ssgan.export import NamedGenerator
from ssgan.export.card_text import README, is_card
from ssgan.export.format import MANIFEST, WEIGHTS, save_export
from ssgan.launch.loaded_run import LoadedRun, load_run
from ssgan.launch.outcome import export, keep_readme, renew_card, write_export
from tests.helpers.runs import short_run, small


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedRun:
    run = short_run(tmp_path_factory.mktemp("runs") / "digits", small(), 2)
    return load_run(run.location)


def test_an_export_comes_with_its_card_and_a_strip_a_code(
    loaded: LoadedRun, tmp_path: Path
) -> None:
    files = export(loaded)
    assert list(files) == [
        *(WEIGHTS, MANIFEST, README),
        *("strips/1-digit.png", "strips/2-style_1.png", "strips/3-style_2.png"),
    ]
    assert files == export(loaded)
    written = files[README].decode()
    assert written.startswith("# digits, drawn by name, 16 x 16 pixels\n\n## What it draws\n")
    assert all(f"({name})" in written for name in files if name.startswith("strips/"))
    # Hashes are of the weights and the manifest alone: the card may change, or go.
    folder = save_export(tmp_path / "export", files)
    (folder / README).write_text("changed")
    (folder / "strips/1-digit.png").unlink()
    assert NamedGenerator.load(folder).sample(digit=7).shape == (1, 16, 16, 1)


def test_no_real_image_is_in_a_card(loaded: LoadedRun) -> None:
    train, test = loaded.dataset.train, loaded.dataset.test
    assert test is not None
    real = {image.numpy().tobytes() for split in (train, test) for image in split.images}
    assert len(real) > 1000
    drawn = set()
    for name, png in export(loaded).items():
        if not name.endswith(".png"):
            continue
        with Image.open(io.BytesIO(png)) as sheet:
            places, pixels = Cells.read(sheet), np.asarray(sheet.convert("L"))
        assert places is not None
        assert [header for header, _ in places.groups] == [""]  # of real and of synthetic images
        step = places.width // 16
        for y in places.y:
            for x in places.x:
                cell = pixels[y : y + places.height : step, x : x + places.width : step]
                drawn.add(np.ascontiguousarray(cell).tobytes())
    assert len(drawn) > 10
    assert not drawn & real


def test_an_export_is_drawn_without_a_look_at_the_data(loaded: LoadedRun) -> None:
    blind = replace(loaded.dataset, train=None, test=None)
    assert export(replace(loaded, dataset=blind)) == export(loaded)


def test_a_readme_of_somebodys_own_stays(
    loaded: LoadedRun, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = tmp_path / README
    files = export(loaded)
    assert keep_readme(Folder(tmp_path), files) == files
    own.write_text("# My project\n")
    kept = keep_readme(Folder(tmp_path), files)
    assert kept == {name: content for name, content in files.items() if name != README}
    assert f"{own} is not a model card of ssgan and stays" in caplog.text
    own.write_bytes(files[README] + b"\nAn older one.\n")
    assert keep_readme(Folder(tmp_path), files) == files


def test_the_card_of_a_run_is_written_again_from_its_record(loaded: LoadedRun) -> None:
    run = loaded.run
    renew_card(run)
    assert not run.exists(f"export/{README}")  # no export yet
    files = export(loaded)
    write_export(run, files | {README: b""})
    renew_card(run)
    assert run.read_bytes(f"export/{README}") == files[README]
    run.delete("export/strips")  # as before there were any
    renew_card(run)
    written = run.read_bytes(f"export/{README}").decode()
    assert is_card(written)
    assert "strips/" not in written
