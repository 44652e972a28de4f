"""DAE: a denoising autoencoder."""
