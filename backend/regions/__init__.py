"""Exemplar partitioning: regions of activation space."""
