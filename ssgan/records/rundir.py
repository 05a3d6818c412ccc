"""The run directory: the record of a run, local or on any pyarrow file system.

    experiment.yaml   the resolved configuration            run.json      identity of the run
    labels.parquet    which images count as labeled        record/       one file an epoch
    checkpoints/      see records.checkpoints              summary.json  what the run reached

What the run owns is written once: a reader, on whatever machine, sees a whole file or none. An
epoch is committed by its record/<epoch>.json, written after the images that it names; an epoch
that is run again after a crash finds it there and reuses it.
"""

import math
from collections.abc import Mapping, Sequence

from pydantic import Field, ValidationError, field_validator

from ssgan.base.config import Config
from ssgan.base.errors import CorruptFile
from ssgan.evaluation.catalog import HEADLINES
from ssgan.records.recorddir import Identity, RecordDir


class Record(Config):
    """What one epoch left: immutable once committed."""

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
    """Names of pictures to their files, relative to the run directory."""
    reasons: dict[str, str] = Field(default_factory=dict)
    """Why a metric has no value, or how it is to be read, by its name."""
    alarms: tuple[str, ...] = ()
    """What the evaluation warns about, in words."""

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

    def commit_record(self, record: Record, images: Mapping[str, bytes] | None = None) -> Record:
        """Commit an epoch: its pictures first, then its record as the commit mark.

        Args:
            record: What was measured; its `images` are filled in here.
            images: PNG bytes by picture name, for example ``samples_ema``.

        Returns:
            The record that stands. An epoch that was committed before is never rewritten: then
            that one is returned, and `record` and `images` are dropped.
        """
        committed = self.record(record.epoch)
        if committed is not None:
            return committed
        files = {name: f"record/{record.epoch:04d}/{name}.png" for name in images or {}}
        for name, data in (images or {}).items():
            self.write_bytes(files[name], data)
        record = record.model_copy(update={"images": files})
        self.write_json(_record_name(record.epoch), record.model_dump(mode="json"))
        return record

    def record(self, epoch: int) -> Record | None:
        """Return the committed record of an epoch, or None (`CorruptFile` if it cannot be read)."""
        name = _record_name(epoch)
        return self._read_record(name) if self.exists(name) else None

    def records(self) -> Sequence[Record]:
        """Return all committed records by epoch (`CorruptFile` if one cannot be read)."""
        names = [name for name in self.list("record") if name.endswith(".json")]
        return sorted(map(self._read_record, names), key=lambda record: record.epoch)

    def forget_records(self, after: int) -> None:
        """Delete the records later than an epoch, and their pictures.

        Only for a run that continues from there as another one: a trial that exploited another must
        not take its own old epochs for those to come.
        """
        for record in self.records():
            if record.epoch > after:
                self.delete(_record_name(record.epoch))  # from here on it counts for nothing
                self.delete(f"record/{record.epoch:04d}")

    def _read_record(self, name: str) -> Record:
        try:
            return Record.model_validate_json(self.read_bytes(name))
        except ValidationError as error:
            raise CorruptFile(
                f"{self.locate(name)} is not a record of an epoch ({error.errors()[0]['msg']}); "
                "delete it and resume the run"
            ) from error


def _record_name(epoch: int) -> str:
    return f"record/{epoch:04d}.json"
