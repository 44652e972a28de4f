"""Studies from an archive and back: DICOMweb and plain DICOM in, scores, flags and DICOM results out."""
