"""f-AnoGAN."""
