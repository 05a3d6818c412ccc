from pathlib import Path

import pytest
import torch
from torch import Tensor

from ssgan.base.errors import BadInput, CorruptFile
from ssgan.data import neighbors
from ssgan.data.features import pixel_features
from ssgan.data.memmap import Split
from ssgan.data.neighbors import Graph, build_graph
from ssgan.data.spread import SpreadConfig
from ssgan.data.spread_labels import SpreadLabels, check_spread, find_graph, spread_labels
from ssgan.method.codes import Code

SHAPE = Code(name="shape", kind="categorical", classes=("round", "square", "star"))
COLOR = Code(name="color", kind="categorical", classes=("red", "blue"))
ANGLE = Code(name="angle", kind="continuous")
NAN = float("nan")
NOBODY = torch.empty(0, dtype=torch.int64)


@pytest.fixture(scope="module")
def graph() -> Graph:
    """Two heaps of 20 images and one of 10, without an edge between them."""
    draw = torch.Generator().manual_seed(0)
    middles = 100 * torch.eye(3).repeat_interleave(torch.tensor([20, 20, 10]), dim=0)
    return build_graph(middles + torch.randn(50, 3, generator=draw), 5)


def given(codes: int, cells: dict[tuple[int, int], float]) -> Tensor:
    y = torch.full((50, codes), NAN)
    for (row, column), value in cells.items():
        y[row, column] = value
    return y


def test_each_code_gains_labels_of_its_own(graph: Graph) -> None:
    y = given(3, {(0, 0): 0, (20, 0): 2, (3, 1): 1, (45, 1): 0, (1, 2): 0.5})
    found = spread_labels(SpreadConfig(share=1), (SHAPE, COLOR, ANGLE), y, NOBODY, graph)
    expected = torch.full((50, 3), NAN)
    expected[:20, 0], expected[20:40, 0] = 0, 2
    expected[:20, 1], expected[40:, 1] = 1, 0
    torch.testing.assert_close(found.readings, expected, equal_nan=True)
    expected[~y.isnan()] = NAN  # what was given is not gained
    torch.testing.assert_close(found.y, expected, equal_nan=True)
    assert found.graph == graph.hash
    assert len(found) == (~expected.isnan()).any(dim=1).sum()


def test_the_surest_share_alone_becomes_y_and_nothing_held_out(graph: Graph) -> None:
    y = given(1, {(0, 0): 0, (20, 0): 1})
    most = spread_labels(SpreadConfig(share=0.5), (SHAPE,), y, NOBODY, graph)
    assert 18 <= (~most.y.isnan()).sum() <= 20
    apart = (~most.y[:, 0].isnan()).nonzero()[:3, 0]
    less = spread_labels(SpreadConfig(share=0.5), (SHAPE,), y, apart, graph)
    assert less.y[apart].isnan().all()
    assert (~less.y.isnan()).sum() == (~most.y.isnan()).sum() - 3
    assert less.hash != most.hash
    again = spread_labels(SpreadConfig(share=0.5), (SHAPE,), y, NOBODY, graph)
    assert again.hash == most.hash


def test_labels_of_one_class_are_refused_and_a_code_without_any_is_left_alone(graph: Graph) -> None:
    y = given(2, {(0, 0): 0, (20, 0): 1})
    assert spread_labels(SpreadConfig(), (SHAPE, COLOR), y, NOBODY, graph).y[:, 1].isnan().all()
    y[5, 1] = y[6, 1] = 1
    with pytest.raises(BadInput, match=r"'color', because all 2 name 'blue'"):
        spread_labels(SpreadConfig(), (SHAPE, COLOR), y, NOBODY, graph)


def test_codes_without_classes_are_refused(graph: Graph) -> None:
    with pytest.raises(BadInput, match=r"data\.spread has no effect"):
        spread_labels(SpreadConfig(), (ANGLE,), given(1, {(0, 0): 0.5}), NOBODY, graph)


