"""What is looked at, as the URL says it: reload, the back button and a pasted link restore it.

`FIELDS` lists every URL parameter of every page. Their values live in one dictionary of the
session, so that they outlast a change of page, and are mirrored in the URL, where a default is
left out. The URL wins when it was changed from outside; `controls` shows and sets the values here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from backend.labels import words
from backend.queue.words import ORDERS
from backend.schema import Plan, Thresholds, TierSpec
from backend.tiers.words import TIERS
from components.shell.fields import (
    Field,
    choice,
    evaluation_fields,
    flag,
    number,
    whole,
)

COLOURS = (
    "coherence",
    "topic",
    "mean distance",
    "isolation",
    "token-driven",
    "overlap",
    "matched F1",
)
DRAGS = ("pan", "lasso", "select")
MEMBER_DRAWS = ("closest", "all", *(f"band {i}" for i in range(1, 5)), "farthest", "random")
EXAMPLE_DRAWS = ("top", "all", *(f"quantile {i}" for i in range(10, 0, -1)), "random", "silent")
VIEWS = ("stacked", "snippet", "full")
# the columns that a list can be ordered by; "": the best match, or the usual one
_LABELS = ("", "label", "matched", "hits", "cosine", "method", "topic", "lift", "f1")
SORTS = {
    "regions": (
        *_LABELS,
        *"region size coherence mean_distance radius isolation overlap margin gray".split(),
        *"token_share feature".split(),
    ),
    "features": (
        *_LABELS,
        *"feature top_token promoted density max mean region top_token_share documents".split(),
        "active",
    ),
    "tiers": (
        "",
        *"feature top_token tier label input output cross margin examples cut density".split(),
    ),
}

CONTRASTS = ("negative", "hard", "both")
ASKS = ("any region", "in or out", "new texts", "purity", "gray zone", "stability", "robustness")

ENDED = ("all", "done", "failed", "cancelled")  # how jobs end
SCORERS = words.scorer_names()
PLAN, SPEC, TAU = Plan(), TierSpec(), Thresholds()
IDLE = "idle"  # the fragment that shows nothing

# what sorts features into tiers, on every page that asks for some of one tier
SORTED: dict[str, Field] = {
    "count": Field(whole, "a number of examples", SPEC.count),
    "input": Field(whole, "a number of tokens", SPEC.input),
    "output": Field(whole, "a number of tokens", SPEC.output),
    "cross": Field(whole, "a number of tokens", SPEC.cross),
    "weighted": Field(flag, "0 or 1", SPEC.weighted),
    "tau_in": Field(number, "a correlation from 0 to 1", TAU.input, 0.0, 1.0),
    "tau_out": Field(number, "a correlation from 0 to 1", TAU.output, 0.0, 1.0),
    "tau_cross": Field(number, "a correlation from 0 to 1", TAU.cross, 0.0, 1.0),
}
# who labels, judges and votes: one name for every page that keeps what people say
PERSON: dict[str, Field] = {"person": Field(str, "a name", "")}
SHARED: dict[str, Field] = {
    "study": Field(str, "a study", ""),
    "p": Field(number, "a number"),
    "k": Field(number, "a number"),
}
FIELDS: dict[str, dict[str, Field]] = {
    "regions": {
        "region": Field(whole, "a region's number"),
        "build": Field(str, "a stop", ""),
        "token": Field(whole, "a token's number", -1),
        "colour": choice(COLOURS, "coherence"),
        "search": Field(str, "a text", ""),
        "by": choice(("text", "meaning"), "text"),
        "sort": choice(SORTS["regions"], ""),
        "reverse": Field(flag, "0 or 1", False),
        "least": Field(whole, "a number of members from 1", 1, 1),
        "most": Field(whole, "a number of members", 0, 0),
        "kappa": Field(number, "a coherence from 0 to 1", 0.0, 0.0, 1.0),
        "topic": Field(str, "a topic", ""),
        "beyond": Field(flag, "0 or 1", False),
        "drag": choice(DRAGS, "pan"),
        "area": Field(str, "an area of the map", ""),
        "draw": choice(MEMBER_DRAWS, "closest"),
        "seed": Field(whole, "a whole number from 0", 0, 0),
        "labelled": Field(whole, "a region's number", -1),
        "scored": Field(whole, "a region's number", -1),
    },
    "features": {
        "feature": Field(whole, "a feature's number"),
        **SORTED,  # as Tiers hands them over: the tier of the open feature
        "search": Field(str, "a text", ""),
        "by": choice(("text", "meaning"), "text"),
        "sort": choice(SORTS["features"], ""),
        "reverse": Field(flag, "0 or 1", False),
        "sparse": Field(number, "a density in percent", 0.0, 0.0),
        "dense": Field(number, "a density from 0 to 1", 1.0, 0.0, 1.0),
        "strong": Field(number, "an activation from 0", 0.0, 0.0),
        "topic": Field(str, "a topic", ""),
        "token": Field(str, "a token", ""),
        "draw": choice(EXAMPLE_DRAWS, "top"),
        "view": choice(VIEWS, "snippet"),
        "facet": Field(str, "a topic", ""),
        "seed": Field(whole, "a whole number from 0", 0, 0),
        "own": Field(str, "a text", ""),
        "why": Field(whole, "a token's number", -1),
        "labelled": Field(whole, "a feature's number", -1),
        "scored": Field(whole, "a feature's number", -1),
    },
    "experiment": {
        "run": Field(str, "an experiment", ""),
        "measure": choice(("auroc", "post"), "auroc"),
        "methods": Field(str, "methods", ",".join(PLAN.methods)),
        "scorers": Field(str, "scorers", ",".join(PLAN.scorers)),
        "only": Field(str, "feature numbers with commas", ""),
        "tier": choice(TIERS, "all"),
        "count": Field(whole, "a number of features from 2 to 500", PLAN.features, 2, 500),
        "split": choice(("range", "post"), PLAN.split),
        "negatives": choice(("other", "silent", "hard"), PLAN.negatives),
        "marks": choice(("matched", "post"), PLAN.marks),
        "window": Field(whole, "a number of tokens from 0 to 500", PLAN.window, 0, 500),
        "seed": Field(whole, "a whole number from 0", PLAN.seed, 0),
        "who": choice(("own", "server"), "own"),
        "calls": Field(whole, "a number of calls", 0, 0),
        "cost": Field(number, "a cost", 0.0, 0.0),
    },
    "compare": {
        "run": Field(str, "an experiment", ""),
        "feature": Field(whole, "a feature's number"),
        "pair": Field(str, "two methods", ""),
        "by": choice(SCORERS, SCORERS[0]),
        "blind": Field(flag, "0 or 1", False),
        **PERSON,
    },
    "tiers": {
        "feature": Field(whole, "a feature's number"),
        **SORTED,
        "tier": choice(TIERS, "all"),
        "sort": choice(SORTS["tiers"], ""),
        "reverse": Field(flag, "0 or 1", False),
        "checked": Field(flag, "0 or 1", False),
        "run": Field(str, "an experiment", ""),
        "who": choice(("own", "server"), "own"),
        "most": Field(whole, "a number of features", 100, 0),
        "calls": Field(whole, "a number of calls", 500, 0),  # a server's calls cost money
        "cost": Field(number, "a cost", 0.0, 0.0),
        "routed": Field(str, "a job", ""),
    },
    "judge": {
        "run": Field(str, "an experiment", ""),
        "task": choice(("excerpts", "activations"), "excerpts"),
        **PERSON,
    },
    "queue": {
        **PERSON,
        "tier": choice(TIERS, "obscure"),
        "only": Field(str, "features", ""),
        "order": choice(ORDERS, "margin"),
        "seed": Field(whole, "a whole number from 0", 0, 0),
        "compare": Field(flag, "0 or 1", False),
        **SORTED,
    },
    "concepts": {
        "build": Field(str, "a stop", ""),
        "set": Field(str, "a concept set", "topics"),
        "concept": Field(str, "a concept", ""),
        "ask": choice(ASKS, ASKS[0]),
        "contrast": choice(CONTRASTS, "negative"),
        "of": Field(str, "a concept set", ""),
        "rule": choice(("ball", "owner", "both"), "ball"),
        "started": Field(flag, "0 or 1", False),
    },
    "benchmarks": evaluation_fields(),
    "document": {
        **{each: Field(whole, f"a {each}'s number") for each in ("document", "feature", "region")},
        "place": Field(whole, "a place in a list", 0, 0),
        "colour": choice(("feature", "region"), "feature"),
        "token": Field(whole, "a token's number", -1),
    },
    "glossary": {"term": Field(str, "a term", ""), "search": Field(str, "a text", "")},
    "jobs": {"state": choice(ENDED, ENDED[0]), "job": Field(str, "a job", "")},
}

# ---------------------------------------------------------------- pure


def fields(page: str) -> dict[str, Field]:
    """Every parameter of a page, the shared ones included."""
    return SHARED | FIELDS.get(page, {})


def read(
    params: Mapping[str, str], page_fields: Mapping[str, Field]
) -> tuple[dict[str, Any], list[str]]:
    """The values that a URL gives, and a sentence for each one that it gives wrongly."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name in params:
        if name not in page_fields:
            continue
        try:
            value = page_fields[name].read(params[name])
            if not page_fields[name].holds(value):
                raise ValueError(value)
            values[name] = value
        except ValueError:
            problems.append(
                f"The link says {name} = {params[name]!r}, not {page_fields[name].what}."
            )
    return values, problems


