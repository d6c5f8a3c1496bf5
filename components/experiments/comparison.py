"""Labels of one feature side by side on the same held-out excerpts, open or blind."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import polars as pl
import streamlit as st

from backend.corpus.views import Passage
from backend.experiments.views import Comparison, Experiment, Judgement
from backend.labels import words
from components.experiments.results import doubt, name
from components.shell import address, controls, markup, numbers, palette, person
from components.shell.links import anchor
from components.shell.markup import escape
from components.shell.rows import Opening, render_rows
from components.shell.selection import neighbour
from components.shell.stepping import render_steps, stay
from components.shell.tokens import Look, legend_html, passage_html

LIST, INSPECTOR = "contested", "compared"
ROWS = "contested-rows"
LETTERS = "ABCDEFGHI"
HEAD, ROW = 33, 26  # pixels of the list's head and of a row
Choice = tuple[str, tuple[str, ...]]  # the preferred method ("": none) and those it beat


# ---------------------------------------------------------------- which feature


def pairs(view: Experiment) -> list[str]:
    """Pairs of methods, baez beside eleuther first."""
    pairs = [" | ".join(pair) for pair in combinations(view.plan.methods, 2)]
    return sorted(pairs, key=lambda pair: not ("baez" in pair and "eleuther" in pair))


def contested(view: Experiment) -> pl.DataFrame:
    """feature, distance: features by how far apart the chosen pair's labels lie; those without
    both labels last."""
    ids = pl.DataFrame({"feature": sorted(set(view.labels["feature"].to_list()))})
    pair = address.get("pair") if address.get("pair") in pairs(view) else (pairs(view) or [""])[0]
    methods = set(pair.split(" | "))
    far = view.distances.filter(
        pl.col("method").is_in(methods) & pl.col("other").is_in(methods)
    ).select("feature", "distance")
    joined = ids.join(far, on="feature", how="left")
    return joined.sort("distance", descending=True, nulls_last=True, maintain_order=True)


def render_controls(view: Experiment) -> None:
    """Which pair orders the list, which judge's verdicts are shown, blind or not."""
    with st.container(horizontal=True, gap="small", key="controls", vertical_alignment="center"):
        options = pairs(view)
        if len(options) > 1 and not address.get("blind"):
            pair = address.get("pair")
            controls.selectbox(
                "pair",
                "Pair",
                options,
                pair if pair in options else options[0],
                label_visibility="collapsed",
                rerun=(LIST, INSPECTOR),
                also={"feature": None},
            )
        if len(view.plan.scorers) > 1:
            controls.segmented_control(
                "by",
                "By",
                view.plan.scorers,
                scorer(view),
                label_visibility="collapsed",
                rerun=(LIST, INSPECTOR),
            )
        st.button(
            "Show names" if address.get("blind") else "Blind",
            shortcut="B",
            type="primary" if address.get("blind") else "tertiary",
            key="blind",
            help="Hide which method is which, and say which label you prefer",
            on_click=_put,
            kwargs={"blind": not address.get("blind")},
        )


def scorer(view: Experiment) -> str:
    """The scorer whose verdicts are shown: the one that is chosen, or the first there is."""
    chosen = address.get("by")
    return chosen if chosen in view.plan.scorers or not view.plan.scorers else view.plan.scorers[0]


def _put(**fields: Any) -> None:
    address.put(**fields)
    st.rerun([LIST, INSPECTOR])


def render_list(view: Experiment) -> None:
    """Features, most contested first."""
    features = contested(view)
    order = "Most distant labels of the pair first." if len(view.distances) else "By number."
    markup.note(order)
    render_rows(
        features.with_columns(pl.Series("label", _first_labels(view, features))),
        Opening(features["feature"].to_list(), opened(view), _open),
        ROWS,
        column_config={
            "feature": st.column_config.NumberColumn("feature", width=64, format="%d"),
            "distance": st.column_config.NumberColumn("distance", width=68, format="%.2f"),
            "label": st.column_config.TextColumn("labels", width=420),
        },
        row_height=ROW,
        height=min(640, HEAD + ROW * len(features)),
        placeholder="–",
        alt="Features by distance of their labels; click a row to open it",
    )


