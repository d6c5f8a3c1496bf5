"""The form of a labelling experiment: what is labelled, how it is judged, what it may cost."""

from __future__ import annotations

import contextlib
import re

import polars as pl
import streamlit as st

from backend.experiments.views import Quote
from backend.labels import words
from backend.schema import Job, NotFoundError, Plan, Tier
from backend.tiers.views import TierTable
from backend.tiers.words import TIERS
from components.shell import address, controls, markup, numbers
from components.shell.markup import escape
from components.shell.status import Desk, waiting

FORM = "form"
MOST = 500  # features of one experiment
LISTED = 12  # features that are named in a line
SPLITS = {
    "range": "from the whole range of peaks",
    "post": "as in the post: ranks 1–5, then 6–15",
}
NEGATIVES = {
    "other": "contexts of other features",
    "silent": "any context where it is silent",
    "hard": "hard: silent, and nearest to its own",
}
MARKS = {"matched": "as many as a positive has", "post": "where their own feature fires"}
HELPS = {  # what a choice decides, beside its control
    "methods": (
        "Each makes labels in its own way, which stands below once it is chosen. A writer is a "
        "language model that answers in text; a verbalizer turns an activation into text."
    ),
    "scorers": (
        "Each asks whether a label fits excerpts that it was not made from. detection: in which "
        "of them does the feature fire? fuzzing: are the marked tokens those on which it fires? "
        "embedding: how near is the label to them, without a judge?"
    ),
    "only": "Numbers with commas between, or nothing: then they are drawn at random.",
    "split": (
        "Labels are made from train excerpts and judged on test excerpts, which share no context. "
        "The post takes its train excerpts from the five strongest alone."
    ),
    "negatives": (
        "Excerpts in which the feature does not fire, mixed among those in which it does. The "
        "nearer they are to these, the harder is the test."
    ),
    "marks": (
        "Fuzzing marks tokens in each excerpt and asks whether they are those on which the "
        "feature fires. In a negative it fires on none, so others are marked: as many as in a "
        "positive excerpt, or those on which the feature that the negative came from fires."
    ),
    "window": "Around the marked token or the peak. More text costs more time and tokens.",
    "who": (
        "The model that writes the labels and says which excerpts they fit. A server is one that "
        "speaks OpenAI's API; its address is TESSERA_LLM_URL."
    ),
}
WHO = {"own": "the study's own model", "server": "a server"}


def names(text: str) -> tuple[str, ...]:
    """The parts of a list that a URL holds."""
    return tuple(name for name in text.split(",") if name)


def chosen(text: str) -> tuple[tuple[int, ...], str]:
    """The features that a list names, ascending, and what is to be said of the list.

    Raises:
        NotFoundError: it names none, or holds what is no number.
    """
    parts = [part for part in re.split(r"[\s,;#]+", text) if part]
    wrong = [part for part in parts if not re.fullmatch(r"-?\d{1,9}", part)]
    if wrong or not parts:
        raise NotFoundError(
            f"“{wrong[0] if wrong else text.strip()}” is no feature's number.",
            "Give numbers with commas between, such as 17, 350, 1205.",
        )
    numbers = tuple(sorted({int(part) for part in parts}))
    twice = len(parts) - len(numbers)
    words = f"{len(numbers):,} feature{'s' * (len(numbers) > 1)}"
    words += f"; {twice} named again" if twice else ""
    return numbers, f"{words}; at random {MOST} of them" if len(numbers) > MOST else words


def among(desk: Desk, study: str) -> tuple[int, ...] | None:
    """The features to draw from: those that are named, or of a tier; () stands for all, None for
    a tier whose features are being sorted."""
    only, tier = address.get("only").strip(), address.get("tier")
    if only:
        return chosen(only)[0]
    if tier == "all":
        return ()
    view: TierTable | Job = desk.tiers(study)
    if waiting(view, desk, "sorting"):
        return None
    inside = view.table.filter(pl.col("tier") == int(Tier[tier.upper()]))["feature"].to_list()
    if not inside:
        raise NotFoundError(f"No feature is of the {tier} tier.", "Choose another tier.")
    return tuple(sorted(inside))


def plan(among: tuple[int, ...] = ()) -> Plan:
    """What the form says, of features drawn from `among`."""
    named = bool(address.get("only").strip())
    return Plan(
        methods=names(address.get("methods")),
        scorers=names(address.get("scorers")),
        features=min(len(among), MOST) if named else address.get("count"),
        split=address.get("split"),
        negatives=address.get("negatives"),
        marks=address.get("marks"),
        window=address.get("window") or None,
        seed=address.get("seed"),
        among=among,
    )


