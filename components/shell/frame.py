"""What every page stands in: page settings, theme, sidebar, header, URL state, keyboard help.

Each page calls `frame` first, so that it also stands alone when a pasted link opens it cold.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from backend.schema import Job
from backend.study.views import StudyCard
from components.shell import address, controls
from components.shell.going import render_go_to
from components.shell.links import anchor, render_links
from components.shell.markup import escape
from components.shell.status import (
    Desk,
    ahead,
    bar_html,
    name_of,
    pace,
    render_problem,
    reported,
    share_of,
)
from components.shell.terms import mark, render_tips

STYLE = Path(__file__).with_name("style.css")
# every page, `pages/<name>.py`, in the sidebar's order, with the question that it answers; the app
# begins with the first
GROUPS: dict[str, dict[str, str]] = {
    "Explore": {
        "overview": "What does this study hold, and what is worth a look?",
        "regions": "What clusters together in the model's activations, and what is each cluster?",
        "features": "On what does each feature of the SAE fire, and what does it promote?",
    },
    "Label": {
        "experiment": "Which way of labelling features beats labels that know nothing of them?",
        "compare": "Where do methods disagree about a feature, and whose label fits its excerpts?",
        "judge": "Can you tell from a label alone where its feature fires?",
        "tiers": "Which features do the tokens around them explain, and which need a person?",
        "queue": "What do the features mean that no method explains?",
    },
    "Measure": {
        "concepts": "How well do regions capture a concept, beside simpler readers and chance?",
        "benchmarks": "How does this SAE score on published benchmarks, and how does chance?",
    },
    "System": {
        "jobs": "What is being computed, what comes next, and what failed?",
        "glossary": "What does each word and symbol mean?",
    },
}
# pages that only links lead to
HIDDEN = {"document": "Where in a whole text does a feature fire, and which regions does it cross?"}
QUESTIONS = {page: text for pages in (*GROUPS.values(), HIDDEN) for page, text in pages.items()}
LISTED = 2  # jobs in the sidebar, which has room for more below them
KEYS = {
    "H": "this list",
    "G": "go to a feature or region by number",
    "/": "go to the search field",
    "Esc": "close what is open",
}


@dataclass(frozen=True)
class Place:
    """What is looked at: a study, and a partition by its stops."""

    card: StudyCard
    p: float
    k: float

    @property
    def study(self) -> str:
        return self.card.name


def frame(
    title: str,
    desk: Desk,
    keys: dict[str, str] | None = None,
    fragments: tuple[str, ...] = (),
) -> Place:
    """Begin a page; gives what it looks at. Stops it where the study cannot be used.

    `keys` are the page's shortcuts; `fragments` run again when a link selects on the page itself.
    """
    st.set_page_config(page_title=f"{title} · Tessera", page_icon="◧", layout="wide")
    st.html(STYLE)
    _freeze_imports()
    problems = address.begin(title.lower())
    render_links(*fragments)
    render_tips()
    _idle()
    card = _sidebar(desk, keys_of(keys or {}), fragments)
    if card is None:
        st.stop()
    place = Place(card, _stop("p", card.p, card.p_stops), _stop("k", card.k, card.k_stops))
    st.html(header_html(title, place))
    for problem in problems:
        render_problem(problem, "The usual is shown instead; choose another on the page.")
    if card.problem:
        render_problem(card.problem, card.remedy)
        st.stop()
    _check_stop("p", place.p, card.p_stops)
    _check_stop("k", place.k, card.k_stops)
    return place


@st.cache_resource(show_spinner=False)
def _freeze_imports() -> None:
    """Streamlit collects garbage after every run, and so looks through the half million objects
    of imported libraries, which never are garbage: 0.3 s for each click. Frozen, they are left out.
    """
    gc.collect()
    gc.freeze()


@st.fragment(key=address.IDLE)
def _idle() -> None:
    """Runs instead of a fragment that has nothing new to show."""


def _stop(name: str, default: float, stops: tuple[float, ...]) -> float:
    """The chosen stop, or the study's own where none is chosen or it is no stop."""
    value = address.get(name)
    return value if value in stops else default


def _check_stop(name: str, current: float, stops: tuple[float, ...]) -> None:
    value = address.get(name)
    if value is not None and value not in stops:
        render_problem(
            f"The link says {name} = {value:g}, which is not a stop of this study.",
            f"{name} = {current:g} is shown. The stops are {', '.join(f'{s:g}' for s in stops)}; "
            f"others can be added to the study file under {name}_stops.",
        )


