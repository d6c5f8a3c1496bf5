"""Small pieces of HTML that pages are made of. All text that comes in is escaped here."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

import streamlit as st

from backend.labels.words import QUOTED, mark_words
from components.shell import numbers, terms

WHITESPACE = {" ": "·", "\n": "⏎", "\t": "⇥", "\r": "␍", "\u00a0": "⍽", "\u200b": "∅"}

SYMBOLS = (
    {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\n\t"}
    | {127: "␡"}
    | dict.fromkeys((*range(0x80, 0xA0), *range(0xD800, 0xE000)), "�")
    # direction overrides would turn the rest of the line around
    | {code: f"‹{code:X}›" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
)

# said of a search without a hit
NOTHING = "words are found whole: play* finds players, *ing what ends so"


def escape(value: object) -> str:
    """Text as HTML, with control characters as symbols."""
    return html.escape(visible(str(value)))


def visible(value: str) -> str:
    """Control characters shown as symbols (␀, ␛, …); white space is left as it is."""
    return value.translate(SYMBOLS)


def token(value: str) -> str:
    """One token as HTML, its white space visible; `␣`-like marks are muted."""
    if not value:
        return '<span class="tok mark" title="part of a character, or nothing">∅</span>'
    parts = []
    for character in value:
        if character in WHITESPACE and (character != " " or character in (value[0], value[-1])):
            parts.append(f'<span class="mark">{WHITESPACE[character]}</span>')
        else:
            parts.append(escape(character))
    return f'<span class="tok" dir="auto">{"".join(parts)}</span>'


SPELLED = str.maketrans({"␠": " ", "↵": "\n", "␉": "\t"})  # signs that labels have for white space


def label(value: str) -> str:
    """A label as HTML; a token that it quotes stands as tokens do, on one line. One that names
    no word says in words what it names."""
    words, piece = mark_words(value)
    if words:
        return f'{words} (<span class="quoted">{token(piece.translate(SPELLED))}</span>)'
    quoted = QUOTED.fullmatch(value)
    if not quoted:
        return escape(value)
    word, piece = quoted.groups()
    return f'{word} <span class="quoted">{token(piece.translate(SPELLED))}</span>'


def plain_label(value: str) -> str:
    """A label in short where no HTML can be; white space is drawn as everywhere."""
    words, piece = mark_words(value)
    text = f"{words.removeprefix('most often ')} ({piece})" if words else value
    spelled = text.replace("␠", WHITESPACE[" "]).replace("↵", WHITESPACE["\n"])
    return visible(spelled.replace("␉", WHITESPACE["\t"]))


def chip(label: str, value: str, hint: str = "", kind: str = "") -> str:
    """A number with its name. `value` is HTML."""
    title = f' title="{html.escape(hint)}"' if hint else ""
    return f'<span class="chip {kind}"{title}><i>{terms.label_html(label)}</i> {value}</span>'


def unbroken(body: str) -> str:
    """HTML that stays on one line."""
    return f'<span style="white-space:nowrap">{body}</span>'


def dotted(name: str, hue: str) -> str:
    """A name after a dot of its colour, on one line."""
    return unbroken(f'<i class="dot" style="background:{hue}"></i>{escape(name)}')


def chips(parts: Iterable[str]) -> str:
    return f'<div class="chips">{"".join(parts)}</div>'


def bar(share: float, kind: str = "") -> str:
    """A thin bar from the left; the share is cut to 0..1."""
    width = 100 * min(1.0, max(0.0, share))
    return f'<span class="bar {kind}"><b style="width:{width:.1f}%"></b></span>'


def interval(value: object, low: object, high: object) -> str:
    """A value with its 95% interval, small beside it; one dash where there is none."""
    if numbers.known(low) is None or numbers.known(value) is None:
        has_value = numbers.known(value) is not None
        return f"{numbers.fraction(value)} <small>–</small>" if has_value else numbers.MISSING
    between = " to " if (numbers.known(low) or 0) < 0 else "–"
    ends = f"{numbers.fraction(low)}{between}{numbers.fraction(high)}"
    return f"{numbers.fraction(value)} <small>{ends}</small>"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], kinds: str, note: str = "") -> str:
    """A quiet table. Cells are HTML; `kinds` has a letter a column: t text, n number, b bar."""
    looks = {"t": "", "n": "num", "b": "barcell"}
    classes = [looks[kind] for kind in kinds]
    names = [terms.label_html(name) for name in heads]
    head = "".join(f'<th class="{c}">{name}</th>' for name, c in zip(names, classes, strict=True))
    body = "".join(
        "<tr>"
        + "".join(f'<td class="{c}">{v}</td>' for v, c in zip(row, classes, strict=True))
        + "</tr>"
        for row in rows
    )
    empty = "" if rows else '<p class="note">Nothing to show.</p>'
    note_html = f'<p class="note">{escape(note)}</p>' if note else ""
    table_html = f'<table class="quiet"><tr>{head}</tr>{body}</table>'
    return f'{note_html}<div class="wide">{table_html}</div>{empty}'


def render(body: str) -> None:
    """Show HTML made here; nothing where there is none."""
    if body:
        st.html(body)


def note(words: str) -> None:
    """A quiet sentence."""
    st.html(f'<p class="note">{escape(words)}</p>')


def head(words: str, hint: str = "") -> None:
    """A section's name, with what it is said beside it."""
    hint_html = f"<small>{escape(hint)}</small>" if hint else ""
    st.html(f'<h3 class="head">{escape(words)}{hint_html}</h3>')
