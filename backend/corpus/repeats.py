"""Which documents repeat half of an earlier one, or more.

A sketch is the `SKETCH` smallest hashes of a text's runs of `SHINGLE_WORDS` words; the share of
them that an earlier text's sketch holds estimates how much of the text that one repeats (bottom-k
sketches: Broder, *On the resemblance and containment of documents*, 1997).
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter

SHINGLE_WORDS = 8
SKETCH = 48


class Deduplicator:
    """Remembers the sketches of the texts it was shown."""

    def __init__(self) -> None:
        self._owner: dict[int, int] = {}
        self._count = 0

    def is_repeat(self, text: str) -> bool:
        """Whether an earlier text holds half of this one; if none does, it is remembered."""
        sketch = _sketch(text)
        shared = Counter(self._owner[value] for value in sketch if value in self._owner)
        if max(shared.values(), default=0) >= len(sketch) / 2:
            return True
        for value in sketch:
            self._owner.setdefault(value, self._count)
        self._count += 1
        return False


def _sketch(text: str) -> list[int]:
    words = re.findall(r"\w+", text.casefold()) or [text]
    runs = max(1, len(words) - SHINGLE_WORDS + 1)
    hashes = {
        int.from_bytes(
            hashlib.blake2b(" ".join(words[i : i + SHINGLE_WORDS]).encode(), digest_size=8).digest()
        )
        for i in range(runs)
    }
    return sorted(hashes)[:SKETCH]
