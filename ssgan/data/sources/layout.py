"""How a folder of pictures is laid out: its pictures, its splits, its classes, its label files."""

import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from ssgan.base.errors import BadInput
from ssgan.data.sources.label_table import LabelTable
from ssgan.data.sources.matching import SUFFIXES, fits

_KINDS = "([-_ ]?(set|data|images|split))?"
_TRAIN = re.compile(f"(train|training){_KINDS}", re.IGNORECASE)
_HELD_OUT = re.compile(f"(valid|val|validation|dev|test|testing|eval){_KINDS}", re.IGNORECASE)
_LABEL_FILES = re.compile(r".*\.csv|metadata\.jsonl|dataset\.json", re.IGNORECASE)
_SHOWN = 5
_MOST_BYTES = 64 * 2**20  # of a table that nobody named

_TABLE = ".parquet"
_NUMBERS = re.compile(r"[-_.]?\d.*$")  # of shards, in train-00000-of-00002

_CLASS_FILES = "*.cls"
"""The class of a picture in a file of its own, as WebDataset has it."""

_REMEDIES = {
    ".parquet": "Parquet files are a source of their own: ssgan init writes a file for them "
    "(data.source.kind=parquet)",
    ".tar": "these are tar shards, of WebDataset perhaps: unpack them (mkdir photos; cat {shards} "
    "| tar -xif - -C photos) and give that folder; labels in .cls files are read, what is in "
    ".json files goes into a CSV",
    ".zip": "this is a zip archive: unpack it (python -m zipfile -e {file} photos) and give that "
    "folder",
}
"""What to do with files that hold pictures, by their ending."""


def find_pictures(root: Path) -> list[str]:
    """Find the pictures in a folder and its sub-folders, in the order of their names.

    Returns:
        Paths relative to the folder, with forward slashes.

    Raises:
        BadInput: There is no such folder, or it holds no picture.
    """
    if root.is_file():
        raise BadInput(f"{root} is not a folder; {_remedy([root])}")
    if not root.is_dir():
        raise BadInput(f"there is no folder {root}; set data.source.root to your image folder")
    files = _walk(root)
    names = [name for name in files if name.lower().endswith(SUFFIXES)]
    if not names:
        raise BadInput(
            f"the folder {root} holds no picture ({', '.join(SUFFIXES)}); "
            f"{_remedy([root / name for name in files])}"
        )
    return sorted(names)


def _remedy(files: Sequence[Path]) -> str:
    """Say what to do with files none of which is a picture."""
    by_ending = {file.suffix.lower(): file for file in sorted(files, reverse=True)}
    for ending, remedy in _REMEDIES.items():
        if ending in by_ending:
            file = by_ending[ending]
            of_kind = sum(other.suffix.lower() == ending for other in files)
            shards = (
                f"{shlex.quote(str(file.parent))}/*.tar" if of_kind > 1 else shlex.quote(str(file))
            )
            return remedy.format(file=shlex.quote(str(file)), shards=shards)
    known = sorted(ending for ending in by_ending if ending)[:_SHOWN]
    found = f" (there are files ending in {', '.join(known)})" if known else ""
    return f"set data.source.root to the folder that does{found}"


def _walk(root: Path) -> list[str]:
    """List all files of a folder and its sub-folders, hidden ones aside."""
    names: list[str] = []
    for folder, below, files in os.walk(root):
        below[:] = sorted(name for name in below if not name.startswith((".", "__MACOSX")))
        names.extend(
            (Path(folder) / name).relative_to(root).as_posix()
            for name in files
            if not name.startswith(".")
        )
    return names


def find_tables(given: Path) -> list[Path]:
    """Find the Parquet files that a path is, or holds in place of pictures, in order."""
    if given.is_file():
        return [given] if given.suffix.lower() == _TABLE else []
    files = _walk(given) if given.is_dir() else []
    if any(name.lower().endswith(SUFFIXES) for name in files):
        return []
    return [given / name for name in sorted(files) if name.lower().endswith(_TABLE)]


