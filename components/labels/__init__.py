"""Labels on screen."""
