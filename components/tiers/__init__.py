"""Tiers on screen."""
