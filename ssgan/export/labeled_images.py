"""A set of labeled images of any size, written by a generator: streamed, and resumed where it was.

Image i depends on the seed, on i and on its codes alone. Images are rendered in batches that begin
at the same numbers always and are full always, so that the bytes depend neither on how many there
are nor on where work was cut off.
"""

import fcntl
import json
import os
import time
import unicodedata
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray

from ssgan import __version__
from ssgan.base.errors import BadInput
from ssgan.base.extras import PARQUET, check_train_extra
from ssgan.base.progress import Advance
from ssgan.export.class_shares import divide, parse_shares
from ssgan.export.code_values import free_name, to_column
from ssgan.export.generator import CHUNK, NamedGenerator
from ssgan.export.image_files import (
    LABELS,
    Form,
    LabeledImages,
    Saved,
    check_space,
    encode_pngs,
    find_files,
    open_form,
)
from ssgan.method.codes import Code

JOURNAL = "sample.jsonl"
"""How a set was made, and how far it is; beside a file it is called after it."""
_SAVE = 10.0  # seconds of work after which it is seen to that all is on the disk
_LONGEST = 200  # bytes of a folder's name
_ALL = "images"  # the folder, and the class, where no code has classes


def write_labeled_images(
    generator: NamedGenerator,
    out: Path,
    n: int,
    *,
    seed: int = 0,
    codes: Mapping[str, Any] | None = None,
    share: str | None = None,
    agreeing: bool = False,
    device: str = "cpu",
    progress: Advance | None = None,
) -> dict[str, Any]:
    """Write n images and every code of each; go on where the same call was cut off.

    Args:
        generator: Draws them.
        out: A folder, new or empty; or NAME.parquet; or NAME.tar for shards NAME-000000.tar.
        n: Images in total.
        seed: Of all that is drawn.
        codes: Values by name. The values of a list take turns; those of two lists are combined.
        share: How the classes of the code that names the folders are distributed, as
            `parse_shares` takes it; None for what `codes` says.
        agreeing: Leave out images of which Q_ss reads another class than they were asked for.
        device: What computes.
        progress: Told how many images are done.

    Returns:
        ``files`` to open, ``images`` written, ``left_out``, and ``classes``, the images of each.

    Raises:
        BadInput: Before anything is written: the request cannot work, does not fit on the disk, or
            `out` holds something else.
        OSError: It cannot be written any further; what was saved stays, for the same call.
    """
    if out.suffix == ".parquet":
        check_train_extra(f"ssgan sample --out {out}", PARQUET)
    plan = _Plan(generator, seed, dict(codes or {}), share, agreeing)
    request = {
        "generator": generator.manifest.weights_sha256,
        "images": n,
        "seed": seed,
        "codes": plan.codes,
        "share": share if share is None else plan.shares,
        "agreeing": agreeing,
        "device": device,
        "ssgan": __version__,
        "torch": torch.__version__,
    }
    generator.to(device)
    journal = _Journal.path(out)
    if not journal.exists():
        if found := find_files(out):
            raise BadInput(
                f"{found[0]} is there, and not of a set of images that this command began; choose "
                "another --out"
            )
        check_space(out, encode_pngs(plan.render(0).images), n)
    try:
        if not out.suffix:
            out.mkdir(exist_ok=True)
        opened = _Journal.open(journal, request)
    except OSError as error:
        raise BadInput(f"cannot write {out}: {error.strerror}; choose another --out") from error
    with opened as state:
        if state.files is None:
            _write(plan, out, n, state, progress)
        return {
            "files": [str(journal.parent / name) for name in state.files or ()],
            "images": state.done - state.left_out,
            "left_out": state.left_out,
            "classes": state.counts,
        }


class _Batch(NamedTuple):
    """Images of a set, rendered."""

    first: int  # the number of the first one
    c: torch.Tensor  # their code table
    asked: dict[str, Any]  # what was asked for: one value of a code, or one an image
    images: NDArray[np.uint8]  # (CHUNK, H, W, C)
    kept: NDArray[np.bool_]  # (CHUNK,), which are not left out


