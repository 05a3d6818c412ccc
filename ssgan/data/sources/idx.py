"""MNIST and Fashion-MNIST: four idx files, read by torchvision, gzipped or not."""

import gzip
import shutil
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from ssgan.base.config import Config, canonical_hash
from ssgan.base.errors import BadInput, CorruptFile
from ssgan.base.storage import default_cache
from ssgan.data.sources.base import ArraySource, Images, Labels, stamp
from ssgan.data.sources.digits import DIGIT
from ssgan.data.sources.framing import Size, resize_all
from ssgan.data.sources.rotation import angle_code, turn
from ssgan.method.codes import Code

ARTICLE = Code(
    name="article",
    kind="categorical",
    classes=(
        "t_shirt",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle_boot",
    ),
)
FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
_COUNTS = {"train": 60_000, "judge": 10_000}


class _IdxSource(Config):
    torchvision_class: ClassVar[str]
    column: ClassVar[Code]

    root: Path | None = None
    """Folder that holds the idx files, gzipped or not: in torchvision's layout or directly.
    Null: the download folder of ssgan's cache."""
    download: bool = False
    """Whether torchvision may download the files to `root` when they are not there."""
    size: Size = 28
    """Height and width in pixels; 28 keeps the original pixels."""
    turned: float = Field(default=0, ge=0, le=180)
    """Turn each image by an angle of its own, at most so many degrees either way, and label it with
    the angle, column `angle`. 0 leaves images and labels as they are."""

    def open(self) -> ArraySource:
        """Read the set: the official train split, and the official test split to judge by.

        Raises:
            BadInput: Files are missing and `download` is false.
            CorruptFile: Files are truncated or are not what they should be.
        """
        files = self._find()
        if not files and self.download:
            arrays = self._fetch()
        elif not files:
            raise BadInput(self._missing())
        elif all(
            file.parent == self._raw(self._root) and not file.suffix for file in files.values()
        ):
            arrays = self._read(self._root)
        else:
            with tempfile.TemporaryDirectory(prefix="ssgan-idx-") as private:
                _unpack(files, self._raw(Path(private)))
                arrays = self._read(Path(private))
        arrays = {
            split: (resize_all(images, self.size), labels)
            for split, (images, labels) in arrays.items()
        }
        columns: tuple[Code, ...] = (self.column,)
        provenance = {
            "origin": f"torchvision.datasets.{self.torchvision_class}",
            "split": "train: official train split; judge: official test split",
            "size": f"{self.size}x{self.size}",
        }
        if self.turned:
            arrays = {split: turn(*pair, self.turned, split) for split, pair in arrays.items()}
            columns += (angle_code(self.turned),)
            provenance["turned"] = f"each by its own angle, at most {self.turned:g} degrees"
        return ArraySource(self._name, columns, arrays, provenance)

    def fingerprint(self) -> str:
        """Identify the source's content by its files' sizes and times."""
        files = [stamp(file) for file in self._find().values()]
        turned = [self.turned] if self.turned else []  # stores of images as they are stay found
        return canonical_hash([self._name, self.size, *turned, files])

    @property
    def _name(self) -> str:
        return type(self).model_fields["kind"].default  # type: ignore[no-any-return]

    @property
    def _root(self) -> Path:
        return (self.root or default_cache() / "downloads").expanduser()

    def _raw(self, root: Path) -> Path:
        return root / self.torchvision_class / "raw"

    def _find(self) -> dict[str, Path]:
        """Find all four files in one folder; empty when a folder with all four does not exist."""
        for folder in (self._raw(self._root), self._root / "raw", self._root):
            found: dict[str, Path] = {}
            for name in FILES:
                for candidate in (folder / name, folder / f"{name}.gz"):
                    if candidate.is_file():
                        found.setdefault(name, candidate)
            if len(found) == len(FILES):
                return found
        return {}

    def _missing(self) -> str:
        return (
            f"{self._name}: {self._root} does not hold the four files {', '.join(FILES)} (plain "
            f"or .gz; looked in {self.torchvision_class}/raw, raw and the folder itself); add "
            "data.source.download=true to download them, or data.source.root=FOLDER if you have "
            "them elsewhere"
        )

    def _fetch(self) -> dict[str, tuple[Images, Labels]]:
        try:
            return self._read(self._root, download=True)
        except (OSError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise BadInput(
                f"{self._name} could not be downloaded ({reason}); fetch {', '.join(FILES)} by "
                "other means and name their folder with data.source.root=FOLDER"
            ) from error

    def _read(self, root: Path, download: bool = False) -> dict[str, tuple[Images, Labels]]:
        from torchvision import datasets

        dataset = getattr(datasets, self.torchvision_class)
        arrays = {}
        for split, count in _COUNTS.items():
            try:
                read = dataset(str(root), train=split == "train", download=download)
                images = read.data.numpy()[:, None]
                labels = read.targets.numpy().astype(np.float32)[:, None]
            except (ValueError, AssertionError, LookupError, RuntimeError) as error:
                if download:
                    raise
                raise CorruptFile(
                    f"{self._name}: the {split} files in {self._root} are not valid idx files "
                    f"({error}); fetch them again"
                ) from error
            if len(images) != count or len(labels) != count or not 0 <= labels.max() <= 9:
                raise CorruptFile(
                    f"{self._name}: the {split} files in {self._root} hold {len(images)} images "
                    f"and {len(labels)} labels instead of {count}; fetch them again"
                )
            arrays[split] = (images, labels)
        return arrays


def _unpack(files: Mapping[str, Path], folder: Path) -> None:
    folder.mkdir(parents=True)
    for name, file in files.items():
        try:
            with (
                gzip.open(file) if file.suffix == ".gz" else file.open("rb") as packed,
                (folder / name).open("wb") as plain,
            ):
                shutil.copyfileobj(packed, plain)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise CorruptFile(
                f"{file} is truncated or damaged ({error}); fetch it again"
            ) from error


class MnistSource(_IdxSource):
    """MNIST: handwritten digits, 28x28 gray, 60,000 to train and 10,000 to judge by."""

    torchvision_class: ClassVar[str] = "MNIST"
    column: ClassVar[Code] = DIGIT

    kind: Literal["mnist"] = "mnist"


class FashionMnistSource(_IdxSource):
    """Fashion-MNIST: articles of clothing, 28x28 gray, 60,000 to train and 10,000 to judge by."""

    torchvision_class: ClassVar[str] = "FashionMNIST"
    column: ClassVar[Code] = ARTICLE

    kind: Literal["fashion-mnist"] = "fashion-mnist"
