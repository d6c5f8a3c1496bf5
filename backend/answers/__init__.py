"""Memoized results put together into what pages show; `backend.queries` is their door."""
