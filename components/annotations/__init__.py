"""Labelling and judging by hand."""
