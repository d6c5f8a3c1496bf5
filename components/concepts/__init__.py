"""Concept sets on screen."""
