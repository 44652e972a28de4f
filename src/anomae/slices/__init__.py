"""Volumes to prepared slices to the store that detectors read."""
