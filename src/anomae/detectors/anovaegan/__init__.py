"""AnoVAEGAN."""
