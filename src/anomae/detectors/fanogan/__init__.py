"""f-AnoGAN: an encoder, a generator and a critic."""
