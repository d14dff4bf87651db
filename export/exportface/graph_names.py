"""Names of tensors in an ONNX graph, those inside its nodes' own graphs included."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import onnx


def tensor_names(graph: onnx.GraphProto) -> set[str]:
    """Every name that a tensor of the graph has, at any depth."""
    return {name for part in graphs_in(graph) for name in _names(part)} - {""}


def rename_tensors(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Give tensors new names, wherever they are read or written; old name to new name.

    A name means one tensor throughout a graph and the graphs inside it, so it is replaced everywhere.
    """
    for part in graphs_in(graph):
        for node in part.node:
            node.input[:] = [names.get(name, name) for name in node.input]
            node.output[:] = [names.get(name, name) for name in node.output]
        for value in (*part.input, *part.output, *part.initializer, *part.value_info):
            value.name = names.get(value.name, value.name)
        for sparse in part.sparse_initializer:
            sparse.values.name = names.get(sparse.values.name, sparse.values.name)


def graphs_in(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """The graph itself, and the bodies of its loops and branches."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for body in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from graphs_in(body)


def _names(graph: onnx.GraphProto) -> Iterator[str]:
    for node in graph.node:
        yield from (*node.input, *node.output)
    for value in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        yield value.name
    for sparse in graph.sparse_initializer:
        yield sparse.values.name
