"""Pseudo-lesions: abnormality simulated in healthy images, drawn first and applied afterwards."""