# ---------------------------------------------------------------- header


def header_html(title: str, place: Place) -> str:
    """The page's name, what is shown, each part with its revision on hover, and its question."""
    card = place.card
    revisions = dict(card.revisions)
    texts = {n: v for n, v in revisions.items() if n not in ("model", "SAE", "embedder")}
    parts = [
        _part(card.model, f"revision {revisions.get('model', 'unknown')}"),
        _part(card.site, "the residual stream after this block"),
        _part(card.corpus, ", ".join(f"{name}: {revision}" for name, revision in texts.items())),
        _part(f"SAE {card.sae}", f"revision {revisions.get('SAE', 'unknown')}") if card.sae else "",
        f"<span>{mark('p')} {place.p:g} · {mark('k')} {place.k:g}</span>",
        _part(card.device, f"numbers computed as {card.dtype}"),
    ]
    return (
        f'<header class="strip"><h1>{escape(title)}</h1><p>{"".join(parts)}</p></header>'
        f'<p class="question">{escape(QUESTIONS[title.lower()])}</p>'
    )


def _part(value: str, hint: str) -> str:
    return f'<span title="{escape(hint)}">{escape(value)}</span>' if value else ""


# ---------------------------------------------------------------- sidebar


def _sidebar(desk: Desk, keys: dict[str, str], fragments: tuple[str, ...]) -> StudyCard | None:
    with st.sidebar:
        st.html('<div class="mark-name"><i></i>Tessera</div>')
        card = None
        with reported():
            card = _pick_study(desk.studies())
        render_go_to(fragments, "G" if "G" in keys else "")
        for group, names in GROUPS.items():
            st.html(f'<p class="group">{group}</p>')
            for name in names:
                params = address.parameters(name)
                st.page_link(f"pages/{name}.py", label=name.capitalize(), query_params=params)
        _running(desk)
        foot = st.container(key="foot")
        with foot.popover("Keyboard `H`", type="tertiary", key="keyboard"):
            st.html(keys_html(keys))
    return card


def _pick_study(cards: list[StudyCard]) -> StudyCard | None:
    by_name = {card.name: card for card in cards}
    if not by_name:
        render_problem("There are no studies.", "Put a study file into the folder studies/.")
        return None
    name = address.get("study") or next(iter(by_name))
    titles = {name: card.title for name, card in by_name.items()}
    with st.container(key="study-picker"):
        controls.selectbox(
            "study",
            "Study",
            list(by_name),
            name,
            format_func=lambda name: titles.get(name, f"{name} (missing)"),
            label_visibility="collapsed",
        )
        # the field cuts what does not fit on its one line
        whole = titles.get(name, f"{name} (missing)")
        st.html(f'<p class="study" aria-hidden="true">{escape(whole)}</p>')
    if name not in by_name:
        with st._main:
            render_problem(f"There is no study {name!r}.", "Choose one of those in the sidebar.")
        return None
    address.assume(study=name)
    return by_name[name]


@st.fragment(run_every=3.0)
def _running(desk: Desk) -> None:
    with reported():
        if live := desk.live_jobs():
            more = f'<p class="note">{anchor(f"and {len(live) - LISTED} more", "jobs")}</p>'
            listed_html = "".join(_running_html(job, live) for job in live[:LISTED])
            st.html(listed_html + more * (len(live) > LISTED))


def _running_html(job: Job, line: list[Job]) -> str:
    share = share_of(job)
    done = "" if share is None else f"{100 * share:.0f}% · "
    remaining = "waiting" if job.state == "queued" else f"{done}{ahead(job)}"
    words = "paused" if job.paused else "cancelling" if job.cancel else remaining
    return (
        f'<div class="work side" title="{escape(job.message)} · {escape(pace(job, line))}">'
        f"<p>{escape(name_of(job))}</p>{bar_html(job)}<p>{words}</p></div>"
    )


def keys_of(page: dict[str, str]) -> dict[str, str]:
    """The keys of a page: those of every page that it has no other use for, then its own."""
    own_keys = {key for keys in page for key in keys.split()}
    return {key: does for key, does in KEYS.items() if key not in own_keys} | page


def keys_html(keys: dict[str, str]) -> str:
    """A table of keys and what each does."""
    rows = "".join(
        f"<tr><td><kbd>{escape(key)}</kbd></td><td>{escape(does)}</td></tr>"
        for key, does in keys.items()
    )
    return f'<table class="quiet keys">{rows}</table>'
