"""What processes that share a folder may rely on."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ssgan.base.storage import Folder


def test_many_may_try_the_same_folder_at_once(tmp_path: Path) -> None:
    def try_often(_: int) -> None:
        for _ in range(20):
            Folder(tmp_path / "runs").try_writing()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(try_often, range(4)))
    assert not list((tmp_path / "runs").iterdir())
