"""Labels, their scores and their evidence in the file formats of other tools."""