def _first_labels(view: Experiment, features: pl.DataFrame) -> list[str]:
    """Labels of each feature in a line, in an order that tells nothing where that is hidden."""
    texts: dict[int, list[str]] = {}
    for row in view.labels.iter_rows(named=True):
        text = markup.plain_label(row["text"]) or "(none)"
        texts.setdefault(row["feature"], []).append(text)
    order = sorted if address.get("blind") else list
    return [" · ".join(order(texts[feature])) for feature in features["feature"]]


def opened(view: Experiment) -> int:
    """The feature that is looked at."""
    ids = contested(view)["feature"].to_list()
    feature = address.get("feature")
    return ids[0] if feature is None else feature


def _open(feature: int | None) -> None:
    if feature == address.get("feature"):
        st.rerun([address.IDLE])
    _put(feature=feature)


def render_title(view: Experiment, feature: int) -> None:
    """The feature, and the way to the next."""
    link = anchor("its page", "features", feature=feature)
    title = f"Feature {feature}<small>{link}</small>"
    render_steps(title, lambda step: open_next(view, feature, step))


# ---------------------------------------------------------------- labels and votes


def order(comparison: Comparison) -> list[int]:
    """Methods as they are shown: as planned, or shuffled where their names are hidden."""
    places = list(range(len(comparison.methods)))
    if not address.get("blind"):
        return places
    names = [f"{comparison.feature} {method}".encode() for method in comparison.methods]
    return sorted(places, key=lambda place: zlib.crc32(names[place]))


def labels_html(comparison: Comparison, view: Experiment) -> str:
    """One row a label, with its scores where names are shown."""
    texts = dict(zip(comparison.labels["method"], comparison.labels["text"], strict=True))
    methods = [comparison.methods[number] for number in order(comparison)]
    bold = [f"<b>{markup.label(texts[method])}</b>" for method in methods]
    if address.get("blind"):
        lettered = zip(LETTERS, bold, strict=False)
        rows = [[f"<b>{letter}</b>", text] for letter, text in lettered]
        return f'<div class="scored">{markup.table(["", "label"], rows, "tt")}</div>'
    scorers = _scorers(comparison)
    blank = [""] * len(scorers)
    rows = [
        [dot(method) + doubt(method, view), text, *_scores(comparison, method, scorers)]
        for method, text in zip(methods, bold, strict=True)
    ]
    rows.append([name(""), "", *_scores(comparison, "", scorers)])
    rows += [
        [dot(row["method"]), f"<i>{escape(row['failed'])}</i>", *blank]
        for row in comparison.labels.filter(pl.col("failed") != "").iter_rows(named=True)
    ]
    for row in comparison.human.iter_rows(named=True):
        text = f"<b>{markup.label(row['text'] or row['failed'])}</b>"
        rows.append([f"human · {escape(row['writer'])}", text, *blank])
    heads, kinds = ["", "label", *map(words.title, scorers)], "tt" + "n" * len(scorers)
    return f'<div class="scored">{markup.table(heads, rows, kinds)}</div>'


def answer_html(comparison: Comparison) -> str:
    """Which label does best by the chosen scorer, and whether it is told from no label; nothing
    where names are hidden, or nothing is scored yet."""
    ranked, there = comparison.scorer + words.RANKED, set(comparison.scores["scorer"])
    score = ranked if ranked in there else comparison.scorer
    scores = comparison.scores.filter(scorer=score).sort("value", descending=True, nulls_last=True)
    best = scores.filter(pl.col("method") != "", pl.col("value").is_not_null()).to_dicts()
    if address.get("blind") or not best:
        return ""
    first, none = best[0], scores.filter(method="")["value"].to_list()
    verdict = ""
    if none and numbers.known(none[0]) is not None and numbers.known(first["low"]) is not None:
        apart = "better than" if first["low"] > none[0] else "not told from"
        verdict = f", {apart} no label at all ({numbers.fraction(none[0])})"
    ends = markup.interval(*(first[end] for end in ("value", "low", "high")))
    return (
        f'<p class="answer">Of {len(best)} labels that of {name(first["method"])} does best by '
        f"{escape(words.title(score))}: {ends}{verdict}.</p>"
    )


def dot(method: str) -> str:
    """A method's name after its colour."""
    return f'<span class="dot" style="background:{palette.method(method)}"></span>{name(method)}'


def _scorers(comparison: Comparison) -> list[str]:
    there = list(dict.fromkeys(comparison.scores["scorer"].to_list()))
    return [s for s in there if s + words.RANKED not in there]


