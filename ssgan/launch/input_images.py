"""Images that a run is to read: its own, or others that are brought to what it was trained on."""

from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from ssgan.base.config import nearest
from ssgan.base.errors import BadInput
from ssgan.data.sources import FolderSource, ParquetSource, SourceConfig
from ssgan.data.sources.base import Source
from ssgan.data.sources.encoded_images import EncodedSource, FramingConfig
from ssgan.data.sources.layout import find_tables
from ssgan.data.sources.shards import Shards
from ssgan.experiment.loading import load_experiment, preset_names, with_values
from ssgan.experiment.tree import Experiment
from ssgan.networks.architecture import Shape


def find_source(
    experiment: Experiment, shape: Shape, given: str | None, values: Mapping[str, Any]
) -> SourceConfig:
    """Say where the images are that a run reads.

    A folder of pictures, or Parquet files, are framed as those that the run was trained on; other
    sources as they say themselves.

    Args:
        experiment: The run's own.
        shape: Channels, height and width of its images.
        given: A folder, a Parquet file or a folder of them, an experiment file or a preset; None
            for the run's own images.
        values: Fields of the source that are to be others, ``data.source.resize`` and so on.

    Raises:
        BadInput: There is no such thing, or a field is none of the source's.
    """
    for name in values:
        if not name.startswith("data.source."):
            raise BadInput(f"{name} has no effect here: only data.source.* says what is read")
    own = experiment.data.source
    chosen = own if given is None else _find(given, own, shape)
    data = experiment.data.model_copy(update={"source": chosen})
    changed = with_values(experiment.model_copy(update={"data": data}), dict(values))
    return changed.data.source


def open_source(config: SourceConfig, own: SourceConfig, shape: Shape) -> Source:
    """Open the source of `find_source`; `own` is the one that the run was trained on.

    Raises:
        BadInput: It cannot be opened, or its images do not become what the run was trained on.
    """
    source = config.open()
    if isinstance(source, EncodedSource) and config != own:
        assert isinstance(config, FramingConfig)
        if source.framing.levels is not None and config.levels is None:
            levels = _levels(own)
            framing = source.framing.model_copy(update={"levels": levels})
            source = replace(source, framing=framing)
    if source.shape != shape:
        raise BadInput(
            f"the images of {source.name} are {_spell(source.shape)}, and the run reads "
            f"{_spell(shape)}; add data.source.size={shape[1]}"
            + (
                f" and data.source.channels={shape[0]}"
                if isinstance(config, FramingConfig) and source.shape[0] != shape[0]
                else ""
            )
        )
    return source


def is_input(file: Path, config: SourceConfig) -> bool:
    """Whether a file that is to be written is, or would be, one that a source reads."""
    place = file.resolve()
    if isinstance(config, FolderSource):
        return any(label_file.resolve() == place for label_file in config.label_files())
    if not isinstance(config, ParquetSource) or file.suffix != ".parquet":
        return False
    for spec in filter(None, (config.train, config.test)):
        given = Path(spec).expanduser()
        where = given.resolve()
        if given.is_dir() and place.is_relative_to(where):
            return True
        if fnmatch(str(place), str(where)):
            return True
    return False


def _find(given: str, own: SourceConfig, shape: Shape) -> SourceConfig:
    path = Path(given).expanduser()
    if path.suffix in (".yaml", ".yml") or (given in preset_names() and not path.exists()):
        return load_experiment(given).data.source
    if find_tables(path):
        image = own.image if isinstance(own, ParquetSource) else _picture_column(given)
        return ParquetSource(train=given, image=image, labels=(), **_framing(own, shape))
    if not path.exists():
        raise BadInput(
            f"there is no folder or file {given}, and no preset of that name"
            f"{nearest(given, preset_names())}"
        )
    return FolderSource(root=path, **_framing(own, shape))


def _framing(own: SourceConfig, shape: Shape) -> dict[str, Any]:
    """Return how pictures become what the run was trained on."""
    framing: dict[str, Any] = {}
    if isinstance(own, FramingConfig):
        framing = {name: getattr(own, name) for name in FramingConfig.model_fields}
    channels, height, _ = shape
    return framing | {"channels": channels, "size": framing.get("size") or height}


def _picture_column(given: str) -> str:
    columns = Shards.find(given).picture_columns
    if "image" in columns or not columns:
        return "image"
    return columns[0]


def _levels(own: SourceConfig) -> tuple[float, float]:
    """Return the levels of deep gray pictures that the run was trained with."""
    source = own.open() if isinstance(own, FramingConfig) else None
    levels = source.framing.levels if isinstance(source, EncodedSource) else None
    if levels is None:
        raise BadInput(
            "some pictures have gray values of more than 8 bits, unlike those that the run was "
            "trained on; say which values are black and white, for example "
            "data.source.levels=[0,65535]"
        )
    return levels


def _spell(shape: Shape) -> str:
    channels, height, width = shape
    return f"{width}x{height} {'gray' if channels == 1 else 'RGB'}"
