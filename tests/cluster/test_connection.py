import signal
import socket
import sys

import pytest

from ssgan.base.errors import BadInput
from ssgan.cluster.capacity import Node
from ssgan.cluster.connection import Cluster, address_in_environment, connect, is_connected


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}"])
def test_an_address_where_nobody_listens_is_refused_at_once(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:  # bound, but not listening
        taken.bind(("127.0.0.1", 0))
        address = form.format(taken.getsockname()[1])
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(BadInput, match=f"RAY_ADDRESS={address}: .*unset"), connect():
            pass


@pytest.mark.parametrize(("code", "raised"), [(signal.SIGTERM, KeyboardInterrupt), (3, SystemExit)])
def test_a_sigterm_while_ray_starts_is_an_interrupt(
    code: int, raised: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(temporary: object) -> None:
        sys.exit(code)  # as Ray's handler does

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("ssgan.cluster.connection._start", start)
    with pytest.raises(raised), connect():
        pass


@pytest.mark.parametrize(
    ("value", "address"),
    [("", None), ("local", None), ("auto", "auto"), ("10.0.0.1:6379", "10.0.0.1:6379")],
)
def test_the_address_in_the_environment(
    value: str, address: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", value)
    assert address_in_environment() == address


def test_an_unused_ray_is_not_connected() -> None:
    assert not is_connected()


def test_capacity_is_what_there_is_and_what_there_may_be() -> None:
    cluster = Cluster("10.0.0.1:6379", (Node(2),), False, growth=(Node(8, 1),))
    assert cluster.capacity == (Node(2), Node(8, 1))