def write(values: Mapping[str, Any], page_fields: Mapping[str, Field]) -> dict[str, str]:
    """The URL parameters of values, defaults left out."""
    return {
        name: spell(values[name])
        for name, field in page_fields.items()
        if values.get(name, field.default) != field.default
    }


def spell(value: Any) -> str:
    """A value as a URL has it."""
    if isinstance(value, bool):
        return "1" if value else "0"
    return f"{value:g}" if isinstance(value, float) else str(value)


# ---------------------------------------------------------------- of this session


def begin(page: str) -> list[str]:
    """Take over what the URL says; gives a sentence for each value that it gives wrongly."""
    page_fields, query = fields(page), st.query_params.to_dict()
    state = st.session_state
    before = state.get("address.page")
    arrived = before != page
    moved = _goes_through_history() or state.pop("address.followed", False)
    state["address.page"] = page
    if arrived and before and not moved:  # by the sidebar, whose links may be older than the values
        _mirror()
        return []
    if not arrived and query == state.get("address.seen"):
        return []
    if not arrived and not moved:
        # sent before the browser had heard of what was set here since: no choice of a person's
        _mirror()
        return []
    values, problems = read(query, page_fields)
    _of_study(values.get("study"))
    if not arrived:  # back, forward or an edited address: what it leaves out is the default
        usual = {name: field.default for name, field in page_fields.items() if name not in PERSON}
        values = usual | values
    _values().update({_where(name): value for name, value in values.items()})
    if arrived:
        _mirror()
    state["address.seen"] = st.query_params.to_dict()
    return problems


