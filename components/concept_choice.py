"""What is asked of which concept set, and a concept of one's own."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from backend.concept_views import ConceptChoice, ConceptsView
from backend.schema import TesseraError
from components import address, controls, markup, numbers
from components.markup import escape
from components.status import render_problem

SAID = {
    "too_few": "of concepts with too few texts",
    "empty": "empty",
    "contradictory": "labelled both ways",
    "in_both_splits": "in train and in test (left out of train)",
    "repeated": "repeated",
}

ASKS = {
    "any region": "Any region",
    "in or out": "In or out",
    "new texts": "New texts",
    "purity": "Purity and coverage",
    "gray zone": "Gray zone",
    "stability": "Stable regions",
    "again": "Made again",
}
HINTS = {
    "any region": "How well does any region, not just the best, tell the concept from the rest?",
    "in or out": "Who is in and who is out, at θ: true and false positives of hard membership.",
    "new texts": "Where do texts go that no one chose the region by?",
    "purity": "Does everything that expresses it land here, and nothing else?",
    "gray zone": "What does it do to require new exemplars to be farther apart than kθ?",
    "stability": "Does the model's output change where a region ends?",
    "again": "Would the same regions be found again? Are they features?",
}


def render_asks() -> str:
    """The question that is asked."""
    controls.segmented_control(
        "ask", "Question", list(ASKS), format_func=ASKS.__getitem__, label_visibility="collapsed",
        also={"asked": False},
    )  # fmt: skip
    asked = str(address.get("ask"))
    markup.note(HINTS[asked])
    return asked


def render_fresh(choices: list[ConceptChoice]) -> str:
    """The set whose texts are looked for in the chosen region; "" for the set's own."""
    names = ["", *(choice.name for choice in choices if choice.name != address.get("set"))]
    controls.selectbox(
        "of", "Texts", names, format_func=lambda name: name or "test texts of this set"
    )
    return str(address.get("of"))


def render_choice(choices: list[ConceptChoice]) -> tuple[str, DeltaGenerator]:
    """The name of the set that is asked about, and the place beside it."""
    said = {choice.name: f"{choice.name} · {choice.said}" for choice in choices}
    left, right = st.columns(2)
    with left:
        controls.selectbox(
            "set", "Concept set", list(said), format_func=lambda name: said.get(name) or name,
            also={"concept": ""},
        )  # fmt: skip
    return str(address.get("set")), right


def render_concept(view: ConceptsView) -> str:
    """The concept that is asked about, by name."""
    names = view.concepts["name"].to_list()
    if (asked := address.get("concept")) and asked not in names:
        address.assume(concept="")
        said = f"The set {view.name} has no concept {asked!r}."
        render_problem(said, f"{names[0]!r} is shown instead.")
    if not address.get("concept"):
        address.assume(concept=names[0])
    controls.selectbox("concept", "Concept", names)
    return str(address.get("concept"))


def contrast(view: ConceptsView, concept: str) -> str:
    """What positives are told from: negatives, said so, where a concept has no hard negatives."""
    asked = str(address.get("contrast"))
    row = view.concepts.row(by_predicate=pl.col("name") == concept, named=True)
    if asked == "negative" or row["test_hard"]:
        return asked
    address.assume(contrast="negative")
    render_problem(
        f"{concept!r} has no hard negative test texts.", "Its negatives are shown instead."
    )
    return "negative"


def render_own(keep: Callable[[str, str, str], str]) -> None:
    """Boxes for a concept of one's own; what is typed stays until it is kept."""
    with st.expander("A concept of your own"):
        markup.note(
            "A text a line. Half of each side is held out for testing, so four of each are the "
            "least and twenty make the intervals bearable. Choose contrastive texts that differ in "
            "the concept and in nothing else."
        )
        left, right = st.columns(2)
        positive = left.text_area("Texts that express it", height=150, key="own-positive")
        negative = right.text_area("Texts that do not", height=150, key="own-negative")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            name = st.text_input("Its name", key="own-name", width=260)
            if st.button("Ask about it", key="own-keep", type="primary"):
                try:
                    kept = keep(name, positive, negative)
                except TesseraError as error:
                    render_problem(error.problem, error.remedy)
                else:
                    address.put(set=kept, concept="")
                    st.rerun()
        markup.note(
            "Or put a JSONL, CSV or Parquet file with columns text and label (and concept, split), "
            "or an AxBench folder, into annotations/concepts; a path in ?set= works too."
        )


def head_html(view: ConceptsView, concept: str) -> str:
    """What the concept stands on."""
    row = view.concepts.row(by_predicate=pl.col("name") == concept, named=True)
    sizes = {
        "train": f"{row['train_positive']} + {row['train_negative']}",
        "test": f"{row['test_positive']} + {row['test_negative']}",
        "hard negatives": str(row["test_hard"]),
        "concepts": numbers.count(len(view.concepts)),
        "texts": numbers.count(view.texts),
        "tokens": numbers.count(view.tokens),
        "regions": f"{numbers.count(view.regions)} at θ {numbers.fraction(view.theta, 3)}",
    }
    hints = {"train": "positive + negative texts", "test": "positive + negative texts"}
    chips = [markup.chip(name, escape(said), hints.get(name, "")) for name, said in sizes.items()]
    lost = [f"{n} {SAID[why]}" for why, n in view.dropped.items() if n]
    said = f"Left out: {', '.join(lost)}. " if lost else ""
    if view.windowed:
        said += f"{view.windowed} texts are longer than a context and were read in several."
    return markup.chips(chips) + (f'<p class="note">{escape(said)}</p>' if said else "")
