"""A study: its file, its checks, and loading it."""
