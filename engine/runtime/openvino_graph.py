"""What can be read off an OpenVINO graph: the memory it will take, and the place where it can be cut in two.

Super-resolution networks do most of their work at the size of the source and end in a few layers at the size of the
result, which take most of the memory. Cut there, the first part (the *body*) can run on a large tile, so that little is
lost to halos, and the second (the *tail*) on small pieces of the body's features.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

Node = Any
"""openvino.Node and its kin; the library's type hints are not used by the checker."""

_PROBE = 48
"""Side of the picture on which shapes are read off; a multiple of every architecture's `multiple`."""

_TRIES = 12
"""How many nodes above the last possible cut are looked at for a narrower one."""

_IN_PLACE = {
    "Add",
    "Multiply",
    "Subtract",
    "Maximum",
    "Minimum",
    "Relu",
    "PRelu",
    "Swish",
    "Gelu",
    "Tanh",
    "Sigmoid",
    "Clamp",
}
_LOCAL = _IN_PLACE | {"Convolution", "GroupConvolution", "DepthToSpace", "Interpolate", "Gather", "Concat", "Result"}


@dataclass(frozen=True, slots=True)
class SplitGraph:
    """`tail` takes (1, features, h, w) float32 as "features", and the picture too when it says so."""

    body: Node
    tail: Node
    features: int
    tail_radius: int
    """Pixels of context that a piece of the features needs on each side."""
    tail_needs_picture: bool


def split_graph(model: Node) -> SplitGraph | None:
    """Cuts the graph of a network of free picture size; None where nothing is gained. The model is left alone."""
    import openvino
    from openvino import opset13 as ops

    place = _find_cut(model)
    if place is None:
        return None
    model = model.clone()
    nodes = model.get_ordered_ops()
    sources = _sources(nodes)
    name = nodes[place].get_friendly_name()
    before = _ancestors(name, sources)
    cut = nodes[place].output(0)
    parameters = model.get_parameters()
    picture = parameters[0]
    body_inputs = [picture, *(p for p in parameters[1:] if p.get_friendly_name() in before)]
    body = openvino.Model([ops.result(cut)], body_inputs, "body").clone()

    shapes = _output_shapes(model)
    radius = sum(_reach(node, shapes) for node in nodes if node.get_friendly_name() not in before)
    features = ops.parameter(cut.get_partial_shape(), np.float32, name="features")
    for target in cut.get_target_inputs():
        if target.get_node().get_friendly_name() not in before:
            target.replace_source_output(features.output(0))
    result = model.get_results()[0]
    needed = _ancestors(result.get_friendly_name(), _sources(nodes))
    used = [p for p in parameters if p.get_friendly_name() in needed]
    tail = openvino.Model([result], [features, *used], "tail")
    return SplitGraph(body, tail, shapes[name][1], math.ceil(radius), picture in used)


def _find_cut(model: Node) -> int | None:
    """Number (in topological order) of the node that ends the body; None: no convolution works on a finer grid."""
    nodes = model.get_ordered_ops()
    shapes = _output_shapes(model)
    picture = model.get_parameters()[0].get_friendly_name()

    def is_map(node: Node, side: int) -> bool:
        shape = shapes.get(node.get_friendly_name(), ())
        return len(shape) == 4 and shape[2:] == (side, side) and node.get_type_name() not in ("Parameter", "Constant")

    def is_fine(node: Node) -> bool:
        shape = shapes.get(node.get_friendly_name(), ())
        return len(shape) == 4 and shape[2] > _PROBE

    if not any(node.get_type_name() == "Convolution" and is_fine(node) for node in nodes):
        return None
    sources = _sources(nodes)
    depends = _depends_on_picture(nodes, sources, picture)
    best: tuple[int, int] | None = None
    tries = 0
    for place in range(len(nodes) - 1, -1, -1):
        node = nodes[place]
        name = node.get_friendly_name()
        if name not in depends or not is_map(node, _PROBE):
            continue
        before = _ancestors(name, sources)
        after = [other for other in nodes if other.get_friendly_name() not in before]
        if any(other.get_type_name() not in _LOCAL for other in after if other.get_friendly_name() in depends):
            break  # what comes before this node leaves even more behind it
        crossing = any(
            source in before and source in depends and source not in (name, picture)
            for other in after
            for source in sources[other.get_friendly_name()]
        )
        if not crossing and (best is None or shapes[name][1] < best[1]):
            best = (place, shapes[name][1])
        tries += best is not None
        if tries > _TRIES:
            break
    return None if best is None else best[0]


