"""Evidence a patch, pseudo-lesions in the image, and a head that learns to tell them: the detector `anomae`."""
