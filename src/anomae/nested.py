"""Nested tables, as settings are, with a dotted key for every leaf."""

from collections.abc import Iterator, Mapping
from typing import Any


def flat_settings(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and value of every leaf of nested tables, in their order; an empty table has none."""
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from flat_settings(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
