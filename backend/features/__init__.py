"""Sparse-autoencoder features: their examples and logit effects."""
