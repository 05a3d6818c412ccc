"""The newest generator of a run, which is loaded again when there is a newer one."""

import logging
import threading
from typing import NamedTuple

import torch

from ssgan.base.errors import BadInput, CorruptFile
from ssgan.data.dataset import Dataset
from ssgan.experiment.tree import Experiment
from ssgan.export.format import MANIFEST, parse_manifest
from ssgan.export.generator import NamedGenerator
from ssgan.launch.loaded_run import load_networks
from ssgan.launch.outcome import EXPORT, open_export, pack
from ssgan.launch.preparation import load_dataset
from ssgan.records.checkpoint_address import step_of
from ssgan.records.checkpoints import Checkpoints
from ssgan.records.rundir import RunDir

_CPU = torch.device("cpu")  # a GPU is the training's

_log = logging.getLogger(__name__)


class Loaded(NamedTuple):
    """A generator, and which one it is."""

    generator: NamedGenerator
    name: str
    """Of its checkpoint, or of the weights of an export."""


class NewestGenerator:
    """The moving average of G of a run's newest checkpoint, or the run's export if that is as new.

    It is loaded in a thread; until then the one before is there. The checkpoint may be pruned
    meanwhile, because there is a newer one: then that is loaded.
    """

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._data: tuple[Experiment, Dataset] | None = None
        self._thread: threading.Thread | None = None
        self._tried: str | None = None
        self.loaded: Loaded | None = None
        """None before the first one is loaded."""
        self.problem: str | None = None
        """Why the newest one could not be loaded, in words."""

    @property
    def is_loading(self) -> bool:
        """Whether one is being loaded."""
        return self._thread is not None and self._thread.is_alive()

    def look(self) -> None:
        """Begin to load what is newer than what is there, if anything is; one thread may call.

        Raises:
            OSError: The storage does not answer.
        """
        if self.is_loading:
            return
        name = Checkpoints(self._run).newest()
        exported = self._exported(name)
        wanted = exported or name
        if wanted is None or wanted == self._tried:
            return
        self._tried = wanted
        self._thread = threading.Thread(
            target=self._load, args=(name, exported), name="newest generator", daemon=True
        )
        self._thread.start()

    def wait(self) -> None:
        """Wait until nothing is being loaded."""
        if self._thread is not None:
            self._thread.join()

    def _exported(self, newest: str | None) -> str | None:
        """Return the hash of the run's export, if it is the moving average of the newest state."""
        content = self._run.find_bytes(f"{EXPORT}/{MANIFEST}")
        if content is None:
            return None
        try:
            manifest = parse_manifest(content, self._run.locate(f"{EXPORT}/{MANIFEST}"))
        except BadInput:
            return None
        if (manifest.copy_of, manifest.provenance.get("run_id")) != ("ema", self._run.run_id):
            return None
        step = manifest.provenance.get("step")
        is_newest = isinstance(step, int) and (newest is None or step >= step_of(newest))
        return manifest.weights_sha256 if is_newest else None

    def _load(self, checkpoint: str | None, exported: str | None) -> None:
        try:
            if exported is not None:
                generator, problem = NamedGenerator.load(self._run.locate(EXPORT)), None
                name = exported
            else:
                assert checkpoint is not None
                (generator, problem), name = self._open_checkpoint(checkpoint), checkpoint
            self.loaded, self.problem = Loaded(generator, name), problem
        except Exception as error:
            if isinstance(error, CorruptFile) and self._is_past(checkpoint, exported):
                return  # it was pruned while it was read, and the next look finds the newer one
            if isinstance(error, OSError):
                self._tried = None  # the storage may answer again
            elif not isinstance(error, BadInput):
                _log.exception("no generator from %s", self._run.location)
            self.problem = str(error) or repr(error)

    def _is_past(self, checkpoint: str | None, exported: str | None) -> bool:
        """Whether what was wanted is no longer the newest."""
        newest = Checkpoints(self._run).newest()
        return (newest, self._exported(newest)) != (checkpoint, exported)

    def _open_checkpoint(self, name: str) -> tuple[NamedGenerator, str | None]:
        """Open a checkpoint; the one before it, with what is wrong, if there is nothing else."""
        if self._data is None:
            experiment = self._run.read_definition(Experiment)
            self._data = experiment, load_dataset(experiment, self._run)
        problem = None
        try:
            loaded = load_networks(self._run, *self._data, _CPU, name)
        except CorruptFile as error:
            if self.loaded is not None or self._is_past(name, None):
                raise
            loaded, problem = load_networks(self._run, *self._data, _CPU), str(error)
        return open_export(loaded, pack(loaded)), problem
