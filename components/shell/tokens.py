"""Passages of text, token by token: highlighted by a number, or coloured by region.

Tokens are shown as the document spells them. White space that ends a line or stands alone is made
visible, control characters become symbols, and pieces without text of their own (the later bytes
of one character) a dot. Each token keeps its own direction, so right-to-left text reads rightly.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from backend.corpus.views import Passage
from components.shell.markup import escape
from components.shell.numbers import activation, fraction

REGION_HUES = 12


@dataclass(frozen=True)
class Look:
    """How a passage is shown. `peak` is the value of a full highlight; 0: no highlight."""

    peak: float = 0.0
    what: str = "activation"
    regions: bool = False
    breaks: bool = True  # a line feed also breaks the line
    link: Callable[[int], str] | None = None  # address of a region


PLAIN = Look()


def passage_html(passage: Passage, look: Look = PLAIN) -> str:
    """A passage as HTML; every piece of text is escaped."""
    body = "".join(_piece(passage, index, look) for index in range(len(passage.pieces)))
    return f'<div class="passage" dir="auto">{body}</div>'


def _piece(passage: Passage, index: int, look: Look) -> str:
    value = passage.values[index] if index < len(passage.values) else 0.0
    style, classes = "", ["t"]
    region = passage.regions[index] if look.regions and index < len(passage.regions) else None
    if region is not None:
        classes.append(f"r{region % REGION_HUES}")
    elif look.peak > 0 and value > 0:
        style = f' style="--a:{strength(value, look.peak):.2f}"'
        classes.append("on")
    if index == passage.focus:
        classes.append("focus")
    title = html.escape(hover(passage, index, look), quote=True)
    text = piece_html(passage.pieces[index], look.breaks)
    name = " ".join(classes)
    if region is not None and look.link is not None:
        address = html.escape(look.link(region), quote=True)
        return f'<a class="go {name}" href="{address}" target="_self" title="{title}">{text}</a>'
    return f'<span class="{name}"{style} title="{title}">{text}</span>'


def strength(value: float, peak: float) -> float:
    """Opacity of a highlight: never invisible where the value is above zero."""
    return min(1.0, 0.12 + 0.88 * max(0.0, value) / peak) if peak > 0 else 0.0


def hover(passage: Passage, index: int, look: Look) -> str:
    """What hovering a token says: the token, its number, its row in the corpus."""
    piece = passage.pieces[index]
    parts = [repr(piece) if piece else "(no text of its own)"]
    if index < len(passage.values):
        parts.append(f"{look.what} {fraction(passage.values[index], 3)}")
    if index < len(passage.regions):
        parts.append(f"region {passage.regions[index]}")
    if passage.document >= 0:
        parts.append(f"token {passage.first + index:,}")
    return " · ".join(parts)


def piece_html(piece: str, breaks: bool = True) -> str:
    """The text of one token. Marks of white space are drawn by style sheets, not written, so the
    text can still be copied, and stripping the tags gives it back."""
    if not piece:
        return '<i class="none"></i>'
    feed = '<i class="feed"></i>' + ("\n" if breaks else " ")
    text = escape(piece).replace("\n", feed).replace("\t", '<i class="tab"></i>\t')
    return f'<i class="space"></i>{text}' if piece.isspace() and "\n" not in piece else text


def window(passage: Passage, before: int, after: int) -> Passage:
    """The part of a passage around its focus."""
    if passage.focus < 0:
        return passage
    return part(passage, max(0, passage.focus - before), passage.focus + after + 1)


def part(passage: Passage, low: int, high: int) -> Passage:
    """The tokens of a passage from `low` up to `high`; without the focus where it lies outside."""
    return replace(
        passage,
        first=passage.first + low,
        pieces=passage.pieces[low:high],
        values=passage.values[low:high],
        regions=passage.regions[low:high],
        focus=passage.focus - low if low <= passage.focus < high else -1,
    )


def legend_html(peak: float, what: str = "activation") -> str:
    """What the highlight means: a strip from 0 to the peak."""
    steps = "".join(
        f'<span class="t on" style="--a:{strength(peak * i / 5, peak):.2f}"></span>'
        for i in range(1, 6)
    )
    scale = f'0 <span class="steps">{steps}</span> {activation(peak)}'
    return f'<div class="legend">{escape(what)} {scale}</div>'


def peak_of(passages: Sequence[Passage]) -> float:
    """The largest value of any of them."""
    return max((max(p.values, default=0.0) for p in passages), default=0.0)
