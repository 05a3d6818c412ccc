import pytest

from ssgan.base.errors import BadInput
from ssgan.records.checkpoint_address import parse_location, step_of


def test_an_address_is_parted_into_run_and_name() -> None:
    for run in ("s3://bucket/a", "/runs/a"):
        assert parse_location(f"{run}/checkpoints/00000020-1") == (run, "00000020-1")
    assert step_of("00000020-1") == 20
    with pytest.raises(BadInput, match="not the address of a checkpoint"):
        parse_location("s3://bucket/a/00000020")
