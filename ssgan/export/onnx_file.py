"""G as an ONNX file: an input for each code and one for the noise, by name; images out.

::

    session = onnxruntime.InferenceSession("digits.onnx")
    session.run(["images"], {"digit": [7], "style_1": [0.5], "z": noise})  # noise (1, 62)

A class is its index, int64 (B,); a continuous code its value in the user's units, float32 (B,); the
noise `z` is float32 (B, noise). `images` are float32 (B, C, H, W) in [0, 1], for any B. Codes keep
their names: where one has the name `z` or `images`, what is called so otherwise gets underscores at
its end, and the model's metadata says which is which. What `NamedGenerator.sample` refuses, a class
that is not there or a value out of reach, ends a run with an error that names the code.
"""

import json
import os
import warnings
from copy import deepcopy
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from ssgan.base.errors import BadInput
from ssgan.base.extras import ONNX, find_missing
from ssgan.base.rng import Streams
from ssgan.export.code_values import REACH, describe, free_name, reach
from ssgan.export.format import ExportManifest
from ssgan.method.codes import Code
from ssgan.networks.generator import Generator

if TYPE_CHECKING:
    import onnx_ir
    import onnxruntime

TOLERANCE = 1e-4
"""How far a pixel, from 0 to 1, may be from torch's."""
_ROUNDING = 1e-4  # of a code's unit range, where float32 has the value in the user's units
_CHECKED = (1, 99, 200, 300, 400)  # latents by batch: 1,000, and no size is built in
_LARGEST = 2 * 2**30 - 2**20  # bytes: a protobuf has less than 2 GiB, graph and names included


def check_onnx_extra(what: str) -> None:
    """Refuse to begin `what` where a module of the extra `onnx` is not installed.

    Raises:
        BadInput: With the command that installs it.
    """
    if missing := find_missing(ONNX):
        raise BadInput(f"{what} needs {missing}, which is not installed: pip install 'ssgan[onnx]'")


def pack_onnx(manifest: ExportManifest, generator: Generator) -> bytes:
    """Pack G as the content of an ONNX file, once 1,000 latents gave the images that torch makes.

    The network is left as it is, on whatever device.

    Raises:
        BadInput: The extra is missing, torch cannot write this G as ONNX, it takes more than 2 GiB,
            or a pixel is more than `TOLERANCE` from torch's; with how far.
    """
    check_onnx_extra("writing ONNX")
    network = deepcopy(generator).cpu().eval().requires_grad_(False)
    size = sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())
    if size > _LARGEST:
        raise BadInput(f"an ONNX file holds less than 2 GiB, and G takes {size / 2**30:,.1f} GiB")
    model = _convert(manifest, network)
    _describe(model, manifest)
    content = _serialize(model)
    _check(content, manifest, network)
    return content


class _OfNames(nn.Module):
    """G as a function of its codes, as users set them, and of the noise, which comes last."""

    def __init__(self, codes: tuple[Code, ...], network: Generator) -> None:
        super().__init__()
        self._codes, self._network = codes, network

    def forward(self, *given: Tensor) -> Tensor:
        *values, z = given
        parts = [_encode(code, value) for code, value in zip(self._codes, values, strict=True)]
        images: Tensor = self._network(torch.cat([*parts, z], dim=1))
        return images


def _encode(code: Code, value: Tensor) -> Tensor:
    """Make a code's columns of G's input, (B, size); one lookup fails where `sample` would refuse.

    A lookup beyond a table's end is the one thing that ends a run of ONNX.
    """
    if code.is_categorical:
        indices = torch.arange(code.size)
        # An index below 0 would count from the end.
        found = indices.index_select(0, torch.where(value < 0, code.size, value))
        return (found[:, None] == indices).float()
    unit = code.to_unit(value)
    is_beyond = ~(unit.abs() <= REACH + _ROUNDING)  # of NaN too
    return (unit + torch.zeros(1).index_select(0, is_beyond.long()))[:, None]


