"""Concepts, which are labelled sets of texts, against regions, their rivals and features."""
