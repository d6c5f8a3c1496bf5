"""Everything Tessera computes. Pages enter through `backend.queries` alone."""
