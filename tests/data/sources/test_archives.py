"""Archives: members come back, and what is damaged or dangerous is refused in a line."""

import io
import struct
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssgan.base.errors import BadInput, CorruptFile
from ssgan.data.sources import archives
from ssgan.data.sources.archives import Archive
from tests.helpers.archives import write_tar, write_zip

CONTENTS = {"a.txt": b"one" * 400, "sub/b.txt": b"", "sub/deep/c": bytes(range(256))}
NAMES = st.lists(st.text("abc\u00e9 ", min_size=1, max_size=90), min_size=1, max_size=4)


@pytest.fixture(scope="module", params=["zip", "stored.zip", "gnu.tar", "pax.tar", "ustar.tar"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def write(folder: Path, kind: str, contents: dict[str, bytes]) -> Path:
    path = folder / f"set.{kind}"
    if kind.endswith("zip"):
        return write_zip(path, contents, packed=kind == "zip")
    form = {"gnu.tar": tarfile.GNU_FORMAT, "ustar.tar": tarfile.USTAR_FORMAT}
    return write_tar(path, contents, form.get(kind, tarfile.PAX_FORMAT))


def test_members_come_back(tmp_path: Path, kind: str) -> None:
    archive = Archive.open(write(tmp_path, kind, CONTENTS))
    assert {name: archive.read(name) for name in archive.members} == CONTENTS
    with pytest.raises(FileNotFoundError):
        archive.read("d")


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(NAMES.map("/".join), st.binary(max_size=900), max_size=6))
def test_members_of_any_names_and_lengths_come_back(
    tmp_path_factory: pytest.TempPathFactory, kind: str, contents: dict[str, bytes]
) -> None:
    if kind == "ustar.tar":
        contents = {f"{number}": content for number, content in enumerate(contents.values())}
    archive = Archive.open(write(tmp_path_factory.mktemp("any"), kind, contents))
    assert {name: archive.read(name) for name in archive.members} == contents


def test_threads_read_at_once(tmp_path: Path, kind: str) -> None:
    contents = {f"{i}": bytes([i]) * (1000 + i) for i in range(100)}
    archive = Archive.open(write(tmp_path, kind, contents))
    names = [*contents] * 10
    with ThreadPoolExecutor(8) as threads:
        for name, content in zip(names, threads.map(archive.read, names), strict=True):
            assert content == contents[name]


def test_what_a_system_left_is_hidden_and_names_are_made_plain(tmp_path: Path, kind: str) -> None:
    odd = ["./a.png", "__MACOSX/b/._c.png", "b/._c.png", ".git/x.png", "/abs/d.png", "b//e.png"]
    archive = Archive.open(write(tmp_path, kind, dict.fromkeys(odd, b"x")))
    assert {*archive.members} == {"a.png", "abs/d.png", "b/e.png"}
    assert archive.read("abs/d.png") == b"x"


def test_names_that_lead_out_of_an_archive_are_refused(tmp_path: Path, kind: str) -> None:
    for name in ("../x.png", "a/../../x.png"):
        with pytest.raises(BadInput, match=r"holds '.*x\.png', which leads out of it"):
            Archive.open(write(tmp_path, kind, {name: b""}))
    with pytest.raises(BadInput, match="leads out of it"):
        Archive.open(write_zip(tmp_path / "windows.zip", {"..\\x.png": b""}))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x", "1")
        archive.writestr("./x", "2")
    write_tar(tmp_path / "a.tar", {"x": b"1", "./x": b"2"})
    for name, command in (("a.zip", r"python -m zipfile -e \S+ photos"), ("a.tar", "tar -xf")):
        with pytest.raises(BadInput, match=rf"holds 'x' twice; unpack it \(.*{command}"):
            Archive.open(tmp_path / name)


def test_a_part_of_an_archive_is_refused_wherever_it_is_cut(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, kind, CONTENTS)
    whole = path.read_bytes()
    with zipfile.ZipFile(path) if kind.endswith("zip") else tarfile.open(path) as opened:
        members = opened.infolist() if kind.endswith("zip") else opened.getmembers()
        ends = [getattr(one, "header_offset", None) or one.offset for one in members[1:]]
    end = len(whole.rstrip(b"\0"))  # behind it there is nothing but the mark of a tar's end
    for length in {0, 1, 100, 511, 512, 700, *ends, end - 1} & {*range(end)}:
        path.write_bytes(whole[:length])
        with pytest.raises(CorruptFile, match=r"is not a whole .* archive .*; fetch it again"):
            Archive.open(path)


def test_a_damaged_member_is_an_error_of_its_own(tmp_path: Path) -> None:
    for packed in (True, False):
        path = write_zip(tmp_path / "a.zip", {"a": bytes(range(256)), "b": b"whole"}, packed)
        content = bytearray(path.read_bytes())
        content[80] ^= 255
        path.write_bytes(content)
        archive = Archive.open(path)
        with pytest.raises(OSError, match=r"a in .* is damaged"):
            archive.read("a")
        assert archive.read("b") == b"whole"


def test_encrypted_and_rarely_packed_members_are_named(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.png": b"secret"})
    content = bytearray(path.read_bytes())
    start = content.index(b"PK\1\2")
    content[start + 8] |= 1  # bit 0 of the flags
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"'a\.png' in .* is encrypted; unpack it with its password"):
        Archive.open(path)
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.png", b"x" * 99)
    with pytest.raises(BadInput, match="packed by method 14, which is not read in place; unpack"):
        Archive.open(tmp_path / "b.zip")


def test_nothing_is_unpacked_beyond_what_a_member_states(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = write_zip(tmp_path / "bomb.zip", {"a.png": bytes(3_000_000), "b.png": b"x"})
    monkeypatch.setattr(archives, "_MOST_BYTES", 2_000_000)
    opened = Archive.open(bomb)
    with pytest.raises(OSError, match="states 3,000,000 bytes, more than 2,000,000"):
        opened.read("a.png")
    assert opened.read("b.png") == b"x"
    content = bytearray(bomb.read_bytes())  # now it states less than it holds
    start = content.index(b"PK\1\2") + 24
    content[start : start + 4] = struct.pack("<I", 100)
    bomb.write_bytes(content)
    with pytest.raises(OSError, match="is damaged"):
        Archive.open(bomb).read("a.png")


def test_a_compressed_tar_is_named_with_the_command_that_unpacks_it(tmp_path: Path) -> None:
    for mode in ("gz", "bz2", "xz"):
        path = tmp_path / "a.tar"
        with tarfile.open(path, f"w:{mode}") as tar:
            tar.addfile(tarfile.TarInfo("x.png"))
        with pytest.raises(BadInput, match=r"is compressed.*mkdir photos; tar -xf \S+ -C photos"):
            Archive.open(path)


def test_several_tars_in_one_file_are_not_read_in_part(tmp_path: Path) -> None:
    one = write_tar(tmp_path / "1.tar", {"a": b"1"}).read_bytes()
    (tmp_path / "2.tar").write_bytes(one + one)
    with pytest.raises(BadInput, match=r"goes on behind its end.*tar -xif"):
        Archive.open(tmp_path / "2.tar")


def test_links_are_there_and_cannot_be_read(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        link = tarfile.TarInfo("a.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        file = tarfile.TarInfo("b.png")
        file.size = 1
        tar.addfile(file, io.BytesIO(b"x"))
    archive = Archive.open(tmp_path / "a.tar")
    with pytest.raises(OSError, match="a link, not a file"):
        archive.read("a.png")
    assert archive.read("b.png") == b"x"
