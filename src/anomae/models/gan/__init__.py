"""Generators, critics and their losses."""