def render_form(methods: pl.DataFrame, server: str) -> None:
    """All fields; each change is in the URL. `server`: the model that a server offers, or ""."""
    left, middle, right = st.columns([6, 4, 4], gap="medium")
    with left:
        helps = dict(zip(methods["method"], methods["help"], strict=True))
        controls.multiselect(
            "methods", "Methods", list(helps), help=HELPS["methods"], rerun=(FORM,)
        )
        lines = [f"**{name}** {helps[name]}" for name in names(address.get("methods"))]
        st.caption("  \n".join(lines))
        controls.multiselect(
            "scorers", "Judged by", words.scorer_names(), help=HELPS["scorers"], rerun=(FORM,)
        )
    with middle:
        _render_features()
        _choice("Train and test", "split", SPLITS)
        seed_help = "Of the sample of features and of all draws of excerpts"
        controls.number_input("seed", "Seed", step=1, help=seed_help, rerun=(FORM,))
    with right:
        _choice("Negatives", "negatives", NEGATIVES)
        _choice("Marks on negatives, in fuzzing", "marks", MARKS)
        window_label = "Tokens on either side that the judge sees (0: all)"
        window_help = HELPS["window"]
        controls.number_input("window", window_label, step=4, help=window_help, rerun=(FORM,))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        render_writer("Who writes and judges", server, FORM)
        render_caps(FORM)


def _render_features() -> None:
    """Which features: those that are named, or so many at random of all or of a tier."""
    named = bool(address.get("only").strip())
    placeholder = "any, at random; or 17, 350, 1205"
    look = {"placeholder": placeholder, "help": HELPS["only"]}
    controls.text_input("only", "Features", **look, rerun=(FORM,))
    if named:
        with contextlib.suppress(NotFoundError):  # it is told below, where the plan is made
            markup.note(chosen(address.get("only"))[1])
        return
    left, right = st.columns(2)
    with left:
        controls.number_input("count", "How many", step=10, rerun=(FORM,))
    with right:
        controls.selectbox(
            "tier",
            "Of the tier",
            TIERS,
            format_func=lambda tier: "any" if tier == "all" else tier,
            help="By the default thresholds of the page Tiers",
            rerun=(FORM,),
        )


def _choice(label: str, field: str, options: dict[str, str]) -> None:
    look = {"format_func": options.get, "help": HELPS[field]}
    controls.selectbox(field, label, list(options), **look, rerun=(FORM,))


def render_writer(label: str, server: str, fragment: str) -> None:
    """Which model writes: the study's own, or the one that a server offers."""
    controls.segmented_control(
        "who",
        label,
        list(WHO),
        format_func=lambda who: (
            f"{WHO[who]} · {server}" if who == "server" and server else WHO[who]
        ),
        help=HELPS["who"],
        rerun=(fragment,),
    )


def render_caps(fragment: str) -> None:
    """Where a server's calls and costs end."""
    if address.get("who") == "server":
        controls.number_input("calls", "Stop at calls (0: no limit)", step=100, rerun=(fragment,))
        controls.number_input("cost", "Stop at cost (0: no limit)", step=1.0, rerun=(fragment,))


def quote_html(quote: Quote) -> str:
    """What a run would ask for."""
    chips = [
        markup.chip("features", numbers.count(quote.features)),
        markup.chip("prompts", numbers.count(quote.calls), "at most"),
    ]
    if quote.prompt_tokens:
        chips.append(markup.chip("tokens in", numbers.count(quote.prompt_tokens), "at most"))
        chips.append(markup.chip("tokens out", numbers.count(quote.reply_tokens), "at most"))
        cost = "prices not set" if quote.cost is None else f"{quote.cost:,.2f}"
        chips.append(markup.chip("cost", escape(cost), "in the currency of the prices", "warn"))
    left_out = ""
    if quote.left_out:
        numbers_out = ", ".join(map(str, quote.left_out[:LISTED]))
        more = ", …" if len(quote.left_out) > LISTED else ""
        left_out = (
            f'<p class="note warn">{len(quote.left_out):,} of the named features fire in too few '
            f"contexts to be tested and are left out: {numbers_out}{more}.</p>"
        )
    how = f'<p class="note">{escape(quote.how)}</p>'
    return f"{markup.chips(chips)}{left_out}{how}{_capped(quote)}"


def _capped(quote: Quote) -> str:
    """What a cap below the estimate means."""
    if address.get("who") != "server":
        return ""
    calls, cost = address.get("calls"), address.get("cost")
    if not ((calls and quote.calls > calls) or (cost and (quote.cost or 0) > cost)):
        return ""
    return (
        '<div class="finding"><b>The run may need more than its cap.</b><p>It stops there and '
        "keeps what was paid for; started again with a higher cap, it goes on.</p></div>"
    )