def _scores(comparison: Comparison, method: str, scorers: Sequence[str]) -> list[str]:
    rows = {row["scorer"]: row for row in comparison.scores.filter(method=method).to_dicts()[::-1]}
    return [
        markup.interval(*(rows[scorer][end] for end in ("value", "low", "high")))
        if scorer in rows
        else numbers.MISSING
        for scorer in scorers
    ]


def render_vote(comparison: Comparison, on_vote: Callable[[Choice], None]) -> None:
    """Where names are hidden, the buttons to prefer a label; `on_vote` keeps what was chosen."""
    if not address.get("blind"):
        return
    if len(comparison.methods) < 2:
        markup.note("Only one method gave a label here, so there is nothing to prefer.")
        return
    if not person.render_person((INSPECTOR,), "Votes are kept by name: give yours to vote."):
        return
    methods = [comparison.methods[number] for number in order(comparison)]
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        for place, method in enumerate(methods):
            choice = method, tuple(each for each in methods if each != method)
            st.button(
                f"Prefer {LETTERS[place]}", shortcut=str(place + 1), key=f"vote-{place}",
                on_click=on_vote, args=(choice,),
            )  # fmt: skip
        st.button(
            "None of them", shortcut="0", type="tertiary", key="vote-none",
            on_click=on_vote, args=(("", tuple(methods)),),
        )  # fmt: skip
        person.render_change((INSPECTOR,))


def open_next(view: Experiment, feature: int, step: int = 1) -> None:
    """On to the next feature, or to the one before (-1)."""
    target = neighbour(contested(view)["feature"].to_list(), feature, step)
    if target is None:
        stay(step, INSPECTOR)
    _open(target)


def votes_html(votes: pl.DataFrame) -> str:
    """Who was preferred to whom; hidden while votes are given, since it names methods."""
    if address.get("blind"):
        return '<p class="note">Votes are kept; show names to see how they stand.</p>'
    rows = [
        [
            f"{dot(row['method'])} over {dot(row['other'])}",
            f"{row['preferred']} of {row['n']}",
            markup.interval(row["share"], row["low"], row["high"]),
        ]
        for row in votes.iter_rows(named=True)
    ]
    note = "Blind votes of everybody on this experiment, last word each; chance is .50."
    return markup.table(("preferred", "votes", "share"), rows, "tnn", note)


# ---------------------------------------------------------------- excerpts


def excerpts_html(comparison: Comparison) -> str:
    """The held-out excerpts, those in which the feature fires first, and for each label whether
    the judge got it right."""
    if not comparison.items:
        return '<p class="note">This experiment was imported without its excerpts.</p>'
    marked = comparison.judged and not address.get("blind")
    columns = order(comparison) if marked else []
    ranked = sorted(
        comparison.items, key=lambda item: (not item.fires, -max(item.values, default=0))
    )
    rows = [
        [
            "fires" if item.fires else "silent",
            _text(item, comparison),
            *[_verdict(item, number) for number in columns],
        ]
        for item in ranked
    ]
    heads = ("", "held-out excerpt", *[comparison.methods[number] for number in columns])
    table = markup.table(heads, rows, "tt" + "t" * len(columns), _excerpts_note(comparison))
    return f'<div class="compared">{legend_html(comparison.maximum)}{table}</div>'


def _excerpts_note(comparison: Comparison) -> str:
    note = "Excerpts that no label was made from."
    if address.get("blind"):
        return note
    if not comparison.judged:
        return f"{note} By {comparison.scorer} they are judged all at once, so none has a mark."
    note += f" Judged by {comparison.scorer}: ✓ right, ✗ wrong, – no answer."
    if comparison.scores["judge"].str.ends_with("median").any():
        note += " This judge calls the likelier half fitting, so a mark is relative to the others."
    return note


def _text(item: Judgement, comparison: Comparison) -> str:
    passage = Passage(-1, "", "", 0, item.pieces, item.values)
    return passage_html(passage, Look(comparison.maximum, breaks=False))


def _verdict(item: Judgement, number: int) -> str:
    answer, likely = item.answers[number], item.probabilities[number]
    if answer is None:
        return '<span title="the judge gave no usable answer">–</span>'
    right = bool(answer) == item.fires
    hint = "says it fits" if answer else "says it does not fit"
    more = "" if likely is None else f", probability {numbers.fraction(likely)}"
    kind, sign = ("hit", "✓") if right else ("miss", "✗")
    return f'<span class="{kind}" title="{hint}{more}">{sign}</span>'