class _Plan:
    """What image i is asked for, and how it is made."""

    def __init__(
        self,
        generator: NamedGenerator,
        seed: int,
        codes: dict[str, Any],
        share: str | None,
        agreeing: bool,
    ) -> None:
        self.generator, self.seed, self.codes = generator, seed, codes
        space = generator.manifest.space
        for name, value in codes.items():
            to_column(space.codes[space.index(name)], value, 1)
        named = [space.codes[space.index(name)] for name in codes]
        with_classes = [code for code in (*named, *space.codes) if code.is_categorical]
        self.label: Code | None = with_classes[0] if with_classes else None
        """The code that names the folders: the first that is named and has classes, or any."""
        self.shares: tuple[float, ...] | None = None
        if share is not None:
            if self.label is None:
                raise BadInput("--share has no effect: no code has classes")
            asked = codes.get(self.label.name, list(self.label.classes))
            if asked != list(self.label.classes):
                raise BadInput(
                    f"--share says how all classes of {self.label.name} are distributed; write "
                    f"{self.label.name}=all, or leave it out"
                )
            codes.setdefault(self.label.name, asked)
            self.shares = parse_shares(share, self.label, generator.manifest)
        self.read = [code for code in space.supervised if code.is_categorical]
        self.read = [code for code in self.read if code in named or code == self.label]
        if agreeing and not self.read:
            raise BadInput("--agreeing has no effect: Q_ss reads no class that is asked for")
        self.agreeing = agreeing
        self.folders = _folders(self.label)
        self.columns = {code.name: code.is_categorical for code in space.codes}

    def asked(self, first: int, n: int) -> dict[str, Any]:
        """Return the codes of n images: one value, or one an image."""
        lists = {name: value for name, value in self.codes.items() if isinstance(value, list)}
        asked: dict[str, Any] = {**self.codes}
        turns = np.arange(first, first + n)
        label = None if self.label is None else lists.pop(self.label.name, None)
        if self.label is not None and label is not None:
            shares = self.shares or (1 / len(label),) * len(label)
            classes, turns = divide(shares, first, n)
            asked[self.label.name] = [label[index] for index in classes.tolist()]
        for name, values in reversed(lists.items()):
            turns, places = np.divmod(turns, len(values))
            asked[name] = [values[place] for place in places.tolist()]
        return asked

    def render(self, first: int) -> "_Batch":
        """Render a batch, and find which of its images agree."""
        asked = self.asked(first, CHUNK)
        latents = self.generator.draw(CHUNK, self.seed, codes=asked, first=first)
        images = self.generator.render(latents)
        kept = np.ones(CHUNK, dtype=np.bool_)
        if self.agreeing:
            names, readings = self.generator.name_values(latents.c), self.generator.read(images)
            for code in self.read:
                kept &= np.array(readings[code.name].values) == np.array(names[code.name])
        return _Batch(first, latents.c, asked, images, kept)

    def encode(self, batch: "_Batch", n: int) -> LabeledImages:
        """Encode the first n images of a batch, without those that are left out."""
        rows = np.flatnonzero(batch.kept[:n])
        c = batch.c[rows]
        codes = self.generator.name_values(c)
        for code in self.generator.manifest.space.codes:
            value = batch.asked.get(code.name)
            if value is not None and not code.is_categorical:  # without what the unit range rounds
                column = np.broadcast_to(np.asarray(value, dtype=np.float32), len(batch.c))
                codes[code.name] = column[rows]
        classes = [0] * len(rows)
        if self.label is not None:
            classes = c[:, self.generator.manifest.space.index(self.label.name)].int().tolist()
        numbers = (batch.first + rows).tolist()
        files = [
            f"{self.folders[index]}/{number:08d}.png"
            for number, index in zip(numbers, classes, strict=True)
        ]
        contents = encode_pngs(batch.images[rows])
        return LabeledImages(numbers, files, contents, classes, codes)


def _folders(label: Code | None) -> list[str]:
    """Name a folder for each class: as the class, or by its number where no folder is so named."""
    if label is None:
        return [_ALL]
    taken = {LABELS, JOURNAL}
    folders = []
    for index, name in enumerate(label.classes):
        plain = unicodedata.normalize("NFC", name).casefold()  # as some disks compare
        is_hidden = name.startswith((".", "__MACOSX"))
        is_plain = name.isprintable() and name.strip() == name and "/" not in name
        if not name or is_hidden or not is_plain or len(name.encode()) > _LONGEST or plain in taken:
            name = plain = free_name(f"class-{index}", taken)
        taken.add(plain)
        folders.append(name)
    return folders


