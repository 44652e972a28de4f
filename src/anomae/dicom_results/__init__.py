"""What a model says about a scan, written as DICOM that refers to the scan's own instances."""
