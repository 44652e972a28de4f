"""AnoVAEGAN: a variational autoencoder with a critic."""
