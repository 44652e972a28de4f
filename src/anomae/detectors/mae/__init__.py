"""MAE: the masked autoencoder alone."""
