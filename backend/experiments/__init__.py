"""Labelling experiments: many features by several methods, scored beside controls."""
