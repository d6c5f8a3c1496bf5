"""Durable state: memoized results and jobs."""
