"""The run directory: the record of a run, local or on any pyarrow file system.

    experiment.yaml   the resolved configuration            run.json      identity of the run
    labels.parquet    which images count as labeled        record/       one file an epoch
    spread.parquet    which labels others gain from them   summary.json  what the run reached
    checkpoints/      see records.checkpoints              data.json     see records.data_info

What the run owns is written once: a reader, on whatever machine, sees a whole file or none. An
epoch is committed by its record/<epoch>.json, written after the images that it names; an epoch
that is run again after a crash finds it there and reuses it.

The images of an epoch are files in record/<epoch>/. On an object store, where each file would cost
a request, they are one: record/<epoch>.zip, whose members are named as if it were a folder.
"""

import io
import math
import re
import zipfile
from collections.abc import Mapping, Sequence, Set
from typing import Any

from pydantic import ConfigDict, Field, ValidationError, field_validator

from ssgan.base.config import Config, in_a_line
from ssgan.base.errors import CorruptFile
from ssgan.base.json_text import read_json
from ssgan.evaluation.catalog import HEADLINES
from ssgan.records.recorddir import Identity, RecordDir


class Record(Config):
    """What one epoch left: immutable once committed."""

    model_config = ConfigDict(allow_inf_nan=True)  # of metrics, where None takes their place
    epoch: int = Field(ge=0)
    step: int = Field(ge=0)
    """Updates made."""
    images_seen: int = Field(ge=0)
    """Real images that the discriminator has seen, over all workers."""
    timestamp_ms: int
    """When the epoch was evaluated, milliseconds since 1970 UTC."""
    metrics: dict[str, float | None]
    """Flat metric names to values; None where a metric has no value (also for NaN and infinity,
    which JSON cannot say)."""
    images: dict[str, str] = Field(default_factory=dict)
    """Names of pictures to their files, relative to the run directory: PATH, or ZIP_FILE/MEMBER."""
    thumbnails: dict[str, str] = Field(default_factory=dict)
    """Names of pictures to their small copies, WebP; none in a record that 0.1 wrote."""
    reasons: dict[str, str] = Field(default_factory=dict)
    """Why a metric has no value, or how it is to be read, by its name."""
    alarms: tuple[str, ...] = ()
    """What the evaluation warns about, in words."""

    @property
    def numbered_metrics(self) -> dict[str, float | None]:
        """The metrics, with the number of the epoch as `epoch`: what Ray Tune is told of."""
        return {"epoch": self.epoch, **self.metrics}

    @property
    def is_evaluated(self) -> bool:
        """Whether the epoch was evaluated, not only trained."""
        return any(name in self.metrics for name in HEADLINES)

    @field_validator("metrics")
    @classmethod
    def _finite(cls, metrics: dict[str, float | None]) -> dict[str, float | None]:
        return {
            name: value if value is not None and math.isfinite(value) else None
            for name, value in metrics.items()
        }


class RunIdentity(Identity):
    """Identity of a run."""

    run_id: str = Field(pattern="^[0-9a-f]{32}$")


