"""The data of a run as MLflow's data sets: one for each split, with a digest."""

import json
from collections.abc import Mapping
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag

from ssgan.records.data_info import DataInfo

_LONGEST_DIGEST = 36  # MLflow's limit
_CONTEXT = "mlflow.data.context"


def dataset_inputs(info: DataInfo, source: Mapping[str, Any]) -> list[DatasetInput]:
    """Describe the splits of a data set that came from such a source (`data.source`).

    Their digest is the manifest's hash, cut to the length that MLflow takes: equal digests are
    equal pixels and labels.
    """
    images = {"type": "tensor", "tensor-spec": {"dtype": "uint8", "shape": [-1, *info.shape]}}
    labels = [
        {
            "type": "tensor",
            "name": code.name,
            "tensor-spec": {"dtype": "float32", "shape": [-1]},
        }
        for code in info.columns
    ]
    schema = {"features": json.dumps([images]), "targets": json.dumps(labels) if labels else None}
    return [
        DatasetInput(
            Dataset(
                name=f"{info.name} ({split})",
                digest=info.hash[:_LONGEST_DIGEST],
                source_type=str(source.get("kind", "ssgan")),
                source=json.dumps(source, ensure_ascii=False),
                schema=json.dumps({"mlflow_tensorspec": schema}),
                profile=json.dumps({"num_rows": count}),
            ),
            [InputTag(_CONTEXT, split)],
        )
        for split, count in info.counts.items()
    ]
