"""The masked autoencoder and the classifier: vision transformers."""
