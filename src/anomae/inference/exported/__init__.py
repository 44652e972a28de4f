"""The exported model in use: numpy and one engine, ONNX Runtime or OpenVINO; no torch."""

from anomae.inference.exported.detector import ExportedDetector, load_exported

__all__ = ["ExportedDetector", "load_exported"]
