"""DRAEM-like: simulated anomalies, reconstruction and segmentation."""
