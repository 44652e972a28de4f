"""anomae: find what does not belong in a medical image, having seen only healthy ones."""

__version__ = "0.1.0"
