"""Tags and file formats of labels by hand, as backend and pages share them; nothing heavy."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class FileFormat:
    """What pages need to know of a format of labels by hand. `ending` is of its files' names,
    `loses` says what such a file does not hold, "" where it holds everything, and `can_import`
    whether it may come in again."""

    name: str
    title: str
    ending: str
    mime: str
    loses: str
    can_import: bool

    def is_ending_of(self, file_name: str) -> bool:
        """Whether a file is called as this format's are. A browser that has a file of this name
        puts a number into it: `a.events (1).jsonl`."""
        *first, last = map(re.escape, self.ending.split("."))
        pattern = "".join(rf"\.{part}\b.*" for part in first) + rf"\.{last}$"
        return re.search(pattern, file_name, re.IGNORECASE) is not None


def format_of(file_name: str, formats: Iterable[FileFormat]) -> str:
    """The name of the format that a file's name ends as, of those that can be imported; "" where
    there is none."""
    readable = [each for each in formats if each.can_import]
    for each in sorted(readable, key=lambda each: -len(each.ending)):  # the most telling first
        if each.is_ending_of(file_name):
            return each.name
    return ""


# that may be put on a decision about a feature
TAGS = {
    "polysemantic": "more than one meaning, each clear",
    "syntax": "grammar or punctuation",
    "format": "markup, lists, headings, numbers as written",
    "language": "a language or script",
    "topic": "what the whole text is about",
    "position": "where in a sentence or text",
    "weak": "fires so weakly or rarely that nothing can be said",
}
