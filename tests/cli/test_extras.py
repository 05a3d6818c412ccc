"""Without the extra `train`: what works, and what the other verbs say."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ssgan.base.errors import BadInput
from ssgan.base.extras import TRAIN, check_train_extra

_WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {hidden}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
from ssgan.cli import main
main({words})
"""


def run(words: list[str], hidden: tuple[str, ...], place: Path) -> subprocess.CompletedProcess[str]:
    program = _WITHOUT.format(hidden=hidden, words=words)
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, cwd=place)


@pytest.mark.parametrize("words", [["train", "digits"], ["doctor"], ["data", "show", "digits"]])
@pytest.mark.parametrize("hidden", ["ray", "mlflow"])
def test_a_verb_that_lacks_the_extra_says_so_in_a_line(
    tmp_path: Path, words: list[str], hidden: str
) -> None:
    done = run(words, (hidden,), tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    verb = " ".join(word for word in words if word != "digits")
    said = f"error: ssgan {verb} needs {hidden}, which is not installed; install the whole system:"
    assert done.stderr == f"{said} pip install 'ssgan[train]'\n"
    assert not [*tmp_path.iterdir()]


def test_an_export_is_sampled_without_the_extra(tmp_path: Path, export: Path) -> None:
    outs = ["--out", "a.npy", "--out", "a.png"]
    done = run(["sample", str(export), "digit=7", "-n", "4", *outs], TRAIN, tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(np.load(tmp_path / "a.npy")) == 4
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    sets = ["-n", "4", "--out"]
    for name in ("set", "set.tar"):
        done = run(["sample", str(export), "digit=7", *sets, name], TRAIN, tmp_path)
        assert done.returncode == 0, done.stderr
    assert len([*tmp_path.glob("set/7/*.png")]) == 4
    done = run(["sample", str(export), *sets, "a.parquet"], TRAIN, tmp_path)
    assert "ssgan sample --out a.parquet needs pyarrow" in done.stderr
    assert run(["--help"], TRAIN, tmp_path).returncode == 0


def test_what_is_installed_is_not_refused() -> None:
    check_train_extra("this")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ssgan.base.extras.TRAIN", ("ray", "no_such_module"))
        with pytest.raises(BadInput, match="this needs no_such_module"):
            check_train_extra("this")