def _write(plan: _Plan, out: Path, n: int, state: "_Journal", progress: Advance | None) -> None:
    """Write the images that are not done, one batch behind the one that is rendered."""
    form = None
    try:
        form = open_form(out, plan.columns, plan.folders, state.saved)
        with ThreadPoolExecutor(1) as writer:
            waiting: Future[None] | None = None
            for first in range(state.done, n, CHUNK):
                if progress is not None:
                    progress(first, n)
                batch = plan.render(first)
                if waiting is not None:
                    waiting.result()
                waiting = writer.submit(_write_batch, plan, form, state, batch, n)
            if waiting is not None:
                waiting.result()
        state.finish([path.relative_to(_Journal.path(out).parent) for path in form.finish()])
        if progress is not None:
            progress(n, n)
    except OSError as error:
        raise OSError(
            f"cannot write {out}: {error.strerror or error}. {state.saved_images:,} of {n:,} "
            "images are safe; make room, and repeat the command, which goes on from there"
        ) from error
    finally:
        if form is not None:
            form.close()


def _write_batch(plan: _Plan, form: Form, state: "_Journal", batch: _Batch, n: int) -> None:
    end = min(batch.first + CHUNK, n)
    images = plan.encode(batch, end - batch.first)
    form.write(images)
    names = (_ALL,) if plan.label is None else plan.label.classes
    state.count(end, [names[index] for index in images.classes])
    if end == n or state.age >= _SAVE:
        state.save(form.save())


class _Journal:
    """The file that says how a set is made, and how far it is on disk: lines of JSON.

    It is locked while its set is written.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.done = self.left_out = self.saved_images = 0
        self.counts: dict[str, int] = {}
        self.saved = Saved()
        self._saved_at = time.monotonic()
        self.files: list[str] | None = None
        """What a user opens, relative to its own folder; None until all is whole."""

    @staticmethod
    def path(out: Path) -> Path:
        """Return where the journal of a set is."""
        return out.with_name(f"{out.name}.jsonl") if out.suffix else out / JOURNAL

    @classmethod
    def open(cls, path: Path, request: Mapping[str, Any]) -> Self:
        """Begin a journal, or go on with it.

        Raises:
            BadInput: It is one of another request, or another process writes it.
        """
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BadInput(f"another process writes {path.parent}; let it end") from None
            journal = cls(file)
            journal._read(path, json.loads(json.dumps(request)))
        except BaseException:
            file.close()
            raise
        return journal

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def age(self) -> float:
        """Seconds since the state was saved, or since the set was opened."""
        return time.monotonic() - self._saved_at

    def count(self, done: int, classes: Sequence[str]) -> None:
        """Count the images up to a number as written; of those that came now, the classes."""
        self.left_out += done - self.done - len(classes)
        self.done = done
        for name in classes:
            self.counts[name] = self.counts.get(name, 0) + 1

    def save(self, saved: Saved) -> None:
        """Write down that all that was counted is on the disk."""
        self.saved = saved
        self._add(self._state())
        self.saved_images, self._saved_at = self.done, time.monotonic()

    def finish(self, files: Sequence[Path]) -> None:
        """Write down that the set is whole."""
        self.files = [str(file) for file in files]
        self._add({**self._state(), "files": self.files})

    def _state(self) -> dict[str, Any]:
        return {
            "done": self.done,
            "left_out": self.left_out,
            "classes": self.counts,
            "saved": self.saved.model_dump(),
        }

    def _add(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def _read(self, path: Path, request: dict[str, Any]) -> None:
        whole, _, _ = self._file.read().rpartition(b"\n")  # a line that was cut off is none
        lines = whole.splitlines() if whole else []
        self._file.truncate(len(whole) + bool(whole))
        self._file.seek(0, os.SEEK_END)
        try:
            first, *others = [json.loads(line) for line in lines] or [None]
            if first is None:
                self._add({"request": request})
                return
            begun = dict(first["request"])
            for state in others:
                self.done, self.left_out = state["done"], state["left_out"]
                self.counts, self.files = state["classes"], state.get("files")
                self.saved = Saved(**state["saved"])
        except (ValueError, KeyError, TypeError, AttributeError):
            raise BadInput(
                f"{path} does not say how a set of images was made; choose another --out"
            ) from None
        self.saved_images = self.done
        for name, value in request.items():
            if begun.get(name) != value:
                raise BadInput(
                    f"{path.parent} was begun with {name} = {json.dumps(begun.get(name))[:80]}, "
                    f"and now it is {json.dumps(value)[:80]}; choose another --out"
                )
