"""What the queries on benchmarks answer with."""
