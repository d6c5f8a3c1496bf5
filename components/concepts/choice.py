"""Which question of which concept set, and a concept of one's own."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from backend.concepts.views import ConceptChoice, ConceptsView
from backend.schema import TesseraError
from components.shell import address, controls, markup, numbers
from components.shell.markup import escape
from components.shell.status import render_problem

REASONS = {  # for which labels are left out
    "too_few": "of concepts with too few texts",
    "empty": "empty",
    "contradictory": "labelled both ways",
    "in_both_splits": "in train and in test (left out of train)",
    "repeated": "repeated",
}

QUESTIONS = {
    "any region": "Any region",
    "in or out": "In or out",
    "new texts": "New texts",
    "purity": "Purity and coverage",
    "gray zone": "Gray zone",
    "stability": "Stable regions",
    "robustness": "Robustness",
}
HINTS = {
    "any region": "How well does any region, not just the best, tell the concept from the rest?",
    "in or out": "Who is in a region and who is out, by a hard yes or no at θ?",
    "new texts": "Where do texts go by which no region was chosen?",
    "purity": "Does everything that expresses it land here, and nothing else?",
    "gray zone": "What does it do to require new exemplars to be farther apart than kθ?",
    "stability": "Does the model's output change where a region ends?",
    "robustness": "Would the same regions be found again? Are they features?",
}


def render_questions() -> str:
    """The question that is chosen."""
    controls.segmented_control(
        "ask", "Question", list(QUESTIONS), format_func=lambda ask: QUESTIONS[ask],
        label_visibility="collapsed", also={"started": False},
    )  # fmt: skip
    question = str(address.get("ask"))
    markup.note(HINTS[question])
    return question


def render_other_set(choices: list[ConceptChoice]) -> str:
    """The set whose texts are looked for in the chosen region; "" for the set's own."""
    names = ["", *(choice.name for choice in choices if choice.name != address.get("set"))]
    controls.selectbox(
        "of", "Texts", names, format_func=lambda name: name or "test texts of this set"
    )
    return str(address.get("of"))


def render_choice(choices: list[ConceptChoice]) -> tuple[str, DeltaGenerator]:
    """The name of the chosen set, and the place beside it."""
    labels = {choice.name: f"{choice.name} · {choice.title}" for choice in choices}
    left, right = st.columns(2)
    with left:
        controls.selectbox(
            "set", "Concept set", list(labels), format_func=lambda name: labels.get(name) or name,
            also={"concept": "", "started": False},
        )  # fmt: skip
    return str(address.get("set")), right


def render_concept(view: ConceptsView) -> str:
    """The chosen concept, by name."""
    problem = f"The set {view.name} has no concept {address.get('concept')!r}."
    return controls.pick("concept", "Concept", view.concepts["name"].to_list(), problem)


def contrast(view: ConceptsView, concept: str) -> str:
    """What positives are told from: negatives where a concept has no hard negatives, which a
    message says."""
    choice = str(address.get("contrast"))
    row = view.concepts.row(by_predicate=pl.col("name") == concept, named=True)
    if choice == "negative" or row["test_hard"]:
        return choice
    address.assume(contrast="negative")
    render_problem(
        f"{concept!r} has no hard negative test texts.", "Its negatives are shown instead."
    )
    return "negative"


def render_own(keep: Callable[[str, str, str], str], folder: str) -> None:
    """Boxes for a concept of one's own; what is typed stays until it is kept. `folder`: where files
    of such concepts lie."""
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
                    name = keep(name, positive, negative)
                except TesseraError as error:
                    render_problem(error.problem, error.remedy)
                else:
                    address.put(set=name, concept="", started=False)
                    st.rerun()
        markup.note(
            "Or put a JSONL, CSV or Parquet file with columns text and label (and concept, split), "
            f"or an AxBench folder, into {folder}; a path in ?set= works too."
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
    chips = [markup.chip(name, escape(size), hints.get(name, "")) for name, size in sizes.items()]
    lost = [f"{n} {REASONS[why]}" for why, n in view.dropped.items() if n]
    note = f"Left out: {', '.join(lost)}. " if lost else ""
    if view.name == "topics":
        note += "These texts are documents of the corpus: the regions were made from them too. "
    if view.windowed:
        note += f"{view.windowed} texts are longer than a context and were read in several."
    note = note.strip()
    return markup.chips(chips) + (f'<p class="note">{escape(note)}</p>' if note else "")
