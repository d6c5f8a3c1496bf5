"""Labels by hand as files, on screen."""
