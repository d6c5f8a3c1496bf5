"""The overview of a study on screen."""