def follow() -> None:
    """The next run's URL is that of a link, on whatever page it leads to."""
    st.session_state["address.followed"] = True


def _goes_through_history() -> bool:
    """Whether the browser's back or forward began this run. Streamlit says so nowhere else; an
    address that a person edits loads the page anew."""
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation


def page() -> str:
    """The page that is shown."""
    return st.session_state["address.page"]


def field(name: str) -> Field:
    """One of the page's parameters, or of those that hold on every page."""
    return SHARED[name] if name in SHARED else (fields(page()) | PERSON)[name]


def get(name: str) -> Any:
    """The value of one of the page's parameters."""
    return _values().get(_where(name), field(name).default)


def parameters(page: str) -> dict[str, str]:
    """The URL parameters of a page as it was left: a link that has them all is one step of the
    browser's history, where a page that adds them makes two."""
    page_fields, values = fields(page), _values()
    left = {name: values.get(_where(name, page), page_fields[name].default) for name in page_fields}
    return write(left, page_fields)


def put(**values: Any) -> None:
    """Set parameters of the page, here and in the URL."""
    if "why" in fields(page()) and values.get("feature", get("feature")) != get("feature"):
        values = {"why": -1} | values  # it asks about a token of one feature
    _of_study(values.get("study"))
    _values().update({_where(name): value for name, value in values.items()})
    _mirror()


def assume(**values: Any) -> None:
    """Set parameters here alone: what was not asked for, but links should name."""
    _values().update({_where(name): value for name, value in values.items()})


def _of_study(study: str | None) -> None:
    """Another study has other regions and features: forget those of the one before."""
    if study and study != _values().get("study"):
        lasting = {name: value for name, value in _values().items() if name in PERSON}
        _values().clear()
        _values().update(lasting)


def _values() -> dict[str, Any]:
    return st.session_state.setdefault("address.values", {})


def _where(name: str, page_name: str = "") -> str:
    return name if name in SHARED or name in PERSON else f"{page_name or page()}.{name}"


def _mirror() -> None:
    query = parameters(page())
    if st.query_params.to_dict() != query:
        st.query_params.from_dict(query)
    st.session_state["address.seen"] = query
