"""Archives of the files in a folder, or of contents by name."""

import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path


def contents_of(folder: Path) -> dict[str, bytes]:
    """Return all files of a folder by their names, in no order."""
    files = (file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def write_zip(path: Path, contents: Mapping[str, bytes], packed: bool = True) -> Path:
    method = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def write_tar(path: Path, contents: Mapping[str, bytes], form: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w", format=form) as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path