def split_tables(files: Sequence[Path], root: Path) -> dict[str, list[Path]]:
    """Group Parquet files by their splits, as their names or their folders below `root` say.

    Returns:
        Files by the word for their split, that of the train split first; empty unless all files
        are of splits, and some of the train split.
    """
    groups: dict[str, list[Path]] = {}
    for file in files:
        parts = [_NUMBERS.sub("", file.stem), *reversed(file.relative_to(root).parent.parts)]
        word = next((part for part in parts if _TRAIN.fullmatch(part)), None)
        word = word or next((part for part in parts if _HELD_OUT.fullmatch(part)), None)
        if word is None:
            return {}
        groups.setdefault(word, []).append(file)
    if sum(_TRAIN.fullmatch(word) is not None for word in groups) != 1:
        return {}
    return dict(sorted(groups.items(), key=lambda group: not _TRAIN.fullmatch(group[0])))


def split_folders(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the folders directly below the root that hold the train split, and what is held out.

    Both are empty unless all of these folders are called as splits are, and one as the train split.
    """
    tops = sorted({name.partition("/")[0] for name in names if "/" in name})
    train = [top for top in tops if _TRAIN.fullmatch(top)]
    held_out = [top for top in tops if _HELD_OUT.fullmatch(top)]
    if not train or len(train) + len(held_out) < len(tops):
        return [], []
    return train, held_out


def class_folders(names: Sequence[str]) -> list[str | None]:
    """Return the class folder of each picture: the top one, or the one below the split's.

    None for pictures that lie in none.
    """
    below = [name.split("/")[:-1] for name in names]
    if split_folders(names)[0] and any(len(folders) > 1 for folders in below):
        below = [folders[1:] for folders in below]
    return [folders[0] if folders else None for folders in below]


def find_label_files(given: Path, root: Path, names: Sequence[str]) -> list[Path]:
    """Find the label files of the pictures in `root`, which lies in the folder that was given.

    They are the CSV, metadata.jsonl or dataset.json in that folder; else those below it, or the
    one beside it, in which most rows name a picture. Several are of one name, in folders each, or
    the .cls files of pictures (`pattern_of`).

    Returns:
        The files; empty if there is none.

    Raises:
        BadInput: Several differ in name, and it is not clear which one is meant.
    """
    found: dict[tuple[int, str], list[Path]] = {}
    for name in sorted(_walk(given)):
        path = given / name
        if path.match(_CLASS_FILES) and path.is_file():
            found.setdefault((1, _CLASS_FILES), []).append(path)
        elif _LABEL_FILES.fullmatch(path.name) and path.is_file():
            found.setdefault((min(name.count("/"), 1), path.name), []).append(path)
    here = [
        files
        for (depth, name), files in found.items()
        if depth == 0 and (name != "dataset.json" or _fit(files, names, root))
    ]
    if len(here) == 1:
        return here[0]
    if here:
        return _one_of(here, [files for files in here if _fit(files, names, root)], given)
    below = [files for files in found.values() if _fit(files, names, root)]
    if below:
        return _one_of(below, below, given)
    above = given.absolute().parent
    if not os.access(above, os.R_OK | os.X_OK):
        return []
    beside = [
        [path]
        for path in sorted(above.iterdir())
        if _LABEL_FILES.fullmatch(path.name)
        and path.is_file()
        and path.stat().st_size <= _MOST_BYTES
    ]
    fitting = [files for files in beside if _fit(files, names, root)]
    return _one_of(fitting, fitting, above) if fitting else []


def pattern_of(files: Sequence[Path]) -> Path | None:
    """Return what stands for label files: the one, or a pattern below the pictures' folder."""
    if len(files) < 2:
        return next(iter(files), None)
    return Path("**") / (_CLASS_FILES if files[0].match(_CLASS_FILES) else files[0].name)


def _one_of(all_files: list[list[Path]], fitting: list[list[Path]], where: Path) -> list[Path]:
    if len(fitting) == 1:
        return fitting[0]
    listed = ", ".join(files[0].name for files in all_files[:8])
    raise BadInput(
        f"{where} holds several CSVs ({listed}{' ...' if len(all_files) > 8 else ''}); say which "
        "one holds the labels with --csv"
    )


def _fit(files: Sequence[Path], names: Sequence[str], root: Path) -> bool:
    try:
        return fits(LabelTable.read(files), names, root)
    except BadInput:
        return False
