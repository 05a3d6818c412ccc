"""Images for a run to read: where they are, and how they become what it was trained on."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ssgan.base.errors import BadInput
from ssgan.data.named_images import named_images
from ssgan.data.sources import DigitsSource, FolderSource, MnistSource, ParquetSource, SourceConfig
from ssgan.experiment.loading import load_experiment
from ssgan.experiment.tree import Experiment
from ssgan.launch.input_images import find_source, is_input, open_source
from tests.helpers.pictures import encoded

GRAY = (1, 16, 16)


def trained_on(source: SourceConfig) -> Experiment:
    experiment = load_experiment("digits")
    data = experiment.data.model_copy(update={"source": source})
    return experiment.model_copy(update={"data": data})


def paint(path: Path, level: float, size: tuple[int, int] = (16, 16), mode: str = "L") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, level).save(path)


def read(experiment: Experiment, given: str | None, **values: object) -> dict[str, list[int]]:
    """Return the first pixel of each image, one number a channel, by its name."""
    fields = {f"data.source.{name}": value for name, value in values.items()}
    config = find_source(experiment, GRAY, given, fields)
    source = open_source(config, experiment.data.source, GRAY)
    (part,) = named_images(source)
    assert part.images.shape[1:] == GRAY
    return dict(zip(part.names, part.images[:, :, 0, 0].tolist(), strict=True))


def test_pictures_of_a_folder_become_what_the_run_was_trained_on(tmp_path: Path) -> None:
    paint(tmp_path / "a.png", 10)
    paint(tmp_path / "sub/a.png", 20, (40, 40))
    Image.new("RGB", (16, 16), (30, 30, 30)).save(tmp_path / "b.png")
    found = read(trained_on(DigitsSource()), str(tmp_path))
    assert found == {"a.png": [10], "b.png": [30], "sub/a.png": [20]}


def test_a_rule_of_the_run_counts_for_others_too(tmp_path: Path) -> None:
    bars = np.zeros((16, 32), dtype=np.uint8)
    bars[:, 8:24] = 200  # the central square
    (tmp_path / "new").mkdir()
    Image.fromarray(bars).save(tmp_path / "new/wide.png")
    own = FolderSource(root=tmp_path / "gone", size=16, resize="crop")
    assert read(trained_on(own), str(tmp_path / "new")) == {"wide.png": [200]}
    with pytest.raises(BadInput, match="is not square"):
        read(trained_on(DigitsSource()), str(tmp_path / "new"))
    found = read(trained_on(DigitsSource()), str(tmp_path / "new"), resize="pad")
    assert found == {"wide.png": [0]}
    found = read(trained_on(own), str(tmp_path / "new"), crop=[0.5, 0, 1, 1], resize="none")
    assert found == {"wide.png": [200]}


def test_deep_gray_has_the_levels_of_the_run(tmp_path: Path) -> None:
    for folder, values in (("own", (0, 4095)), ("new", (1000, 2048))):
        for value in values:
            (tmp_path / folder).mkdir(exist_ok=True)
            array = np.full((16, 16), value, dtype=np.uint16)
            Image.fromarray(array).save(tmp_path / folder / f"{value}.png")
    own, new = FolderSource(root=tmp_path / "own"), str(tmp_path / "new")
    assert read(trained_on(own), new) == {"1000.png": [62], "2048.png": [128]}
    assert read(trained_on(own), None) == {"0.png": [0], "4095.png": [255]}
    with pytest.raises(BadInput, match=r"data\.source\.levels=\[0,65535\]"):
        read(trained_on(DigitsSource()), new)
    found = read(trained_on(DigitsSource()), new, levels=[0, 65535])
    assert found == {"1000.png": [3], "2048.png": [8]}


def table(path: Path, column: str = "picture", **others: list[int]) -> Path:
    pictures = [encoded(Image.new("L", (16, 16), level)) for level in (10, 20)]
    pq.write_table(pa.table({column: pictures, **others}), path)
    return path


def test_a_parquet_file_needs_no_labels(tmp_path: Path) -> None:
    file = table(tmp_path / "a.parquet", other=[1, 2])
    found = read(trained_on(DigitsSource()), str(file))
    assert found == {"a.parquet row 0": [10], "a.parquet row 1": [20]}
    own = ParquetSource(train="gone.parquet", image="other")
    with pytest.raises(BadInput, match=r"'other'.* is not an encoded picture"):
        read(trained_on(own), str(file))
    assert len(read(trained_on(own), str(file), image="picture")) == 2


def test_another_experiment_gives_its_own_source(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("preset: digits\ndata: {source: {size: 32}}\n")
    experiment = trained_on(MnistSource())
    other = str(tmp_path / "other.yaml")
    assert find_source(experiment, GRAY, other, {}) == DigitsSource(size=32)
    assert find_source(experiment, GRAY, "digits", {}) == DigitsSource()
    with pytest.raises(BadInput, match=r"32x32 gray, and the run reads 16x16 gray.*size=16"):
        read(experiment, other)


@pytest.mark.parametrize(
    ("given", "values", "told"),
    [
        ("nowhere", {}, "no folder or file nowhere, and no preset of that name"),
        ("digts", {}, "did you mean 'digits'"),
        ("empty", {}, "holds no picture"),
        (None, {"training.epochs": 3}, "training.epochs has no effect here"),
        (None, {"data.source.resize": "crop"}, "resize"),
    ],
)
def test_bad_input(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: str | None,
    values: dict[str, object],
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    experiment = trained_on(DigitsSource())
    with pytest.raises(BadInput, match=told):
        open_source(find_source(experiment, GRAY, given, values), experiment.data.source, GRAY)


def test_what_would_be_read_as_input_is_known(tmp_path: Path) -> None:
    file = table(tmp_path / "a.parquet")
    new = tmp_path / "new.parquet"
    assert is_input(file, ParquetSource(train=str(file)))
    assert not is_input(new, ParquetSource(train=str(file)))
    assert is_input(new, ParquetSource(train=str(tmp_path)))
    assert is_input(new, ParquetSource(train=str(file), test=f"{tmp_path}/n*.parquet"))
    assert not is_input(tmp_path / "new.csv", ParquetSource(train=str(tmp_path)))
    assert not is_input(new, FolderSource(root=tmp_path))
    (tmp_path / "labels.csv").write_text("file,shape\n")
    labeled = FolderSource(root=tmp_path, csv="labels.csv")
    assert is_input(tmp_path / "sub/../labels.csv", labeled)
    assert not is_input(tmp_path / "read.csv", labeled)
