"""SAGE on screen."""
