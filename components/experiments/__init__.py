"""Labelling experiments on screen."""
