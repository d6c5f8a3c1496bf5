"""The tabs of the Benchmarks page: a module each, named as its evaluation, with a `TAB`."""
