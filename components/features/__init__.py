"""Features on screen."""
