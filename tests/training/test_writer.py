import threading
from collections.abc import Callable

import pytest

from ssgan.training.writer import Writer


class Disk:
    """What a writer writes to: it can be held up, and it can be full."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.is_open = threading.Event()
        self.is_open.set()

    def commit(self, name: str, error: Exception | None = None) -> Callable[[], str]:
        def write() -> str:
            assert self.is_open.wait(60)
            if error is not None:
                raise error
            self.written.append(name)
            return name

        return write

    def tidy(self) -> None:
        self.written.append("tidied")


def test_commits_come_in_order_each_with_its_tidying() -> None:
    disk = Disk()
    with Writer() as writer:
        addresses = [writer.put(disk.commit(name), disk.tidy)[0].result() for name in "abc"]
    assert addresses == ["a", "b", "c"]
    assert disk.written == ["a", "tidied", "b", "tidied", "c", "tidied"]


def test_a_failure_is_raised_at_the_next_check_and_ends_the_writing() -> None:
    disk = Disk()
    with pytest.raises(OSError, match="full"), Writer() as writer:  # noqa: PT012
        committed, tidied = writer.put(disk.commit("a", OSError("full")), disk.tidy)
        assert isinstance(committed.exception(), OSError)
        assert tidied.exception() is committed.exception()
        writer.check()
        pytest.fail("it was not raised")
    assert disk.written == []


def test_a_failure_of_the_last_commit_is_raised_at_the_end() -> None:
    disk = Disk()
    with pytest.raises(OSError, match="full"), Writer() as writer:
        writer.put(disk.commit("a", OSError("full")), disk.tidy)


def test_one_commit_at_most_is_on_its_way() -> None:
    disk = Disk()
    disk.is_open.clear()
    put = threading.Event()

    def train() -> None:
        with Writer() as writer:
            writer.put(disk.commit("a"), disk.tidy)
            writer.check()  # does not wait
            put.set()
            writer.put(disk.commit("b"), disk.tidy)
            disk.written.append("went on")

    training = threading.Thread(target=train)
    training.start()
    assert put.wait(60)
    training.join(0.2)
    assert training.is_alive()
    assert disk.written == []
    disk.is_open.set()
    training.join(60)
    assert disk.written[:2] == ["a", "tidied"]
    assert sorted(disk.written[2:]) == ["b", "tidied", "went on"]


@pytest.mark.parametrize("error", [None, OSError("full")])
def test_what_was_handed_over_is_written_when_training_fails(
    error: OSError | None, caplog: pytest.LogCaptureFixture
) -> None:
    def train() -> None:
        with Writer() as writer:
            writer.put(disk.commit("a", error), disk.tidy)
            raise KeyboardInterrupt

    disk = Disk()
    with pytest.raises(KeyboardInterrupt):
        train()
    if error is None:
        assert disk.written == ["a", "tidied"]
        assert not caplog.messages
    else:
        assert disk.written == []
        assert caplog.messages == ["what was trained last could not be written either: full"]
