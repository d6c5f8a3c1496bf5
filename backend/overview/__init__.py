"""What a study holds and what is worth a look."""
