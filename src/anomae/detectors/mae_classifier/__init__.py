"""The paper's method: a masked autoencoder, then a classifier of its differences."""
