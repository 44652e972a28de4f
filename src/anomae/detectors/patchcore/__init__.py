"""A memory of healthy patches."""
