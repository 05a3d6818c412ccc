"""SVHN and CIFAR-10 through torchvision, which checks the files' hashes."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from ssgan.base.config import Config, canonical_hash
from ssgan.base.errors import BadInput
from ssgan.base.storage import default_cache
from ssgan.data.sources.base import Chunk, in_chunks, stamp
from ssgan.data.sources.digits import DIGIT
from ssgan.data.sources.framing import Size, resize_all
from ssgan.method.codes import Code

CATEGORY = Code(
    name="category",
    kind="categorical",
    classes=(
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ),
)


class Published(Config):
    """What the published sets have in common: a folder, and whether to download to it."""

    title: ClassVar[str]
    files: ClassVar[tuple[str, ...]]

    root: Path | None = None
    """Folder with the files as torchvision lays them out. Null: the download folder of ssgan's
    cache."""
    download: bool = False
    """Whether torchvision may download the files to `root` when they are not there."""

    @property
    def folder(self) -> Path:
        """The folder that `root` stands for."""
        return (self.root or default_cache() / "downloads").expanduser()

    def fetch(self) -> None:
        """Let torchvision download and unpack the files to `folder`."""
        raise NotImplementedError

    def require(self) -> None:
        """Make sure that the files are there, downloading them if that is allowed.

        Raises:
            BadInput: They are not, with the overrides that would help.
        """
        missing = [name for name in self.files if not (self.folder / name).exists()]
        if not missing:
            return
        if not self.download:
            raise BadInput(
                f"{self.title}: {', '.join(missing)} not found in {self.folder}; add "
                "data.source.download=true to download, or data.source.root=FOLDER if you have "
                "the files elsewhere"
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self.fetch()
        except (OSError, RuntimeError) as error:
            raise BadInput(
                f"{self.title} could not be downloaded ({error}); fetch {', '.join(missing)} "
                "by other means and name their folder with data.source.root=FOLDER"
            ) from error

    def fingerprint(self) -> str:
        """Identify the source by its parameters and its files' sizes and times."""
        parameters = self.model_dump(mode="json", exclude={"root", "download"})
        return canonical_hash([parameters, [stamp(self.folder / name) for name in self.files]])


@dataclass(frozen=True)
class PublishedArrays:
    """A set that torchvision reads whole, one split at a time.

    Attributes:
        config: Reads a split.
        columns: The label column.
        counts: Images of each split.
    """

    config: "SvhnSource | Cifar10Source"
    columns: tuple[Code, ...]
    counts: Mapping[str, int]
    broken: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Short name of the data set."""
        return self.config.kind

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of every image."""
        return 3, self.config.size, self.config.size

    @property
    def provenance(self) -> Mapping[str, str]:
        """Where the images came from."""
        return {
            "origin": f"torchvision: {self.config.title}",
            "split": "train: official train split; judge: official test split",
            "size": f"{self.config.size}x{self.config.size}",
        }

    def splits(self) -> dict[str, Iterable[Chunk]]:
        """Return the chunks of each split; a split is read when its first chunk is asked for."""
        return {split: self._chunks(split) for split in self.counts}

    def _chunks(self, split: str) -> Iterator[Chunk]:
        try:
            images, labels = self.config.read(split)
        except RuntimeError as error:
            raise BadInput(
                f"{self.config.title}: a file in {self.config.folder} is not the published one "
                f"({error}); remove it and add data.source.download=true"
            ) from error
        for chunk, values in in_chunks(images, labels):
            yield resize_all(chunk, self.config.size), values


class SvhnSource(Published):
    """SVHN, cropped house-number digits: 32x32 RGB, 73,257 to train and 26,032 to judge by."""

    title: ClassVar[str] = "SVHN"
    files: ClassVar[tuple[str, ...]] = ("train_32x32.mat", "test_32x32.mat")

    kind: Literal["svhn"] = "svhn"
    size: Size = 32
    """Height and width in pixels; 32 keeps the original pixels."""

    def open(self) -> PublishedArrays:
        """Check that the files are there, or download them.

        Raises:
            BadInput: They are not, and `download` is false.
        """
        self.require()
        return PublishedArrays(self, (DIGIT,), {"train": 73_257, "judge": 26_032})

    def fetch(self) -> None:
        """Let torchvision download both files."""
        for split in ("train", "judge"):
            self.read(split)

    def read(self, split: str) -> Chunk:
        """Read a whole split: uint8 (N, 3, 32, 32), labels (N, 1); 0 stands for the digit 0."""
        from torchvision.datasets import SVHN

        part = "train" if split == "train" else "test"
        read = SVHN(str(self.folder), split=part, download=self.download)
        # The files say 10 for the digit 0, torchvision says 0; make sure whoever reads them.
        labels = np.asarray(read.labels) % 10
        return read.data, labels.astype(np.float32)[:, None]


class Cifar10Source(Published):
    """CIFAR-10: 32x32 RGB in ten categories, 50,000 to train and 10,000 to judge by."""

    title: ClassVar[str] = "CIFAR-10"
    files: ClassVar[tuple[str, ...]] = ("cifar-10-batches-py",)

    kind: Literal["cifar10"] = "cifar10"
    size: Size = 32
    """Height and width in pixels; 32 keeps the original pixels."""

    def open(self) -> PublishedArrays:
        """Check that the files are there, or download them.

        Raises:
            BadInput: They are not, and `download` is false.
        """
        self.require()
        return PublishedArrays(self, (CATEGORY,), {"train": 50_000, "judge": 10_000})

    def fetch(self) -> None:
        """Let torchvision download and unpack the archive."""
        self.read("judge")

    def read(self, split: str) -> Chunk:
        """Read a whole split: uint8 (N, 3, 32, 32), labels (N, 1)."""
        from torchvision.datasets import CIFAR10

        read = CIFAR10(str(self.folder), train=split == "train", download=self.download)
        images = np.ascontiguousarray(read.data.transpose(0, 3, 1, 2))
        return images, np.asarray(read.targets, dtype=np.float32)[:, None]
