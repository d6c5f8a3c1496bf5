"""What people say: labels by hand and the files that they come and go in, blind answers."""
