"""Text sources and the token contexts made of them."""
