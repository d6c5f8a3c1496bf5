"""Benchmarks of SAEs and of units, as published and as they should be."""
