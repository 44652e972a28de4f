"""Scans on disk to volumes with world geometry, and made-up phantoms."""
