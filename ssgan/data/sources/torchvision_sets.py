"""Published sets that torchvision downloads and reads: MNIST, Fashion-MNIST, SVHN and CIFAR-10."""

import gzip
import shutil
import tempfile
import zlib
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from PIL import Image
from pydantic import Field

from ssgan.base.config import canonical_hash
from ssgan.base.errors import BadInput, CorruptFile
from ssgan.base.rng import Streams
from ssgan.base.storage import default_cache
from ssgan.data.sources.base import ArraySource, Chunk, Images, Labels, SourceConfig, stamp
from ssgan.data.sources.digits import DIGIT
from ssgan.data.sources.encoded_images import Size, resize_all
from ssgan.method.codes import Code

_ARTICLES = "t_shirt trouser pullover dress coat sandal shirt sneaker bag ankle_boot"
_CATEGORIES = "airplane automobile bird cat deer dog frog horse ship truck"
ARTICLE = Code(name="article", kind="categorical", classes=tuple(_ARTICLES.split()))
CATEGORY = Code(name="category", kind="categorical", classes=tuple(_CATEGORIES.split()))
IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
IDX_COUNTS = {"train": 60_000, "test": 10_000}


class TorchvisionSource(SourceConfig):
    """A published set with a test split and all labels: its folder, and whether to download it."""

    title: ClassVar[str]
    files: ClassVar[tuple[str, ...]]
    """What has to be in the folder."""
    hint: ClassVar[str] = ""
    """Where else the files may be, for messages."""
    has_test_split: ClassVar[bool] = True
    fully_labeled: ClassVar[bool] = True

    root: Path | None = None
    """Folder with the files as torchvision lays them out. Null: the download folder of ssgan's
    cache."""
    download: bool = False
    """Whether torchvision may download the files to `root` when they are not there."""

    @property
    def folder(self) -> Path:
        """The folder that `root` stands for."""
        return (self.root or default_cache() / "downloads").expanduser()

    @abstractmethod
    def fetch(self) -> None:
        """Let torchvision download and unpack the files to `folder`."""

    def missing(self) -> Iterable[str]:
        """Return which of the files are not there."""
        return [name for name in self.files if not (self.folder / name).exists()]

    def require(self) -> None:
        """Make sure that the files are there, downloading them if that is allowed.

        Raises:
            BadInput: They are not, with the overrides that would help.
        """
        missing = ", ".join(self.missing())
        if not missing:
            return
        if not self.download:
            raise BadInput(
                f"{self.title}: {missing} not found in {self.folder}{self.hint}; add "
                "data.source.download=true to download, or data.source.root=FOLDER if you have "
                "the files elsewhere"
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self.fetch()
        except (OSError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise BadInput(
                f"{self.title} could not be downloaded ({reason}); fetch {missing} by other means "
                "and name their folder with data.source.root=FOLDER"
            ) from error

    def fingerprint(self) -> str:
        """Identify the source by its parameters and its files' sizes and times."""
        parameters = self.model_dump(mode="json", exclude={"root", "download"})
        return canonical_hash([parameters, [stamp(self.folder / name) for name in self.files]])


class _Arrays(TorchvisionSource):
    """A set small enough to be read whole."""

    column: ClassVar[Code]

    size: Size = 32
    """Height and width in pixels; 32 keeps the original pixels."""

    def open(self) -> ArraySource:
        """Read the set, downloading it before if that is allowed.

        Raises:
            BadInput: Files are missing and `download` is false, or are not the published ones.
            CorruptFile: Files are truncated or are not what they should be.
        """
        self.require()
        try:
            arrays = self._read()
        except RuntimeError as error:
            raise BadInput(
                f"{self.title}: a file in {self.folder} is not the published one ({error}); "
                "remove it and add data.source.download=true"
            ) from error
        return ArraySource(
            name=self.kind,
            columns=(self.column,),
            arrays={
                split: (resize_all(images, self.size), labels)
                for split, (images, labels) in arrays.items()
            },
            provenance={
                "origin": f"torchvision: {self.title}",
                "split": "train: official train split; test: official test split",
                "size": f"{self.size}x{self.size}",
            },
        )

    def fetch(self) -> None:
        """Let torchvision download the files, which it does on the way to reading them."""
        self._read()

    def _read(self) -> dict[str, Chunk]:
        return {split: self.read(split, self.folder) for split in ("train", "test")}

    @abstractmethod
    def read(self, split: str, folder: Path) -> Chunk:
        """Read a split from a folder: images uint8 (N, C, H, W), labels float32 (N, 1)."""


class SvhnSource(_Arrays):
    """SVHN, cropped house-number digits: 32x32 RGB, 73,257 to train and 26,032 to test."""

    title: ClassVar[str] = "SVHN"
    files: ClassVar[tuple[str, ...]] = ("train_32x32.mat", "test_32x32.mat")
    column: ClassVar[Code] = DIGIT

    kind: Literal["svhn"] = "svhn"

    def read(self, split: str, folder: Path) -> Chunk:
        from torchvision.datasets import SVHN

        read = SVHN(str(folder), split=split, download=self.download)
        # The files say 10 for the digit 0, torchvision says 0; make sure whoever reads them.
        return read.data, _column(np.asarray(read.labels) % 10)


class Cifar10Source(_Arrays):
    """CIFAR-10: 32x32 RGB in ten categories, 50,000 to train and 10,000 to test."""

    title: ClassVar[str] = "CIFAR-10"
    files: ClassVar[tuple[str, ...]] = ("cifar-10-batches-py",)
    column: ClassVar[Code] = CATEGORY

    kind: Literal["cifar10"] = "cifar10"

    def read(self, split: str, folder: Path) -> Chunk:
        from torchvision.datasets import CIFAR10

        read = CIFAR10(str(folder), train=split == "train", download=self.download)
        return np.ascontiguousarray(read.data.transpose(0, 3, 1, 2)), _column(read.targets)


class _IdxSource(_Arrays):
    torchvision_class: ClassVar[str]
    files: ClassVar[tuple[str, ...]] = IDX_FILES
    hint: ClassVar[str] = ", nor in its subfolders raw and torchvision's, plain or .gz"

    size: Size = 28
    """Height and width in pixels; 28 keeps the original pixels."""
    turned: float = Field(default=0, ge=0, le=180)
    """Turn each image by an angle of its own, at most so many degrees either way, and label it with
    the angle, column `angle`. 0 leaves images and labels as they are."""

    def open(self) -> ArraySource:
        """Read the set, and turn its images if asked to."""
        source = super().open()
        if not self.turned:
            return source
        note = f"each by its own angle, at most {self.turned:g} degrees"
        angle = Code(name="angle", kind="continuous", low=-self.turned, high=self.turned)
        return replace(
            source,
            columns=(*source.columns, angle),
            arrays={
                split: turn(*pair, self.turned, split) for split, pair in source.arrays.items()
            },
            provenance={**source.provenance, "turned": note},
        )

    def fingerprint(self) -> str:
        """Identify the source's content by its files' sizes and times."""
        files = [stamp(file) for file in self._find().values()]
        turned = [self.turned] if self.turned else []  # stores of images as they are stay found
        return canonical_hash([self.kind, self.size, *turned, files])

    def fetch(self) -> None:
        """Let torchvision download and unpack all four files."""
        self._dataset(self.folder, "train", download=True)

    def missing(self) -> Iterable[str]:
        """Return all four files unless one folder holds them all."""
        return () if self._find() else self.files

    def _read(self) -> dict[str, Chunk]:
        """Read both splits, from a private copy where torchvision would not take the files."""
        files = self._find()
        with tempfile.TemporaryDirectory(prefix="ssgan-idx-") as private:
            folder = self.folder
            if any(file.suffix or file.parent != self._raw(folder) for file in files.values()):
                folder = Path(private)
                _unpack(files, self._raw(folder))
            return {split: self.read(split, folder) for split in IDX_COUNTS}

    def _raw(self, root: Path) -> Path:
        return root / self.torchvision_class / "raw"

    def _find(self) -> dict[str, Path]:
        """Find all four files in one folder; empty when a folder with all four does not exist."""
        for folder in (self._raw(self.folder), self.folder / "raw", self.folder):
            found: dict[str, Path] = {}
            for name in self.files:
                for candidate in (folder / name, folder / f"{name}.gz"):
                    if candidate.is_file():
                        found.setdefault(name, candidate)
            if len(found) == len(self.files):
                return found
        return {}

    def _dataset(self, root: Path, split: str, download: bool = False) -> Any:
        from torchvision import datasets

        dataset = getattr(datasets, self.torchvision_class)
        return dataset(str(root), train=split == "train", download=download)

    def read(self, split: str, folder: Path) -> Chunk:
        count = IDX_COUNTS[split]
        try:
            read = self._dataset(folder, split)
            images, labels = read.data.numpy()[:, None], _column(read.targets)
        except (ValueError, AssertionError, LookupError, RuntimeError) as error:
            raise CorruptFile(
                f"{self.title}: the {split} files in {self.folder} are not valid idx files "
                f"({error}); fetch them again"
            ) from error
        if len(images) != count or len(labels) != count or not 0 <= labels.max() <= 9:
            raise CorruptFile(
                f"{self.title}: the {split} files in {self.folder} hold {len(images)} images "
                f"and {len(labels)} labels instead of {count}; fetch them again"
            )
        return images, labels


class MnistSource(_IdxSource):
    """MNIST: handwritten digits, 28x28 gray, 60,000 to train and 10,000 to test."""

    title: ClassVar[str] = "MNIST"
    torchvision_class: ClassVar[str] = "MNIST"
    column: ClassVar[Code] = DIGIT

    kind: Literal["mnist"] = "mnist"


class FashionMnistSource(_IdxSource):
    """Fashion-MNIST: articles of clothing, 28x28 gray, 60,000 to train and 10,000 to test."""

    title: ClassVar[str] = "Fashion-MNIST"
    torchvision_class: ClassVar[str] = "FashionMNIST"
    column: ClassVar[Code] = ARTICLE

    kind: Literal["fashion-mnist"] = "fashion-mnist"


def turn(images: Images, labels: Labels, most: float, split: str) -> tuple[Images, Labels]:
    """Turn each image, uint8 (N, 1, H, W), about its middle by an angle of its own.

    Angles are uniform in [-most, most] degrees and always the same for a split, so that no two
    splits are turned alike. What comes into the picture from outside is 0.

    Returns:
        The images, bicubic, and the labels, float32 (N, K), with the angles in degrees as another
        column, float32 (N, K + 1).
    """
    stream = {"test": "judge"}.get(split, split)  # names of streams are seeds, and stay
    random = np.random.default_rng(Streams(0).key(f"turn {stream}"))
    angles = random.uniform(-most, most, len(images)).astype(np.float32)
    turned = [
        np.asarray(Image.fromarray(image[0]).rotate(float(angle), Image.Resampling.BICUBIC))
        for image, angle in zip(images, angles, strict=True)
    ]
    return np.stack(turned)[:, None], np.column_stack([labels, angles])


def _column(labels: Any) -> Labels:
    return np.asarray(labels, dtype=np.float32)[:, None]


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
