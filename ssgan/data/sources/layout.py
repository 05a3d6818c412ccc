"""How a set of pictures is laid out: its pictures, its splits, its classes, its label files."""

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ssgan.base.errors import BadInput
from ssgan.data.sources.archives import is_archive, unpacking
from ssgan.data.sources.label_table import OF_ONE_PICTURE, LabelTable
from ssgan.data.sources.matching import fits
from ssgan.data.sources.tree import SUFFIXES, Tree, list_files

_KINDS = "([-_ ]?(set|data|images|split))?"
_TRAIN = re.compile(f"(train|training){_KINDS}", re.IGNORECASE)
_HELD_OUT = re.compile(f"(valid|val|validation|dev|test|testing|eval){_KINDS}", re.IGNORECASE)
_LABEL_FILES = re.compile(r".*\.csv|metadata\.jsonl|dataset\.json", re.IGNORECASE)
_SHOWN = 5
_MOST_BYTES = 64 * 2**20  # of a table that nobody named

_TABLE = ".parquet"
_NUMBERS = re.compile(r"[-_.]?\d.*$")  # of shards, in train-00000-of-00002
_WORDS = re.compile("[-_.]")  # what is between them, in faces-train-000.tar

_COMPRESSED = (".tgz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst")
"""Endings of archives that are not read in place."""


def find_pictures(tree: Tree) -> list[str]:
    """Find the pictures below a path, in the order of their names.

    Returns:
        Paths relative to the tree's root, with forward slashes.

    Raises:
        BadInput: There is no such folder or archive, or it holds no picture.
    """
    root, names = tree.root, tree.names
    pictures = sorted(name for name in names if name.lower().endswith(SUFFIXES))
    if pictures:
        return pictures
    if not tree.archives and root.is_file():
        raise BadInput(f"{root} is not a folder or an archive; {_remedy([root])}")
    if not tree.archives and not root.is_dir():
        raise BadInput(
            f"there is no folder or archive {root}; set data.source.root to your image folder"
        )
    raise BadInput(
        f"the {'archive' if root in tree.archives else 'folder'} {root} holds no picture "
        f"({', '.join(SUFFIXES)}); {_remedy([root / name for name in names])}"
    )


def _remedy(files: Sequence[Path]) -> str:
    """Say what to do with files none of which is a picture."""
    for file in sorted(files):
        if file.suffix.lower() == _TABLE:
            return (
                "Parquet files are a source of their own: ssgan init writes a file for them "
                "(data.source.kind=parquet)"
            )
        if file.name.lower().endswith(_COMPRESSED):
            return (
                f"a compressed tar is not read in place: unpack it ({unpacking(file)}) and give "
                "that folder"
            )
    known = sorted({file.suffix.lower() for file in files} - {""})[:_SHOWN]
    found = f" (there are files ending in {', '.join(known)})" if known else ""
    return f"set data.source.root to the folder that does{found}"


def find_tables(given: Path) -> list[Path]:
    """Find the Parquet files that a path is, or holds in place of pictures, in order."""
    if given.is_file():
        return [given] if given.suffix.lower() == _TABLE else []
    files = list_files(given) if given.is_dir() else []
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


def folders_of(name: str) -> list[str]:
    """Return the folders that a picture lies in, the top one first.

    Archives are none of them, unless the top one is called as a split is: all in train-000.tar lies
    in "train".
    """
    folders = name.split("/")[:-1]
    if folders and is_archive(folders[0]):
        words = _WORDS.split(folders[0])[:-1]
        split = next((word for word in words if _TRAIN.fullmatch(word)), None)
        split = split or next((word for word in words if _HELD_OUT.fullmatch(word)), None)
        folders[:1] = [] if split is None else [split]
    return [folder for folder in folders if not is_archive(folder)]


def top_of(name: str) -> str:
    """Return the first of `folders_of`, empty where there is none."""
    return next(iter(folders_of(name)), "")


