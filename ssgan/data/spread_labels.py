"""The labels that a run gains from those of its budget, and the graph that they are spread over.

The labels gained are computed once and kept in the run directory, since a machine of another kind
may find others: features are exact but for the last bits of eigenvectors.

The graph depends on the images alone. It is built once a machine and kept in the cache, where one
that was damaged is built again.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from filelock import FileLock
from torch import Tensor

from ssgan.base.config import canonical_hash
from ssgan.base.errors import BadInput, CorruptFile
from ssgan.base.progress import PreparationProgress, of_step
from ssgan.base.storage import default_cache, replacing
from ssgan.data.approximate_neighbors import METHOD
from ssgan.data.features import KIND
from ssgan.data.neighbors import Graph, build_graph, check_count, is_searched
from ssgan.data.sealed_table import as_column, as_tensor, read_sealed, seal
from ssgan.data.spread import SpreadConfig, is_known, spread, surest
from ssgan.method.codes import Code

_MEND = (
    "; restore the file from a copy, or delete it: the labels are then spread again, which takes a "
    "machine of the kind that the run was started on"
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SpreadLabels:
    """What the labels of a budget say of other images."""

    y: Tensor
    """The labels gained, a code table, float32 (N, K), with `Code.none` for none of the classes;
    NaN where no label is gained, or one was given."""
    readings: Tensor
    """The most probable class of every image that a label reaches, or `Code.none`, given ones as
    they are, float32 (N, K); NaN elsewhere and for continuous codes."""
    graph: str
    """Hash of the graph."""

    def __len__(self) -> int:
        """Return how many images gain a label."""
        return int((~self.y.isnan()).any(dim=1).sum())

    @cached_property
    def hash(self) -> str:
        """Identify the labels gained, 64 hexadecimal digits."""
        return _hash(self.y)

    @property
    def hashes(self) -> dict[str, str]:
        """What a label budget says of them (`LabelBudget.spread`)."""
        return {"graph": self.graph, "labels": self.hash}

    def shares(self, codes: Sequence[Code]) -> dict[str, tuple[float, ...]]:
        """Return the share of each class among the images that are read as one, by code.

        Codes that have no classes, or of which nothing is read, are left out.
        """
        found = {}
        for code, column in zip(codes, self.readings.unbind(dim=1), strict=True):
            read = column[column < code.none]
            if code.is_categorical and len(read):
                counts = read.long().bincount(minlength=code.size).double()
                found[code.name] = tuple((counts / counts.sum()).tolist())
        return found

    def to_parquet(self) -> bytes:
        """Serialize to a Parquet file, one row an image; hashes go along as metadata."""
        tables = {"gained": self.y, "read": self.readings}
        columns = {name: as_column(_as_integers(y)) for name, y in tables.items()}
        return seal(pa.table(columns), self.hashes | {"read": _hash(self.readings)})

    @classmethod
    def from_parquet(cls, data: bytes) -> "SpreadLabels":
        """Read saved labels.

        Raises:
            CorruptFile: The file cannot be read, or holds something else than was saved.
        """

        def build(table: pa.Table, facts: dict[str, Any]) -> tuple[SpreadLabels, bool]:
            y, readings = (_as_table(as_tensor(table[name])) for name in ("gained", "read"))
            found = cls(y, readings, facts["graph"])
            return found, facts == found.hashes | {"read": _hash(found.readings)}

        return read_sealed(data, "spread.parquet", _MEND, build)


def spread_labels(
    config: SpreadConfig, codes: Sequence[Code], given: Tensor, apart: Tensor, graph: Graph
) -> SpreadLabels:
    """Spread the labels of a budget, each categorical code by itself.

    Args:
        config: How.
        codes: The supervised codes.
        given: The labels to spread, a code table, float32 (N, K), NaN elsewhere. Where some are
            `Code.none`, that is one more class.
        apart: Rows of images that gain no label, int64 (n,), because Q_ss is measured on them.
        graph: The images' neighbors.

    Raises:
        BadInput: As `check_spread` does.
    """
    check_spread(config, codes, given)
    y, readings = torch.full_like(given, torch.nan), torch.full_like(given, torch.nan)
    for k, code in enumerate(codes):
        known = ~given[:, k].isnan()
        if not code.is_categorical or not known.any():
            continue
        labels = given[:, k].nan_to_num(-1).long()
        size = max(code.size, int(labels.max()) + 1)
        probabilities = spread(graph, labels, size, config.steps, config.alpha, config.rounds)
        classes = probabilities.argmax(dim=1).float()
        readings[:, k] = torch.where(is_known(probabilities), classes, torch.nan)
        readings[known, k] = given[known, k]
        rows, surely = surest(probabilities, config.share)
        y[rows, k] = surely.float()
    y[~given.isnan()] = torch.nan
    y[apart] = torch.nan
    return SpreadLabels(y, readings, graph.hash)


def check_spread(config: SpreadConfig, codes: Sequence[Code], given: Tensor) -> None:
    """Refuse labels that cannot be spread, over whatever graph; arguments as of `spread_labels`.

    Raises:
        BadInput: All labels of a code name one class, no code is categorical, or there are fewer
            images than neighbors.
    """
    if not any(code.is_categorical for code in codes):
        raise BadInput(
            "data.spread has no effect: classes are spread, and no code of codes.supervised has any"
        )
    if len(given) <= config.neighbors:
        raise BadInput(
            f"data.spread.neighbors={config.neighbors} needs more than {len(given)} images; lower "
            "it or give more images"
        )
    for code, column in zip(codes, given.unbind(dim=1), strict=True):
        labels = column[~column.isnan()]
        named = labels.unique().long() if code.is_categorical else labels[:0]
        if len(named) == 1:
            raise BadInput(
                f"data.spread cannot spread the labels of {code.name!r}, because all {len(labels)} "
                f"name {code.answers[named[0]]!r}; label an image of another "
                "class (data.labels), or set data.spread=null"
            )


def find_graph(
    features: Callable[[], Tensor],
    count: int,
    data_hash: str,
    neighbors: int,
    cache: Path | None = None,
    progress: PreparationProgress | None = None,
) -> Graph:
    """Find the graph of images in the cache, or build it there.

    Several processes may call this at once: one builds, the others wait for it. The cache is a
    folder; null for `default_cache`.

    Args:
        features: Computes their features, `pixel_features`; asked for where there is no graph yet.
        count: Number of images.
        data_hash: What identifies the images: the hash of their store's manifest.
        neighbors: Neighbors of each image.
        cache: Where.
        progress: Is told of the neighbors found, where they are not there yet.

    Raises:
        BadInput: There are fewer images than neighbors, or too many (`check_count`).
    """
    facts = {"data": data_hash, "features": KIND, "neighbors": neighbors}
    name = canonical_hash(facts | ({"found by": METHOD} if is_searched(count) else {}))
    file = (cache or default_cache()) / "graphs" / f"{name[:32]}.parquet"
    if (found := _read(file)) is not None:
        return found
    check_count(count)
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{file}.lock"):
        if (found := _read(file)) is not None:
            return found
        _log.info("finding the %d nearest neighbors of each image", neighbors)
        advance = of_step(progress, "finding neighbors", "images")
        graph = build_graph(features(), neighbors, advance)
        with replacing(file) as new:
            new.write_bytes(graph.to_parquet())
    return graph


def _as_integers(y: Tensor) -> Tensor:
    """Return a code table of classes, int32 (N, K), with -1 where none is known."""
    return y.nan_to_num(-1).int()


def _as_table(classes: Tensor) -> Tensor:
    return classes.float().where(classes >= 0, torch.nan)


def _hash(y: Tensor) -> str:
    classes = _as_integers(y).numpy().astype("<i4")
    return hashlib.sha256(f"{classes.shape}".encode() + classes.tobytes()).hexdigest()


def _read(file: Path) -> Graph | None:
    try:
        return Graph.from_parquet(file.read_bytes())
    except FileNotFoundError:
        return None
    except CorruptFile as error:
        _log.warning("%s: %s; building it again", file, error)
        return None