class RunDir(RecordDir[RunIdentity]):
    """A run directory: `create` makes a run, `open` checks that one is there."""

    what = "run"
    written_by = "`ssgan train`"
    identity_file = "run.json"
    definition_file = "experiment.yaml"
    _info = RunIdentity
    _id = "run_id"

    @property
    def run_id(self) -> str:
        """The run's UUID, 32 hexadecimal digits."""
        return self.info.run_id

    def summary(self) -> dict[str, Any] | None:
        """Return summary.json, with the places of today, or None before it has come to its end."""
        summary = super().summary()
        if summary is not None and "run_dir" in summary:
            export = self.locate("export") if summary.get("export") else None
            summary |= {"run_dir": self.location, "export": export}
        return summary

    def commit_record(
        self,
        record: Record,
        images: Mapping[str, bytes] | None = None,
        thumbnails: Mapping[str, bytes] | None = None,
        *,
        is_new: bool = False,
    ) -> Record:
        """Commit an epoch: its pictures first, then its record as the commit mark.

        Args:
            record: What was measured; its `images` and `thumbnails` are filled in here.
            images: PNG bytes by picture name, for example ``samples_ema``.
            thumbnails: WebP bytes of their small copies, by the same names.
            is_new: Whether the caller knows that the epoch was not committed before.

        Returns:
            The record that stands. An epoch that was committed before is never rewritten: then
            that one is returned, and all that was given is dropped.
        """
        committed = None if is_new else self.record(record.epoch)
        if committed is not None:
            return committed
        folder = _pictures_name(record.epoch)
        packed = f"{folder}.zip" if self.is_object_store else folder
        images, thumbnails = images or {}, thumbnails or {}
        files = {
            "images": {name: f"{packed}/{name}.png" for name in images},
            "thumbnails": {name: f"{packed}/{name}.webp" for name in thumbnails},
        }
        contents = {files["images"][name]: data for name, data in images.items()}
        contents |= {files["thumbnails"][name]: data for name, data in thumbnails.items()}
        if contents and self.is_object_store:
            members = {name.removeprefix(f"{packed}/"): data for name, data in contents.items()}
            contents = {packed: _pack(members)}
        for name, data in contents.items():
            self.write_bytes(name, data)
        record = record.model_copy(update=files)
        self.write_json(_record_name(record.epoch), record.model_dump(mode="json"))
        return record

    def record(self, epoch: int) -> Record | None:
        """Return the committed record of an epoch, or None (`CorruptFile` if it cannot be read)."""
        name = _record_name(epoch)
        content = self.find_bytes(name)
        return None if content is None else self._read_record(name, content)

    def records(self) -> Sequence[Record]:
        """Return all committed records by epoch (`CorruptFile` if one cannot be read)."""
        names = map(_record_name, sorted(self.epochs()))
        return [self._read_record(name, self.read_bytes(name)) for name in names]

    def epochs(self) -> Set[int]:
        """Return which epochs are committed, without reading their records."""
        found = (re.fullmatch(r"record/(\d+)\.json", name) for name in self.list("record"))
        return {int(one[1]) for one in found if one is not None}

    def record_times(self) -> dict[int, float]:
        """Return when the record of each epoch was written, seconds by the clock of the storage.

        This is one look, without those into the folders of pictures: for whoever looks often.
        """
        times = self.times("", ".json", "record")
        return {int(name[:-5]): time for name, time in times.items() if name[:-5].isdigit()}

    def pictures(self, record: Record) -> tuple[dict[str, bytes], dict[str, bytes]]:
        """Read the pictures of an epoch by name: PNG bytes, and WebP bytes of their thumbnails."""
        archives: dict[str, zipfile.ZipFile] = {}

        def read(file: str) -> bytes:
            archive, member = _member(file)
            if not member:
                return super(RunDir, self).read_bytes(file)
            if archive not in archives:
                content = super(RunDir, self).read_bytes(archive)
                archives[archive] = zipfile.ZipFile(io.BytesIO(content))
            return archives[archive].read(member)

        images = {name: read(file) for name, file in record.images.items()}
        return images, {name: read(file) for name, file in record.thumbnails.items()}

    def read_bytes(self, name: str) -> bytes:
        """Read one file whole, or a member of an archive, ``ARCHIVE.zip/NAME``."""
        archive, member = _member(name)
        content = super().read_bytes(archive)
        return zipfile.ZipFile(io.BytesIO(content)).read(member) if member else content

    def forget_records(self, after: int) -> None:
        """Delete the records later than an epoch, and their pictures.

        Only for a run that continues from there as another one: a trial that exploited another must
        not take its own old epochs for those to come.
        """
        for epoch in sorted(self.epochs()):
            if epoch > after:
                self.delete(_record_name(epoch))  # from here on it counts for nothing
                self.delete(_pictures_name(epoch))
                self.delete(f"{_pictures_name(epoch)}.zip")

    def _read_record(self, name: str, content: bytes) -> Record:
        try:
            return Record.model_validate(read_json(content))
        except ValueError as error:
            told = in_a_line(error) if isinstance(error, ValidationError) else error
            raise CorruptFile(
                f"{self.locate(name)} is not a record of an epoch ({told}); "
                "delete it and resume the run"
            ) from error


def _record_name(epoch: int) -> str:
    return f"{_pictures_name(epoch)}.json"


def _pictures_name(epoch: int) -> str:
    """Name the folder of an epoch's pictures; the archive instead of it ends in ``.zip``."""
    return f"record/{epoch:04d}"


def _pack(members: Mapping[str, bytes]) -> bytes:
    """Pack files, which are compressed already, so that equal ones make equal archives."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data)  # of 1980
    return sink.getvalue()


def _member(name: str) -> tuple[str, str]:
    """Part ``ARCHIVE.zip/NAME`` into archive and member; a plain file has no member."""
    archive, mark, member = name.partition(".zip/")
    return (f"{archive}.zip", member) if mark else (name, "")
