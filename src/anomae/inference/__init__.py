"""Scoring one volume: no printing, no files."""