def _convert(manifest: ExportManifest, network: Generator) -> "onnx_ir.Model":
    codes, noise = manifest.space.codes, manifest.space.noise
    # Two images, since torch takes a dimension of 1 for one that never changes.
    kinds = [torch.int64 if code.is_categorical else torch.float32 for code in codes]
    middle = [0 if code.is_categorical else (code.low + code.high) / 2 for code in codes]
    example = [
        *(torch.full((2,), at, dtype=kind) for at, kind in zip(middle, kinds, strict=True)),
        torch.zeros(2, noise),
    ]
    batch = torch.export.Dim("batch")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="# The axis name: batch")  # of all but one
            program = torch.onnx.export(
                _OfNames(codes, network).eval(),
                tuple(example),
                dynamic_shapes=(tuple({0: batch} for _ in example),),
                dynamo=True,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        told = str(error.__cause__ or error).strip().partition("\n")[0]
        kind = manifest.networks.kind
        raise BadInput(f"torch cannot write a generator of kind {kind} as ONNX: {told}") from error
    assert program is not None
    return program.model


def _describe(model: "onnx_ir.Model", manifest: ExportManifest) -> None:
    """Name what goes in and out, write the metadata, and drop what torch says of its sources."""
    graph, codes = model.graph, manifest.space.codes
    lookups = [node for node in graph if node.op_type == "Gather"]  # `_encode`'s come first
    for node, code in zip(lookups, codes, strict=False):
        node.name = f"{code.name!r} takes {_allowed(code)}"
    inputs, output = _name_ends(model, [code.name for code in codes])
    facts = [code._asdict() for code in describe(manifest.space)]
    facts.append({"kind": "noise", "size": manifest.space.noise, "drawn from": "N(0, 1)"})
    graph.name, graph.doc_string = "generator", None
    model.producer_name, model.producer_version = "ssgan", manifest.ssgan
    model.metadata_props.clear()
    model.metadata_props.update(
        {
            "inputs": json.dumps(
                [{"input": name, **fact} for name, fact in zip(inputs, facts, strict=True)]
            ),
            "output": output,
            "provenance": json.dumps(manifest.provenance),
            "generator.json": json.dumps(manifest.model_dump(mode="json")),
        }
    )


def _name_ends(model: "onnx_ir.Model", codes: list[str]) -> tuple[list[str], str]:
    """Name the inputs and the output; what is inside the graph gives way."""
    graph = model.graph
    taken = set(codes)
    inputs, output = [*codes, free_name("z", taken)], free_name("images", taken)
    ends = dict(zip([*graph.inputs, *graph.outputs], [*inputs, output], strict=True))
    values = [*graph.inputs, *graph.initializers.values()]
    for node in graph.all_nodes():
        node.metadata_props.clear()
        node.doc_string = None
        values += node.outputs
    inside = [value for value in values if value not in ends]
    clashing = [value for value in inside if value.name in taken]
    taken |= {value.name for value in values if value.name is not None}
    for value in clashing:
        value.name = free_name(value.name or "", taken)
    for value in values:
        value.metadata_props.clear()
        value.doc_string = None
        value.name = ends.get(value, value.name)
    return inputs, output


def _allowed(code: Code) -> str:
    if code.is_categorical:
        return f"a class index from 0 to {code.size - 1}"
    low, high = reach(code)
    return f"a value from {low:g} to {high:g}"


def _serialize(model: "onnx_ir.Model") -> bytes:
    import onnx
    import onnx_ir

    proto = onnx_ir.to_proto(model)
    onnx.checker.check_model(proto)
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


def _check(content: bytes, manifest: ExportManifest, network: Generator) -> None:
    """Compare the images of an ONNX file with torch's.

    Raises:
        BadInput: A pixel is too far away, or is not finite.
    """
    space, apart = manifest.space, 0.0
    drawn = space.sample(sum(_CHECKED), Streams(0).generator("onnx"))
    session = open_session(content)
    names = [one.name for one in session.get_inputs()]
    for c, z in zip(drawn.c.split(_CHECKED), drawn.z.split(_CHECKED), strict=True):
        columns = zip(space.codes, c.unbind(dim=1), strict=True)
        values = [
            column.long() if code.is_categorical else code.from_unit(column)
            for code, column in columns
        ]
        given = dict(zip(names, [value.numpy() for value in [*values, z]], strict=True))
        (images,) = session.run(None, given)
        # As `NamedGenerator` reads what users give: in double precision.
        units = [
            code.to_unit(value.double()).float()
            for code, value in zip(space.codes, values, strict=True)
        ]
        expected = network(space.encode(torch.stack(units, dim=1), z)).numpy()
        apart = max(apart, float(np.abs(images - expected).max(initial=0)))
        if not np.isfinite(images).all() or not apart <= TOLERANCE:
            raise BadInput(
                f"onnxruntime draws other images than torch from the same codes: a pixel, from 0 "
                f"to 1, is {apart:.2g} away, more than {TOLERANCE:g}. No file was written. A code "
                "whose range is narrow beside its values (1000.0 to 1000.1) may need other units"
            )


def open_session(content: bytes) -> "onnxruntime.InferenceSession":
    """Open the content of an ONNX file on the CPU."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when it is first imported
    import onnxruntime

    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
