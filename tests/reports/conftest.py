"""The made-up store of the stages' tests."""

from ..stages.conftest import SHORT, heads

__all__ = ["SHORT", "heads"]
