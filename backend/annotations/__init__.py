"""What people say: labels by hand, votes, verdicts, guesses, imports."""
