"""Regions on screen."""