def _reach(node: Node, shapes: dict[str, tuple[int, ...]]) -> float:
    """How far, in source pixels, a node of the tail looks around."""
    kind = node.get_type_name()
    shape = shapes.get(node.get_friendly_name(), ())
    if kind in ("Convolution", "GroupConvolution"):
        kernel = shapes[node.input_value(1).get_node().get_friendly_name()][-1]
        return (kernel // 2) * _PROBE / shape[2]
    # Enlarging looks at the neighbour at most, on the grid that it reads.
    return 1.0 if kind == "Interpolate" else 0.0


def _sources(nodes: list[Node]) -> dict[str, list[str]]:
    """Names of what each node reads."""
    return {
        node.get_friendly_name(): [
            node.input_value(i).get_node().get_friendly_name() for i in range(node.get_input_size())
        ]
        for node in nodes
    }


def _ancestors(name: str, sources: dict[str, list[str]]) -> set[str]:
    """The node and all it needs."""
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen.add(current)
            waiting += sources.get(current, [])
    return seen


def _depends_on_picture(nodes: list[Node], sources: dict[str, list[str]], picture: str) -> set[str]:
    depends = {picture}
    for node in nodes:
        name = node.get_friendly_name()
        if any(source in depends for source in sources[name]):
            depends.add(name)
    return depends


def _output_shapes(model: Node) -> dict[str, tuple[int, ...]]:
    """Shape of every node's first output for a small picture."""
    probe = model.clone()
    free = {entry: entry.get_partial_shape() for entry in probe.inputs if entry.get_partial_shape().is_dynamic}
    if free:
        sides = {
            entry: [_PROBE if side.is_dynamic else side.get_length() for side in shape] for entry, shape in free.items()
        }
        probe.reshape(sides)
    return {
        node.get_friendly_name(): tuple(node.output(0).get_shape())
        for node in probe.get_ordered_ops()
        if node.get_output_size()
    }


def bytes_per_pixel(model: Node, bytes_per_value: int) -> float:
    """Most memory that lives at once while the graph runs, for each pixel of its (last) picture-like input.

    Counted as an executor without imagination would: a result lives until its last reader has run, elementwise
    operations work in place where their input is not needed again.
    """
    shapes = _output_shapes(model)
    nodes = model.get_ordered_ops()
    entry = model.get_parameters()[0].get_friendly_name()
    sources = _sources(nodes)
    depends = _depends_on_picture(nodes, sources, entry)
    live_nodes = [node for node in nodes if node.get_friendly_name() in depends and node.get_type_name() != "Result"]
    last_use = {
        source: place
        for place, node in enumerate(live_nodes)
        for source in sources[node.get_friendly_name()]
        if source in depends
    }
    size = {node.get_friendly_name(): math.prod(shapes[node.get_friendly_name()]) for node in live_nodes}
    live: dict[str, int] = {}
    peak = 0
    for place, node in enumerate(live_nodes):
        name = node.get_friendly_name()
        ending = [source for source in set(sources[name]) if last_use.get(source) == place]
        if node.get_type_name() in _IN_PLACE and any(size.get(source) == size[name] for source in ending):
            given = next(source for source in ending if size.get(source) == size[name])
            live.pop(given, None)
        live[name] = size[name]
        peak = max(peak, sum(live.values()))
        for source in ending:
            live.pop(source, None)
    height, width = shapes[entry][2:]
    return peak * bytes_per_value / (height * width)
