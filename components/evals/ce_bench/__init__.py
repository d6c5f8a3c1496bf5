"""CE-Bench on screen."""
