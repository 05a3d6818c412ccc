"""Zip and tar archives, read where they are: an index of their members, and the bytes of one."""

import io
import os
import shlex
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ssgan.base.errors import BadInput, CorruptFile

_ENDINGS = (".zip", ".tar")
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
"""How files begin that gzip, bzip2, xz and zstd wrote."""
_HEADER = 30  # bytes before the name of a zip's member
_MOST_BYTES = 256 * 2**20  # of a member, unpacked: more than any picture to train on has


def is_archive(path: Path | str) -> bool:
    """Whether a file is an archive that is read in place, by its ending."""
    return str(path).lower().endswith(_ENDINGS)


def is_hidden(name: str) -> bool:
    """Whether a file is of a system rather than of the user, by its path with slashes."""
    *folders, file = name.split("/")
    return file.startswith(".") or any(part.startswith((".", "__MACOSX")) for part in folders)


def unpacking(path: Path, folder: str = "photos") -> str:
    """Return the command that unpacks an archive into a folder."""
    file = shlex.quote(str(path))
    if path.suffix.lower() == ".zip":
        return f"python -m zipfile -e {file} {folder}"
    return f"mkdir {folder}; tar -xf {file} -C {folder}"


class Member(NamedTuple):
    """Where a member lies in its archive."""

    start: int
    """Its first byte; in a zip, that of the header before it."""
    packed: int
    """Bytes there."""
    size: int
    """Bytes unpacked."""
    crc: int | None = None
    """Its checksum, where the archive has one."""
    is_deflated: bool = False
    fault: str = ""
    """Why it cannot be read; empty where it can."""


@dataclass(frozen=True)
class Archive:
    """An archive and its members. Several threads may read at once: each opens the file itself."""

    path: Path
    members: Mapping[str, Member]
    """By name, with forward slashes; hidden ones aside."""

    @classmethod
    def open(cls, path: Path) -> "Archive":
        """Find the members of an archive; their content is not read.

        Raises:
            BadInput: It has to be unpacked, since members are encrypted, are packed in a rare way,
                have one name, or lead out of it.
            CorruptFile: It is not an archive, or only part of one.
        """
        kind = path.suffix.lower().removeprefix(".")
        members: dict[str, Member] = {}
        try:
            for name, member in (_index_zip if kind == "zip" else _index_tar)(path):
                parts = [part for part in name.split("/") if part not in ("", ".")]
                if ".." in parts:
                    raise BadInput(
                        f"{path} holds {name[:80]!r}, which leads out of it; unpack it by a tool "
                        "that you trust and give that folder"
                    )
                clean = "/".join(parts)
                if not clean or is_hidden(clean):
                    continue
                if clean in members:
                    raise BadInput(
                        f"{path} holds {clean[:80]!r} twice; unpack it ({unpacking(path)}), which "
                        "keeps the last one, and give that folder"
                    )
                members[clean] = member
        except BadInput:
            raise
        except Exception as error:  # both modules raise almost anything on damaged files
            told = " ".join(str(error).split())[:200] or type(error).__name__
            raise CorruptFile(
                f"{path} is not a whole {kind} archive ({told}); fetch it again"
            ) from error
        return cls(path, members)

    def read(self, name: str) -> bytes:
        """Read a member.

        Raises:
            OSError: It is not there, is damaged, or states more bytes than a picture can have.
        """
        if (member := self.members.get(name)) is None:
            raise FileNotFoundError(f"{self.path} has no member {name}")
        if member.fault:
            raise OSError(f"{name} in {self.path} is {member.fault}")
        if max(member.size, member.packed) > _MOST_BYTES:
            raise OSError(
                f"{name} in {self.path} states {member.size:,} bytes, more than {_MOST_BYTES:,}"
            )
        with self.path.open("rb") as file:
            file.seek(member.start)
            if member.crc is not None:
                header = file.read(_HEADER)
                if len(header) < _HEADER or not header.startswith(b"PK\3\4"):
                    raise OSError(f"{name} in {self.path} is damaged")
                file.seek(sum(struct.unpack("<HH", header[-4:])), os.SEEK_CUR)
            content = file.read(member.packed)
        if member.is_deflated:
            try:
                content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, member.size + 1)
            except zlib.error as error:
                raise OSError(f"{name} in {self.path} is damaged: {error}") from error
        if len(content) != member.size or member.crc not in (None, zlib.crc32(content)):
            raise OSError(f"{name} in {self.path} is damaged")
        return content


def _index_zip(path: Path) -> Iterator[tuple[str, Member]]:
    """Yield the members of a zip, as the directory at its end lists them."""
    with zipfile.ZipFile(path) as archive:
        length = path.stat().st_size
        for info in archive.infolist():
            if info.is_dir():
                continue
            name = info.filename.replace("\\", "/")  # some tools of Windows write these
            if info.flag_bits & 1:
                raise BadInput(
                    f"{name[:80]!r} in {path} is encrypted; unpack it with its password, for "
                    f"example with 7z x {shlex.quote(str(path))}, and give that folder"
                )
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise BadInput(
                    f"{name[:80]!r} in {path} is packed by method {info.compress_type}, which is "
                    f"not read in place; unpack it ({unpacking(path)}) and give that folder"
                )
            if info.header_offset < 0 or info.header_offset + info.compress_size > length:
                raise ValueError(f"{name[:80]} lies behind its end")
            is_deflated = info.compress_type == zipfile.ZIP_DEFLATED
            member = Member(
                info.header_offset, info.compress_size, info.file_size, info.CRC, is_deflated
            )
            yield name, member


class _Bounded(io.FileIO):
    """A file that allocates no more for a read than is left of it, whatever a header states."""

    def read(self, size: int | None = -1, /) -> bytes:
        left = os.fstat(self.fileno()).st_size - self.tell()
        return super().read(left if size is None or size < 0 else min(size, max(left, 0)))


def _index_tar(path: Path) -> Iterator[tuple[str, Member]]:
    """Yield the members of a tar, header by header."""
    with _Bounded(path) as file:
        if file.read(8).startswith(_COMPRESSED):
            raise BadInput(
                f"{path} is compressed, and a compressed tar is not read in place; unpack it "
                f"({unpacking(path)}) and give that folder"
            )
        file.seek(0)
        archive = tarfile.TarFile(fileobj=file)
        last = -1
        while (info := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]  # else all headers stay in memory
            if info.offset <= last:
                raise ValueError(f"{info.name[:80]} has an impossible size")
            last = info.offset
            if info.isdir():
                continue
            fault = "" if info.isreg() and not info.issparse() else "a link, not a file"
            if info.offset_data + info.size > path.stat().st_size and not fault:
                raise ValueError(f"{info.name[:80]} goes on behind its end")
            yield info.name, Member(info.offset_data, info.size, info.size, fault=fault)
        file.seek(archive.offset)
        if len(end := file.read(tarfile.BLOCKSIZE)) < tarfile.BLOCKSIZE or end.strip(b"\0"):
            raise ValueError("its end is missing or damaged")
        while block := file.read(2**20):
            if block.strip(b"\0"):
                raise BadInput(
                    f"{path} goes on behind its end: several archives in one file; unpack them "
                    f"(mkdir photos; tar -xif {shlex.quote(str(path))} -C photos)"
                )