def split_folders(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the folders directly below the root that hold the train split, and what is held out.

    Both are empty unless all of these folders are called as splits are, and one as the train split.
    """
    tops = sorted({*map(top_of, names)} - {""})
    train = [top for top in tops if _TRAIN.fullmatch(top)]
    held_out = [top for top in tops if _HELD_OUT.fullmatch(top)]
    if not train or len(train) + len(held_out) < len(tops):
        return [], []
    return train, held_out


def class_folders(names: Sequence[str]) -> list[str | None]:
    """Return the class folder of each picture: the top one, or the one below the split's.

    None for pictures that lie in none.
    """
    below = [folders_of(name) for name in names]
    if split_folders(names)[0] and any(len(folders) > 1 for folders in below):
        below = [folders[1:] for folders in below]
    return [folders[0] if folders else None for folders in below]


def find_label_files(tree: Tree, root: Path, names: Sequence[str]) -> list[Path]:
    """Find the label files of the pictures in `root`, which lies in the tree that was given.

    They are the CSV, metadata.jsonl or dataset.json in the tree's root; else those below it, or the
    one beside it, in which most rows name a picture. Several are of one name, in folders each, or
    files of one picture each (`OF_ONE_PICTURE`) as WebDataset has them; `pattern_of`.

    Returns:
        The files; empty if there is none.

    Raises:
        BadInput: Several differ in name, and it is not clear which one is meant.
    """
    given = tree.root
    found: dict[tuple[int, str], list[Path]] = {}
    for name in sorted(tree.names):
        file = name.rpartition("/")[2]
        if _LABEL_FILES.fullmatch(file) and tree.is_file(given / name):
            found.setdefault((min(name.count("/"), 1), file), []).append(given / name)
    here = [
        files
        for (depth, name), files in found.items()
        if depth == 0 and (name != "dataset.json" or _fit(files, names, tree, root))
    ]
    if len(here) == 1:
        return here[0]
    if here:
        return _one_of(here, [files for files in here if _fit(files, names, tree, root)], given)
    below = [files for files in found.values() if _fit(files, names, tree, root)]
    own = _find_own(tree, names, root)
    if any(file.match("*.cls") for file in own):
        below.append(own)
    if below:
        return _one_of(below, below, given)
    fitting = [files for files in _find_beside(given) if _fit(files, names, tree, root)]
    return _one_of(fitting, fitting, given.absolute().parent) if fitting else own


def _find_own(tree: Tree, names: Sequence[str], root: Path) -> list[Path]:
    """Find the label files of one picture each: of all their endings that can be read as such."""
    pictures = {(root / name).with_suffix("") for name in names}
    by_ending: dict[str, list[Path]] = {}
    for name in sorted(tree.names):
        ending = PurePosixPath(name).suffix
        path = tree.root / name
        if ending in OF_ONE_PICTURE and path.with_suffix("") in pictures and tree.is_file(path):
            by_ending.setdefault(ending, []).append(path)
    fitting = [files for files in by_ending.values() if _fit(files, names, tree, root)]
    return sorted(path for files in fitting for path in files)


def _find_beside(given: Path) -> list[list[Path]]:
    """Find label files beside a folder or an archive."""
    above = given.absolute().parent
    if not above.is_dir() or not os.access(above, os.R_OK | os.X_OK):
        return []
    return [
        [path]
        for path in sorted(above.iterdir())
        if _LABEL_FILES.fullmatch(path.name)
        and path.is_file()
        and path.stat().st_size <= _MOST_BYTES
    ]


def pattern_of(files: Sequence[Path]) -> Path | None:
    """Return what stands for label files: the one, or a pattern below the pictures' folder.

    ``*.{cls,json}`` are two patterns (`expand`).
    """
    if len(files) < 2:
        return next(iter(files), None)
    if len({file.name for file in files}) == 1:
        return Path("**") / files[0].name
    endings = sorted({file.suffix for file in files})
    if len(endings) == 1:
        return Path("**") / f"*{endings[0]}"
    return Path("**") / f"*.{{{','.join(ending[1:] for ending in endings)}}}"


def expand(pattern: str) -> list[str]:
    """Return the patterns that one with braces stands for, as shells do."""
    before, opening, rest = pattern.partition("{")
    inner, closing, after = rest.partition("}")
    return (
        [f"{before}{one}{after}" for one in inner.split(",")] if opening and closing else [pattern]
    )


def _one_of(all_files: list[list[Path]], fitting: list[list[Path]], where: Path) -> list[Path]:
    if len(fitting) == 1:
        return fitting[0]
    listed = ", ".join(files[0].name for files in all_files[:8])
    raise BadInput(
        f"{where} holds several CSVs ({listed}{' ...' if len(all_files) > 8 else ''}); say which "
        "one holds the labels with --csv"
    )


def _fit(files: Sequence[Path], names: Sequence[str], tree: Tree, root: Path) -> bool:
    try:
        return fits(LabelTable.read(files, tree.read), names, root)
    except BadInput:
        return False
