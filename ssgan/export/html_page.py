"""The frame of a page with sliders: one HTML text, with a policy that allows what is in it alone.

A file holds its networks and asks nobody; the page of ``ssgan view`` asks its server for pictures.
Either way no request goes elsewhere, and no text of a name becomes markup or code.
"""

import base64
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from string import Template
from typing import Any, NamedTuple

from ssgan import __version__
from ssgan.export.code_values import REACH
from ssgan.export.format import Provenance
from ssgan.export.generator import NamedGenerator

_FILES = resources.files("ssgan.export") / "page"


class Script(NamedTuple):
    """A script element."""

    text: str
    attributes: str = ""


class Page(NamedTuple):
    """A whole page."""

    content: bytes
    """HTML, UTF-8."""
    policy: str
    """Its content security policy, which stands in it, too."""


def read_page_file(name: str) -> str:
    """Read a file of the page's own: a script, the style."""
    return (_FILES / name).read_text(encoding="utf-8")


def describe_generator(generator: NamedGenerator, source: str) -> dict[str, Any]:
    """Return what the page's sliders have to know of a generator, as JSON.

    Args:
        generator: What is drawn.
        source: Where the page says that Python finds it: the run or the export.
    """
    return {
        "name": name_of(generator),
        "source": source,
        "shape": generator.manifest.shape,
        "codes": [code._asdict() for code in generator.codes],
        "reach": REACH,
    }


def make_frame(
    *,
    title: str,
    subtitle: str,
    described: Mapping[str, Any] | None,
    scripts: Sequence[Script],
    footer: str,
    style: str = "",
    data: str = "",
    training: str = "",
    card: str = "",
    is_served: bool = False,
) -> Page:
    """Put a page together.

    Args:
        title: Its title, plain text.
        subtitle: The line below it, plain text.
        described: What the sliders have to know; None hides them.
        scripts: In the order in which they run.
        footer: HTML of its last lines.
        style: CSS after the page's own.
        data: HTML that scripts read, such as the weights.
        training: HTML of what a training says, which is put below the sliders.
        card: HTML of the model card, which is put below the grid.
        is_served: Whether its scripts ask the server that it comes from.
    """
    style = read_page_file("page.css") + style
    policy = _policy([script.text for script in scripts], style, is_served=is_served)
    texts = {
        "policy": policy,
        "title": html.escape(title),
        "subtitle": html.escape(subtitle),
        "style": style,
        "sliders": " hidden" if described is None else "",
        "training": training,
        "card": f'<section id="card">\n{card}</section>' if card else "",
        "footer": footer,
        # No name can end the element: < is written as an escape.
        "described": json.dumps(described).replace("<", "\\u003c"),
        "data": data,
        "scripts": "\n".join(
            f"<script{script.attributes}>{script.text}</script>" for script in scripts
        ),
        "made": f"Made by ssgan {__version__}.",
    }
    return Page(Template(read_page_file("page.html")).substitute(texts).encode(), policy)


def name_of(generator: NamedGenerator) -> str:
    """Return what a page calls a generator: its run, as far as the export knows."""
    return str(generator.manifest.provenance.get("run") or "generator")


def subtitle_of(provenance: Mapping[str, Provenance]) -> str:
    """Say what a generator was trained on, as far as the export knows."""
    known = {name: provenance.get(name) for name in ("data", "labels", "step")}
    told = [
        f"trained on {known['data']}" if known["data"] else "",
        f"{known['labels']:,} labels" if isinstance(known["labels"], int) else "",
        f"{known['step']:,} updates" if isinstance(known["step"], int) else "",
    ]
    return "A generator with named codes" + "".join(f", {one}" for one in told if one)


def _policy(scripts: Sequence[str], style: str, *, is_served: bool) -> str:
    """Allow the page its own scripts and style, and pictures inside it.

    A file may start a worker of its own; a page that is served may ask its server.
    """
    own = " ".join(f"'{_hash(script)}'" for script in scripts)
    asks, starts = "connect-src 'self'; img-src 'self' data:", "worker-src blob:; img-src data:"
    sources = asks if is_served else starts
    return (
        f"default-src 'none'; script-src {own}; style-src '{_hash(style)}'; {sources}; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
