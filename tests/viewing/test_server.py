"""The server of `ssgan view`: who is let in, what the page may do, and what requests bring."""

import base64
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ssgan.base.errors import BadInput
from ssgan.export.generator import NamedGenerator
from ssgan.method.codes import Code, LatentSpace
from ssgan.networks.dcgan import DcganConfig
from ssgan.records.rundir import RunDir
from ssgan.viewing.server import make_app
from ssgan.viewing.view import open_view
from tests.helpers.exports import save_untrained
from tests.helpers.local_pages import LocalPage, serving
from tests.helpers.runs import small
from tests.helpers.servers import commit, picture

HOSTILE = "</script><img src=x onerror=alert(1)>"
SPACE = LatentSpace(
    supervised=(Code(name=HOSTILE, kind="categorical", classes=("a", "b")),),
    unsupervised=(),
    noise=4,
)
ASKED = {"c": [1], "seed": "3", "index": 0}


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "digits"
    networks = DcganConfig(width=8, hidden=32, output_gain=8)
    return save_untrained(folder, networks, SPACE, (1, 16, 16), is_settled=True, run=HOSTILE)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A run of two epochs, without a checkpoint."""
    run = RunDir.create(tmp_path / "run", small().to_yaml())
    for epoch in (1, 2):
        commit(run, epoch, picture(epoch))
    return run


@pytest.fixture
def page(export: Path) -> Iterator[LocalPage]:
    """The page of an export."""
    with serving(make_app(open_view(str(export))), "ssgan view") as page:
        yield page


@pytest.fixture
def training(run: RunDir) -> Iterator[LocalPage]:
    """The page of a run."""
    with serving(make_app(open_view(run.location)), "ssgan view") as page:
        yield page


def policy_of(page: LocalPage) -> tuple[dict[str, str], str]:
    """Return the policy of a page, which its header and its text have alike, and the text."""
    _, headers, content = page.request("GET", "/")
    text, sent = content.decode(), headers["Content-Security-Policy"]
    written = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert written is not None
    assert sent == f"{written[1]}; frame-ancestors 'none'"
    return dict(one.split(maxsplit=1) for one in written[1].split("; ")), text


@pytest.mark.parametrize(
    "headers", [{"Cookie": ""}, {"Host": "evil.example"}, {"Origin": "https://evil.example"}]
)
def test_nobody_else_is_let_in(training: LocalPage, headers: dict[str, str]) -> None:
    for method, path in (
        *(("GET", "/"), ("GET", "/state"), ("GET", "/picture/2/samples_ema")),
        ("POST", "/image"),
    ):
        assert training.request(method, path, ASKED, **headers)[0] == 403
        assert training.request(method, path, ASKED)[0] in (200, 400)


@pytest.mark.parametrize("kind", ["page", "training"])
def test_the_policy_allows_the_page_its_own_and_its_server(
    kind: str, request: pytest.FixtureRequest
) -> None:
    directives, text = policy_of(request.getfixturevalue(kind))
    assert directives["default-src"] == "'none'"
    assert directives["connect-src"] == "'self'"
    assert directives["img-src"] == "'self' data:"
    assert "unsafe" not in str(directives)
    for name in ("script", "style"):
        inline = re.findall(rf"<{name}>(.*?)</{name}>", text, re.DOTALL)
        digests = [base64.b64encode(hashlib.sha256(one.encode()).digest()) for one in inline]
        assert directives[f"{name}-src"] == " ".join(f"'sha256-{one.decode()}'" for one in digests)
        assert len(inline) == 1
        assert "eval(" not in inline[0]


def test_a_picture_of_an_export_is_that_of_python(page: LocalPage, export: Path) -> None:
    status, _, content = page.request("POST", "/image", ASKED)
    assert status == 200
    drawn = base64.b64decode(json.loads(content)["pixels"])
    exact = NamedGenerator.load(export).sample(seed=3, codes={HOSTILE: "b"})
    assert drawn[::4] == exact.tobytes()
    state = json.loads(page.request("GET", "/state")[2])
    assert [*state] == ["generator"]
    text = page.request("GET", "/")[2].decode()
    assert HOSTILE not in text
    assert 'id="training"' not in text


@pytest.mark.parametrize(
    ("asked", "status", "told"),
    [
        (ASKED | {"c": [2]}, 400, "has the class indices 0 to 1, not 2"),
        (ASKED | {"c": []}, 400, "c must hold 1 numbers"),
        (ASKED | {"index": 10**6}, 400, "index must be a whole number from 0 to 999"),
        ([], 400, "asked for by c, seed and index"),
        (float("nan"), 400, "NaN is not a number"),
        ({"c": "x" * 20_000}, 413, "too long"),
    ],
)
def test_what_cannot_be_drawn_is_said(page: LocalPage, asked: Any, status: int, told: str) -> None:
    found = page.request("POST", "/image", asked)
    assert (found[0], told in found[2].decode()) == (status, True)


def test_before_the_first_checkpoint_training_is_shown_without_sliders(
    training: LocalPage,
) -> None:
    text = training.request("GET", "/")[2].decode()
    assert "There is no generator yet" in text
    assert "<main hidden>" in text
    assert 'id="described">null</script>' in text
    state = json.loads(training.request("GET", "/state")[2])
    assert (state["generator"], state["loading"], state["problem"]) == (None, False, None)
    assert state["training"]["pictures"]["epoch"] == 2
    status, _, content = training.request("POST", "/image", ASKED)
    assert (status, b"no generator yet" in content) == (400, True)


def test_what_has_not_changed_is_not_sent_again(training: LocalPage, run: RunDir) -> None:
    _, headers, content = training.request("GET", "/state")
    tag = headers["ETag"]
    assert training.request("GET", "/state", If_None_Match=tag)[::2] == (304, b"")
    commit(run, 3, picture(3))
    while True:  # until it looks again
        status, headers, content = training.request("GET", "/state", If_None_Match=tag)
        if status == 200:
            break
    assert json.loads(content)["training"]["pictures"]["epoch"] == 3
    assert headers["ETag"] != tag


def test_the_pictures_of_training_are_sent(training: LocalPage) -> None:
    status, headers, content = training.request("GET", "/picture/2/samples_ema")
    assert (status, headers["Content-Type"], content) == (200, "image/png", picture(2))
    assert training.request("GET", "/picture/2/other")[0] == 404
    assert training.request("GET", "/picture/9/samples_ema")[0] == 404


def test_a_run_that_is_gone_is_said_and_another_in_its_place_is_shown(
    training: LocalPage, run: RunDir
) -> None:
    first = json.loads(training.request("GET", "/state")[2])["run"]
    shutil.rmtree(run.location)
    while (found := training.request("GET", "/state"))[0] == 200:
        pass
    assert found[0] == 503
    assert b"is not a run directory" in found[2]
    other = RunDir.create(run.location, small().to_yaml())
    state = json.loads(training.request("GET", "/state")[2])
    assert state["run"] == other.run_id != first
    assert state["training"]["pictures"] is None


def test_a_folder_that_is_neither_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"is not a run directory .* or an export, which has a gen"):
        open_view(str(tmp_path))
