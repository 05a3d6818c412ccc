"""Sets of labeled images: what is in them, how they are read, how they go on when cut off."""

import errno
import fcntl
import io
import json
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from torchvision.datasets import ImageFolder

from ssgan.base.errors import BadInput
from ssgan.data.sources.base import Source
from ssgan.data.sources.folder import FolderSource
from ssgan.data.sources.parquet import ParquetSource
from ssgan.export import NamedGenerator, image_files, labeled_images
from ssgan.export.image_files import encode_pngs, tar_headers
from ssgan.export.labeled_images import write_labeled_images
from ssgan.method.codes import Code, LatentSpace
from ssgan.networks.dcgan import DcganConfig
from tests.helpers.exports import save_untrained

NETWORKS = DcganConfig(width=4, hidden=16, q_hidden=8)
ODD = ("a/b", "two\nlines", "..", "labels.csv", "🙂 round, red", "ROUND", "round")
SHAPE = Code(name="shape", kind="categorical", classes=("circle", "square", "star"))
ANGLE = Code(name="angle", kind="continuous", low=0, high=90)
STYLE = Code(name="style", kind="categorical", classes=("0", "1"))
N = 600  # images: two batches and a part
FORMS = ("set", "set.parquet", "set.tar")


def load(folder: Path, classes: tuple[str, ...] = SHAPE.classes) -> NamedGenerator:
    shape = SHAPE.model_copy(update={"classes": classes})
    space = LatentSpace(supervised=(shape, ANGLE), unsupervised=(STYLE,), noise=4)
    return NamedGenerator.load(save_untrained(folder, NETWORKS, space, (3, 8, 8)))


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> NamedGenerator:
    """A generator of untrained networks."""
    return load(tmp_path_factory.mktemp("export"))


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save the state after each batch."""
    monkeypatch.setattr(labeled_images, "_SAVE", 0)


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_folder_holds_each_image_under_its_class_and_every_code_in_a_table(
    generator: NamedGenerator, tmp_path: Path
) -> None:
    out = tmp_path / "set"
    codes = {"shape": list(SHAPE.classes), "angle": 30}
    facts = write_labeled_images(generator, out, N, seed=3, codes=codes)
    assert facts["files"] == [str(out)]
    assert facts["classes"] == dict.fromkeys(SHAPE.classes, 200)
    table = pd.read_csv(out / "labels.csv")
    assert table.columns.tolist() == ["file", "shape", "angle", "style"]
    assert table["shape"].tolist() == [SHAPE.classes[i % 3] for i in range(N)]
    assert set(table["angle"]) == {30}
    asked = {"shape": table["shape"].tolist(), "angle": 30}
    expected = generator.sample(n=N, seed=3, codes=asked).astype(int)
    latents = generator.draw(n=N, seed=3, codes=asked)
    assert table["style"].astype(str).tolist() == generator.name_values(latents.c)["style"]
    pixels = np.stack([np.asarray(Image.open(out / file)) for file in table["file"]])
    assert (pixels[:512] == expected[:512]).all()
    assert abs(pixels - expected).max() <= 1  # the last batch was a full one there
    read = ImageFolder(str(out))
    assert read.classes == sorted(SHAPE.classes)
    labels = {str(Path(path).relative_to(out)): read.classes[k] for path, k in read.samples}
    assert labels == dict(zip(table["file"], table["shape"], strict=True))


def test_the_sources_of_this_project_read_every_form_alike(
    generator: NamedGenerator, tmp_path: Path
) -> None:
    codes = {"shape": list(SHAPE.classes)}
    for form in FORMS:
        write_labeled_images(generator, tmp_path / form, N, codes=codes)
    columns = ("shape", "angle", "style")
    csv = Path("labels.csv")
    sources: list[Source] = [
        FolderSource(root=tmp_path / "set", csv=csv, file_column="file").open(),
        ParquetSource(train=str(tmp_path / "set.parquet"), labels=columns).open(),
        FolderSource(
            root=tmp_path / "set-000000.tar",
            csv=Path("**/*.{json,cls}"),
            file_column="file",
            labels=columns,
        ).open(),
    ]
    found = []
    for source in sources:
        assert [code.name for code in source.columns] == [*columns]
        assert source.columns[0].classes == SHAPE.classes
        batches = list(source.splits()["train"])
        images = np.concatenate([batch[0] for batch in batches])
        labels = np.concatenate([batch[1] for batch in batches])
        order = np.lexsort(labels.T)
        found.append((images[order], labels[order]))
    for images, labels in found[1:]:
        assert (images == found[0][0]).all()
        np.testing.assert_array_equal(labels, found[0][1])


def test_parquet_and_shards_hold_the_files_of_the_folder(
    generator: NamedGenerator, tmp_path: Path
) -> None:
    for form in FORMS:
        write_labeled_images(generator, tmp_path / form, 300, seed=1)
    table = pd.read_parquet(tmp_path / "set.parquet")
    plain = pd.read_csv(tmp_path / "set/labels.csv", dtype={"style": str, "angle": np.float32})
    pd.testing.assert_frame_equal(table[plain.columns], plain, check_dtype=False)
    for name, content in zip(table["file"], table["image"], strict=True):
        assert (tmp_path / "set" / name).read_bytes() == content
    with tarfile.open(tmp_path / "set-000000.tar") as shard:
        members = {info.name: shard.extractfile(info).read() for info in shard}  # type: ignore[union-attr]
    assert len(members) == 900
    for row in table.itertuples():
        key = Path(row.file).stem
        assert members[f"{key}.png"] == row.image
        assert SHAPE.classes[int(members[f"{key}.cls"])] == row.shape
        assert json.loads(members[f"{key}.json"])["style"] == row.style


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("agreeing", [False, True])
def test_a_disk_that_fills_leaves_what_the_same_request_goes_on_from(
    generator: NamedGenerator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    form: str,
    agreeing: bool,
) -> None:
    monkeypatch.setattr(image_files, "_SHARD", 2**18)  # a shard for each batch
    whole, cut = tmp_path / "whole" / form, tmp_path / "cut" / form
    options: dict[str, Any] = {"seed": 2, "share": "star=0.5,circle=0.5", "agreeing": agreeing}
    for out in (whole, cut):
        out.parent.mkdir()
    first = write_labeled_images(generator, whole, N, **options)
    for fails_at in (512, 256, 512):  # the first failure is late, so that much lies behind
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(labeled_images, "_write_batch", failing(fails_at))
            with pytest.raises(OSError, match=r"No space left on device\. \d+ of 600 images are"):
                write_labeled_images(generator, cut, N, **options)
    with pytest.raises(BadInput, match="was begun with seed = 2, and now it is 3"):
        write_labeled_images(generator, cut, N, **{**options, "seed": 3})
    again = write_labeled_images(generator, cut, N, **options)
    assert contents(whole.parent) == contents(cut.parent)
    assert again | {"files": []} == first | {"files": []}
    assert write_labeled_images(generator, cut, N, **options) == again
    assert set(first["classes"]) <= {"circle", "star"}
    assert first["images"] + first["left_out"] == N
    assert (first["left_out"] > 0) == agreeing


def failing(at: int) -> Any:
    """Write batches, but in that of an image fill the disk in the middle."""
    write = labeled_images._write_batch

    def write_some(plan: Any, form: Any, state: Any, batch: Any, n: int) -> None:
        if batch.first >= at:
            form.write(plan.encode(batch, 50))
            raise OSError(errno.ENOSPC, "No space left on device")
        write(plan, form, state, batch, n)

    return write_some


def test_images_are_left_out_that_q_ss_reads_as_another_class(
    generator: NamedGenerator, tmp_path: Path
) -> None:
    facts = write_labeled_images(generator, tmp_path / "set.parquet", N, agreeing=True)
    latents = generator.draw(n=768)
    readings = generator.read(generator.render(latents))["shape"].values
    asked = generator.name_values(latents.c)["shape"]
    kept = [i for i in range(N) if readings[i] == asked[i]]
    table = pd.read_parquet(tmp_path / "set.parquet")
    assert [int(Path(file).stem) for file in table["file"]] == kept
    assert facts["classes"] == Counter(table["shape"])


def test_an_image_does_not_depend_on_how_many_there_are(
    generator: NamedGenerator, tmp_path: Path
) -> None:
    for n in (70, 300):
        write_labeled_images(generator, tmp_path / str(n), n, codes={"angle": [10, 20]})
    few, many = (contents(tmp_path / str(n)) for n in (70, 300))
    pictures = {name for name in few if name.endswith(".png")}
    assert len(pictures) == 70
    assert all(few[name] == many[name] for name in pictures)
    assert many["labels.csv"].startswith(few["labels.csv"])


def test_lists_are_combined_within_each_class(generator: NamedGenerator, tmp_path: Path) -> None:
    codes = {"angle": [0.0, 45.0], "shape": ["star", "circle"], "style": ["0", "1"]}
    write_labeled_images(generator, tmp_path / "set", 16, codes=codes)
    table = pd.read_csv(tmp_path / "set/labels.csv")
    assert set(table.groupby(["shape", "angle", "style"]).size()) == {2}
    assert len(table.groupby(["shape", "angle", "style"])) == 8


def test_classes_that_are_no_names_of_folders_get_numbers(tmp_path: Path) -> None:
    generator = load(tmp_path / "export", ODD)
    out = tmp_path / "set"
    write_labeled_images(generator, out, 14, codes={"shape": list(ODD)})
    folders = {path.name for path in out.iterdir() if path.is_dir()}
    assert folders == {*(f"class-{k}" for k in (0, 1, 2, 3, 6)), "🙂 round, red", "ROUND"}
    source = FolderSource(root=out, csv=Path("labels.csv"), labels=("shape",)).open()
    assert set(source.columns[0].classes) == set(ODD)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"codes": {"shape": ["star", "stat"]}}, "no class 'stat'; did you mean 'star'"),
        ({"codes": {"shap": "star"}}, "no code is named 'shap'"),
        ({"codes": {"shape": "star"}, "share": "uniform"}, "write shape=all, or leave it out"),
        ({"share": "star=0.9"}, "sum to 0.9"),
        ({"share": "estimated"}, "nothing was estimated"),
        ({"codes": {"style": "1"}, "agreeing": True}, "Q_ss reads no class that is asked for"),
        ({"device": "nowhere"}, "cannot compute on the device 'nowhere'"),
        ({"n": 10**13}, "are free in"),
    ],
)
def test_bad_requests_leave_nothing(
    generator: NamedGenerator, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    for form in FORMS:
        with pytest.raises(BadInput, match=message):
            write_labeled_images(generator, tmp_path / form, **{"n": 10, **options})
    assert not [*tmp_path.iterdir()]


def test_what_another_wrote_is_left_alone(generator: NamedGenerator, tmp_path: Path) -> None:
    for form in FORMS:
        out = tmp_path / form
        there = out / "diary.txt" if form == "set" else tmp_path / form.replace(".t", "-000000.t")
        there.parent.mkdir(exist_ok=True)
        there.write_text("mine")
        with pytest.raises(BadInput, match="is there, and not of a set of images"):
            write_labeled_images(generator, out, 10)
        assert there.read_text() == "mine"
        assert not [*tmp_path.rglob("*.jsonl")]


def test_one_process_writes_at_a_time(generator: NamedGenerator, tmp_path: Path) -> None:
    out = tmp_path / "set"
    write_labeled_images(generator, out, 10)
    with (out / "sample.jsonl").open() as journal:
        fcntl.flock(journal, fcntl.LOCK_EX)
        with pytest.raises(BadInput, match="another process writes"):
            write_labeled_images(generator, out, 10)
    (out / "sample.jsonl").write_text('{"request": 1}\n')
    with pytest.raises(BadInput, match="does not say how a set of images was made"):
        write_labeled_images(generator, out, 10)


def test_codes_without_classes_make_one_folder(tmp_path: Path) -> None:
    space = LatentSpace(supervised=(), unsupervised=(ANGLE,), noise=4)
    plain = NamedGenerator.load(save_untrained(tmp_path / "export", NETWORKS, space, (1, 8, 8)))
    facts = write_labeled_images(plain, tmp_path / "set", 5)
    assert facts["classes"] == {"images": 5}
    assert len([*(tmp_path / "set/images").iterdir()]) == 5


@pytest.mark.parametrize("channels", [1, 3])
def test_pngs_hold_the_pixels(channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 9, channels), dtype=np.uint8)
    for image, content in zip(pixels, encode_pngs(pixels), strict=True):
        opened = Image.open(io.BytesIO(content))
        opened.load()
        assert opened.mode == {1: "L", 3: "RGB"}[channels]
        assert np.array_equal(np.asarray(opened).reshape(image.shape), image)
    assert encode_pngs(pixels[:0]) == []


def test_headers_of_tars_are_those_of_tarfile() -> None:
    members = [("0.png", b"x" * 70_000), ("00000001.cls", b""), (f"{'9' * 94}.json", b"{}")]
    for (name, data), header in zip(members, tar_headers(members), strict=True):
        info = tarfile.TarInfo(name)
        info.size = len(data)
        assert header == info.tobuf(tarfile.USTAR_FORMAT)
    assert tar_headers([]) == []  # of a batch in which no image agrees
