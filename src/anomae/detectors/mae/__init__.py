"""The masked autoencoder alone."""
