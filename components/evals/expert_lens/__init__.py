"""ExpertLens on screen."""
