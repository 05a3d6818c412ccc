"""What `ssgan view` shows: an export, or a run that may be training meanwhile."""

import contextlib
import threading
import time
from importlib import resources
from typing import Any

from ssgan.base.errors import BadInput, CorruptFile
from ssgan.base.storage import Folder
from ssgan.export.format import MANIFEST
from ssgan.export.generator import NamedGenerator
from ssgan.export.html_page import (
    Page,
    Script,
    describe_generator,
    make_frame,
    name_of,
    read_page_file,
    subtitle_of,
)
from ssgan.records.rundir import RunDir
from ssgan.records.searchdir import open_run
from ssgan.viewing.drawing import draw_picture
from ssgan.viewing.newest import Loaded, NewestGenerator
from ssgan.viewing.training import Training

_FILES = resources.files("ssgan.viewing") / "page"
_EVERY, _EVERY_FAR = 1.0, 10.0  # seconds between two looks at a run; at one in an object store
_FOOTER = "Drawn by ssgan view with the exact weights. Nothing leaves this machine."


class View:
    """A generator to turn the knobs of."""

    def __init__(self, source: str, title: str, loaded: Loaded | None) -> None:
        """Show a generator; `source` is how the user named it."""
        self._source, self._title = source, title
        self._loaded = loaded
        self._drawing = threading.Lock()  # a picture takes all threads of torch

    @property
    def loaded(self) -> Loaded | None:
        """The generator that is shown; None before there is one."""
        return self._loaded

    def state(self) -> dict[str, Any]:
        """Return all that the page shows besides its sliders, as JSON.

        Raises:
            BadInput: The run cannot be read.
            OSError: The storage does not answer.
        """
        if (loaded := self.loaded) is None:
            return {"generator": None}
        subtitle = subtitle_of(loaded.generator.manifest.provenance)
        return {"generator": {"name": loaded.name, "subtitle": subtitle}}

    def draw(self, asked: Any) -> dict[str, Any]:
        """Draw a picture by the generator that is shown (`draw_picture`).

        Raises:
            BadInput: There is none yet, or what is asked for cannot be.
        """
        if (loaded := self.loaded) is None:
            raise BadInput("there is no generator yet; the first checkpoint brings one")
        with self._drawing:
            return draw_picture(loaded.generator, asked)

    def picture(self, epoch: int, name: str) -> bytes | None:
        """Return a picture that training has drawn, PNG; None if there is none.

        Raises:
            BadInput: The run cannot be read.
            OSError: The storage does not answer.
        """
        return None

    def page(self) -> Page:
        """Return the page, with sliders if there is a generator."""
        return self._make_page()

    def _make_page(self, *, training: str = "", style: str = "", script: str = "") -> Page:
        loaded, described = self.loaded, None
        subtitle, scripts = "There is no generator yet", [read_page_file("elements.js")]
        if loaded is not None:
            described = describe_generator(loaded.generator, self._source)
            described |= {"remote": True, "generator": loaded.name}
            subtitle = subtitle_of(loaded.generator.manifest.provenance)
            scripts.append(read_page_file("page.js"))
        return make_frame(
            title=self._title,
            subtitle=subtitle,
            described=described,
            scripts=[Script("\n".join([*scripts, script]))],
            style=style,
            training=training,
            footer=_FOOTER,
            is_served=True,
        )


class RunView(View):
    """A run: its newest generator, and what it says of its training.

    Nothing is read while no page asks. It writes nothing into the run and takes no lease.
    """

    def __init__(self, source: str, run: RunDir) -> None:
        """Show a run; `source` is how the user named it."""
        super().__init__(source, run.info.name, None)
        self._looking = threading.Lock()
        self._looked = -_EVERY_FAR  # when, by `time.monotonic`
        self._every = _EVERY_FAR if run.is_object_store else _EVERY
        self._begin(run)

    def _begin(self, run: RunDir) -> None:
        self._run, self._told = run, dict[str, Any]()
        self._training, self._newest = Training(run), NewestGenerator(run)

    @property
    def loaded(self) -> Loaded | None:
        return self._newest.loaded

    def state(self) -> dict[str, Any]:
        with self._looking:
            if time.monotonic() - self._looked >= self._every or not self._told:
                self._look()
                self._looked = time.monotonic()
            return {
                "run": self._run.run_id,
                **super().state(),
                "loading": self._newest.is_loading,
                "problem": self._newest.problem,
                "training": self._told,
            }

    def _look(self) -> None:
        run = RunDir.open(self._run.location)
        if run.run_id != self._run.run_id:  # another one has its name now
            self._begin(run)
        self._told = self._training.tell()
        self._newest.look()

    def picture(self, epoch: int, name: str) -> bytes | None:
        return self._training.picture(epoch, name)

    def page(self) -> Page:
        with contextlib.suppress(BadInput, OSError):  # of which the page will say more
            self.state()
        html, style, script = (
            (_FILES / f"training.{kind}").read_text(encoding="utf-8")
            for kind in ("html", "css", "js")
        )
        return self._make_page(training=html, style=style, script=script)


def open_view(source: str) -> View:
    """Open a run, the winner of a search, or an export, by its folder or URI.

    Raises:
        BadInput: It is neither, or cannot be read.
    """
    if not Folder(source).exists(MANIFEST):
        run_view = RunView(source, _open_run(source))
        run_view.state()  # it begins to load, and says now what it cannot read
        return run_view
    generator = NamedGenerator.load(source)
    loaded = Loaded(generator, generator.manifest.weights_sha256)
    return View(source, name_of(generator), loaded)


def _open_run(source: str) -> RunDir:
    try:
        return open_run(source)
    except CorruptFile:
        raise
    except BadInput as error:
        raise BadInput(f"{error}; or an export, which has a {MANIFEST}") from error
