"""The first minute: what Tessera is, the map as it grows, and what to try."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl
import streamlit as st

from backend.features.views import FeatureTable
from backend.regions.views import RegionMap
from backend.schema import Find, Job
from components.overview.lists import by_region, tightest
from components.regions.controls import preview_words
from components.regions.map import CONFIG, Marks, region_chart, revision_of
from components.regions.names import named, render_names, zoom
from components.shell import address, markup, numbers
from components.shell.links import anchor
from components.shell.selection import clicked
from components.shell.terms import mark

CHART = "overview-map"
CLICKED = "overview.clicked"  # where a click on the map leads
HEIGHT = 400  # pixels of the map


def intro_html() -> str:
    """What Tessera is, in three sentences."""
    return (
        '<p class="intro">Tessera asks what a language model’s features mean. It cuts the '
        f"model’s activations into {mark('region', 'regions')} around observed examples, reads "
        f"the {mark('feature', 'features')} of a sparse autoencoder beside them, and sets every "
        f"{mark('label')}, by machine or by hand, against {mark('control', 'controls')} that know "
        "nothing. Every number is computed on this machine, from the model, texts and SAE of the "
        "study at the left, and says how.</p>"
    )


def map_words(view: RegionMap) -> str:
    """What the map shows, as HTML."""
    part = ", the first of more to come" if view.is_preview else ""
    if view.is_preview and view.corpus_tokens:
        share = numbers.percent(view.tokens / view.corpus_tokens)
        part = f", {share} of the {numbers.count(view.corpus_tokens)} to come"
    return (
        f'<p class="answer">{numbers.count(len(view.table))} regions in '
        f"{numbers.count(view.tokens)} activations{part}. A mark is a region: its area the "
        f"members, its colour {mark('κ', 'coherence κ')}. Click one to open it.</p>"
    )


def growing_words(view: RegionMap) -> str:
    """What is provisional about the map, in short."""
    if view.is_preview:
        return "The map grows: numbers and regions will change."
    return preview_words(view)


def render_map(view: RegionMap) -> None:
    """The map, of which a click opens a region on its own page."""
    if CLICKED in st.session_state:
        address.follow()
        st.switch_page("pages/regions.py", query_params=st.session_state.pop(CLICKED))
    markup.render(map_words(view))
    revision = revision_of(view)
    everything = np.ones(len(view.table), dtype=bool)
    chart = region_chart(view, Marks(everything, zoom=zoom(revision)))
    st.plotly_chart(
        chart.update_layout(height=HEIGHT),
        theme=None,
        key=CHART,
        on_select=lambda: _take_click(view),
        selection_mode="points",
        config=CONFIG | {"scrollZoom": False},  # the wheel moves the page
        alt=f"Map of {len(view.table):,} regions, coloured by coherence",
    )
    render_names(named(view.table), revision, CHART)


def _take_click(view: RegionMap) -> None:
    """Notes what a click opens, before the page is drawn again: another map, larger or in another
    theme, is another element, which knows of no click."""
    region = clicked(st.session_state[CHART])
    if region is not None:
        stops = {"study": address.get("study"), "p": f"{view.p:g}", "k": f"{view.k:g}"}
        st.session_state[CLICKED] = {**stops, "region": str(region)}


# ---------------------------------------------------------------- what to try

Try = tuple[str, str]  # what there is to see, and the link to it, both HTML


def tries(regions: RegionMap | Job, features: FeatureTable | Job | None) -> list[Try]:
    """Three things to try with what is computed so far."""
    if isinstance(regions, Job):
        return [
            ("What the words on these pages mean", anchor("Glossary", "glossary")),
            ("What is being computed, and what comes next", anchor("Jobs", "jobs")),
            ("Which ways of labelling there are", anchor("Experiment", "experiment")),
        ]
    region, word = _first(tightest(regions.table)), _first(by_region(regions.table))
    listed = [
        ("A text, every token coloured by its region", anchor("Document 0", "document", document=0))
    ]
    if word is not None:
        text = str(word["top_token"]).strip()
        search = anchor(f"Search “{text}”", "regions", search=text)
        listed.insert(0, ("Where a word goes: all regions whose members spell it", search))
    if region is not None:
        name = anchor(f"Region {region['region']}", "regions", region=region["region"])
        listed.insert(0, ("One context found in many texts: the tightest region", name))
    if isinstance(features, FeatureTable):
        feature = _first(features.table.filter(pl.col("top_token_share") < 0.2).sort("active"))
        if feature is not None:
            name = anchor(f"Feature {feature['feature']}", "features", feature=feature["feature"])
            listed[-1] = ("A feature that no single token explains", name)
    return listed


def _first(rows: pl.DataFrame) -> dict[str, object] | None:
    return rows.row(0, named=True) if len(rows) else None


def tries_html(listed: Iterable[Try]) -> str:
    """Things to try, numbered."""
    rows = "".join(f"<li>{link}<span>{words}</span></li>" for words, link in listed)
    return f'<ol class="tries">{rows}</ol>'


def reachable(
    finds: Iterable[Find], regions: RegionMap | Job, features: FeatureTable | Job | None
) -> list[Find]:
    """Those of the finds that what is computed so far holds."""
    tokens = 0 if isinstance(regions, Job) else regions.tokens
    count = len(features.table) if isinstance(features, FeatureTable) else 0
    return [
        find
        for find in finds
        if (find.token is not None and find.token < tokens)
        or (find.feature is not None and find.feature < count)
    ]


def finds_html(finds: Iterable[Find]) -> str:
    """What the study's author found worth a look, each one click away."""
    rows = "".join(f"<li>{_link(find)}</li>" for find in finds)
    return f'<ul class="tries">{rows}</ul>' if rows else ""


def _link(find: Find) -> str:
    if find.feature is None:
        return anchor(find.words, "regions", token=find.token)
    return anchor(find.words, "features", feature=find.feature)