def test_labels_gained_survive_parquet_and_damage_is_noticed_or_harmless(graph: Graph) -> None:
    y = given(2, {(0, 0): 0, (20, 0): 2, (3, 1): 1, (45, 1): 0})
    found = spread_labels(SpreadConfig(), (SHAPE, COLOR), y, NOBODY, graph)
    data = found.to_parquet()

    def assert_equal(again: SpreadLabels) -> None:
        assert again.hashes == found.hashes
        torch.testing.assert_close(again.y, found.y, rtol=0, atol=0, equal_nan=True)
        torch.testing.assert_close(again.readings, found.readings, rtol=0, atol=0, equal_nan=True)

    assert_equal(SpreadLabels.from_parquet(data))
    noticed = 0
    for position in range(0, len(data), 7):
        damaged = bytearray(data)
        damaged[position] ^= 4
        try:
            again = SpreadLabels.from_parquet(bytes(damaged))
        except CorruptFile as error:
            assert "spread.parquet" in str(error)  # noqa: PT017
            noticed += 1
        else:
            assert_equal(again)
    assert noticed > 50
    for half in (b"", b"PAR1", data[: len(data) // 2]):
        with pytest.raises(CorruptFile, match=r"spread\.parquet cannot be read .* or delete it"):
            SpreadLabels.from_parquet(half)


def test_fewer_images_than_neighbors_are_refused_without_a_graph() -> None:
    y = given(1, {(0, 0): 0, (20, 0): 1})
    check_spread(SpreadConfig(neighbors=49), (SHAPE,), y)
    with pytest.raises(BadInput, match=r"data\.spread\.neighbors=50 needs more than 50 images"):
        check_spread(SpreadConfig(neighbors=50), (SHAPE,), y)


def features(count: int = 30) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(256, (count, 1, 8, 8), generator=draw, dtype=torch.uint8)
    return pixel_features(Split(images, torch.full((count, 0), NAN)).take, count, (1, 8, 8))


def not_needed() -> Tensor:
    raise TypeError("there is a graph")


def test_a_graph_is_built_once_for_its_data_and_settings(tmp_path: Path) -> None:
    built = find_graph(features, 30, "data", 4, tmp_path)
    assert find_graph(not_needed, 30, "data", 4, tmp_path).hash == built.hash
    for data, k in (("data", 5), ("other", 4)):
        with pytest.raises(TypeError):
            find_graph(not_needed, 30, data, k, tmp_path)


@pytest.mark.parametrize("damage", [b"", b"PAR1 and nothing else"])
def test_a_damaged_graph_is_built_again(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    built = find_graph(features, 30, "data", 4, tmp_path)
    (file,) = (tmp_path / "graphs").glob("*.parquet")
    whole = file.read_bytes()
    file.write_bytes(damage)
    assert find_graph(features, 30, "data", 4, tmp_path).hash == built.hash
    assert "building it again" in caplog.text
    assert file.read_bytes() == whole


def test_features_are_not_computed_where_neighbors_could_not_be_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbors, "MOST_EXACT", 29)
    monkeypatch.setattr(neighbors, "find_missing", lambda modules: modules[0])
    with pytest.raises(BadInput, match=r"30 images, .*ssgan\[neighbors\]"):
        find_graph(not_needed, 30, "data", 4, tmp_path)


def test_fewer_images_than_neighbors_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"data\.spread\.neighbors"):
        find_graph(lambda: features(10), 10, "data", 10, tmp_path)
    assert not list((tmp_path / "graphs").glob("*.parquet"))


def test_none_of_these_is_one_more_class(graph: Graph) -> None:
    none = SHAPE.none
    y = given(2, {(0, 0): 0, (20, 0): 2, (40, 0): none, (0, 1): 0, (20, 1): 1})
    found = spread_labels(SpreadConfig(share=0.5), (SHAPE, COLOR), y, NOBODY, graph)
    assert (found.readings[:, 0] == none).nonzero()[:, 0].tolist() == list(range(40, 50))
    assert 4 <= (found.y[40:, 0] == none).sum() <= 5
    assert not (found.y[:40, 0] == none).any()
    assert found.readings[40:, 1].isnan().all()
    assert found.shares((SHAPE, COLOR)) == {"shape": (0.5, 0, 0.5), "color": (0.5, 0.5)}
    y[0, 0] = y[20, 0] = none
    with pytest.raises(BadInput, match=r"because all 3 name 'none of these'"):
        spread_labels(SpreadConfig(), (SHAPE, COLOR), y, NOBODY, graph)
