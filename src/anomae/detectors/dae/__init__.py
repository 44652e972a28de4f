"""Denoising autoencoder."""
