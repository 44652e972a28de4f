"""Metrics, intervals, trivial rivals and the report; no torch."""
