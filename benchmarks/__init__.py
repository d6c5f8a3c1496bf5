"""Speed and memory, as ratios to what the machine can do: `python -m benchmarks.<name>`."""
