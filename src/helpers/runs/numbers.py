"""The numbers of metrics.json by their place in it."""

from collections.abc import Iterator, Mapping
from typing import Any

Place = tuple[str, ...]

# Of the published study, the same in every run.
PUBLISHED = "paper"


def metrics_by_place(document: Mapping[str, Any]) -> dict[Place, Mapping[str, Any]]:
    """Every entry with an `estimate`, but for those of the published study."""
    return {place: node for place, node in _nodes(document) if _is_metric(node) and place[0] != PUBLISHED}


def values_by_place(document: Any) -> dict[Place, Any]:
    """Every number, text, boolean and null."""
    return {place: node for place, node in _nodes(document) if not isinstance(node, (Mapping, list))}


def in_words(place: Place) -> str:
    """A place as one writes it: "per_class.A.sensitivity"."""
    return ".".join(place)


def _is_metric(node: Any) -> bool:
    return isinstance(node, Mapping) and "estimate" in node


def _nodes(node: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    if place:
        yield place, node
    if isinstance(node, Mapping):
        for name, child in node.items():
            yield from _nodes(child, (*place, name))
    elif isinstance(node, list):
        for number, child in enumerate(node):
            yield from _nodes(child, (*place, str(number)))
