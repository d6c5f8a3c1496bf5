"""The map of a partition: one mark per region, its area the members, its colour what was asked."""

from __future__ import annotations

import html
from dataclasses import dataclass, field, replace

import numpy as np
import plotly.graph_objects as go
import polars as pl
import streamlit as st

from backend.regions.views import RegionMap
from backend.schema import TesseraError
from components.regions.names import LONGEST, Zoom, named, render_names, zoom
from components.regions.table import REGIONS, TABLE
from components.shell import address, numbers, palette
from components.shell.browsing import Hits
from components.shell.markup import chips, escape, visible
from components.shell.palette import Palette
from components.shell.selection import Area, area_of, clicked, parse, spell
from components.shell.stepping import INSPECTOR

COLUMNS = {
    "coherence": ("coherence", "teal", "coherence κ"),
    "mean distance": ("mean_distance", "slate", "mean pairwise distance"),
    "isolation": ("isolation", "violet", "isolation: distance to the nearest exemplar"),
    "token-driven": ("token_share", "slate", "share of the commonest token"),
    "overlap": ("overlap", "slate", "overlap: mean exemplars within θ"),
    "matched F1": ("f1", "amber", "F1 of the best feature"),
}
CHART = "map-chart"
LABELLED = 28  # regions that carry their name in a downloaded map
AROUND = 26  # characters before and after the exemplar's token, on hover
HOVER = "region %{customdata} · %{text} members<br>%{hovertext}<extra></extra>"
CONFIG = {
    "displaylogo": False,
    "scrollZoom": True,
    "modeBarButtons": [["toImage", "zoom2d", "resetScale2d"]],
    "toImageButtonOptions": {"format": "png", "filename": "tessera-regions", "scale": 3},
}


@dataclass(frozen=True)
class Marks:
    """What the map shows beside the regions themselves."""

    mask: np.ndarray  # [regions] bool: what the filters and the search leave
    colour: str = "coherence"
    area: Area = field(default_factory=Area)
    drag: str = "pan"
    zoom: Zoom | None = None


def region_chart(view: RegionMap, marks: Marks) -> go.Figure:
    """The map as a figure. Regions that are filtered out stay as faint dots."""
    colours, chart, table = palette.current(), palette.figure(340), view.table
    sizes = marker_sizes(table["size"].to_numpy())
    if not marks.mask.all():
        chart.add_trace(_faint(table, ~marks.mask, colours))
    chart.add_trace(_regions(table, marks, sizes, colours))
    axis = {"visible": False, "showgrid": False, "zeroline": False}
    across, along = (marks.zoom[:2], marks.zoom[2:]) if marks.zoom else (None, None)
    line = {"color": colours.ink, "width": 1, "dash": "dot"}
    paths = ("L".join(f"{x:g},{y:g}" for x, y in outline) for outline in marks.area.outlines)
    chart.update_layout(
        xaxis=axis | {"range": across},
        yaxis=axis | {"range": along, "scaleanchor": "x"},  # distances are alike in all directions
        margin={"l": 0, "r": 0, "t": 0, "b": 0 if marks.colour == "topic" else 52},
        dragmode=marks.drag,
        newselection={"line": line},
        activeselection={"fillcolor": colours.accent, "opacity": 0.06},
        selections=[{"type": "path", "path": f"M{path}Z", "line": line} for path in paths],
        annotations=_labels(table, marks.mask, colours),
        hoverdistance=12,
    )
    return chart


def marker_sizes(members: np.ndarray) -> np.ndarray:
    """[regions] marker diameters in pixels, so that the area grows with the members."""
    largest = max(1.0, float(np.max(members, initial=1)))
    return (3.5 + 26 * np.sqrt(members / largest)).round(1).astype(np.float32)


def topic_colours(topics: pl.Series, colours: Palette) -> dict[str, str]:
    """A hue for each of the commonest topics; the same for every partition of a corpus."""
    names = sorted(name for name in topics.unique() if name)
    hues = colours.categories
    return {n: hues[i] if i < len(hues) else palette.OTHER for i, n in enumerate(names)}


def _regions(
    table: pl.DataFrame, marks: Marks, sizes: np.ndarray, colours: Palette
) -> go.Scattergl:
    bright = table.filter(pl.Series(marks.mask))
    marker: dict[str, object] = {
        "size": sizes[marks.mask],
        "opacity": 0.82,
        "line": {"width": 0.5, "color": colours.ground},
    }
    if marks.colour == "topic":
        hues = topic_colours(table["topic"], colours)
        marker["color"] = [hues.get(topic, palette.OTHER) for topic in bright["topic"]]
    else:
        column, hue, words = COLUMNS[marks.colour]
        values = bright[column].to_numpy().astype(np.float32)
        low, high = _limits(table[column].to_numpy())
        marker |= {
            "color": values.round(3),
            "cmin": low,
            "cmax": high,
            "colorscale": colours.scale(hue),
            "colorbar": _bar(words, colours, low, high),
        }
    return go.Scattergl(
        x=_coordinates(bright["x"]),
        y=_coordinates(bright["y"]),
        mode="markers",
        marker=marker,
        customdata=bright["region"].to_numpy().astype(np.int32),
        text=[numbers.count(members) for members in bright["size"]],
        hovertext=[excerpt(row) for row in bright.iter_rows(named=True)],
        hovertemplate=HOVER,
        selected={"marker": {"opacity": 0.9}},
        # a box or a lasso fades what is outside
        unselected={"marker": {"opacity": 0.82 if marks.drag == "pan" else 0.3}},
        name="regions",
    )


def excerpt(row: dict[str, object]) -> str:
    """An exemplar in its context, as hovering shows it. Plotly reads tags, so text is escaped."""
    before, token, after = (
        visible(str(row[part])).replace("\n", "⏎") for part in ("before", "token", "after")
    )
    return html.escape(f"{before[-AROUND:]}[{token[:AROUND]}]{after[:AROUND]}", quote=False)


def short(text: str, length: int = 18, escaped: bool = True) -> str:
    """One token for a label: trimmed, escaped, its line feeds shown."""
    label = visible(text.strip(" ")).replace("\n", "⏎").replace("\t", "⇥") or "␣"
    label = label if len(label) <= length else label[: length - 1] + "…"
    # plotly knows &lt; and &amp; but not &quot;
    return html.escape(label, quote=False) if escaped else label


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Ends of the colour scale: quantiles, since one odd region would wash out the rest."""
    finite = values[np.isfinite(values.astype(float))]
    if not len(finite):
        return 0.0, 1.0
    low, high = np.quantile(finite, [0.02, 0.98])
    return float(low), float(high if high > low else low + 1e-6)


def _bar(words: str, colours: Palette, low: float, high: float) -> dict[str, object]:
    middle = (low + high) / 2
    digits = 2 if high - low < 10 else 0
    ends = [numbers.fraction(value, digits) for value in (low, middle, high)]
    return {
        "tickvals": [low, middle, high],
        "ticktext": [f"≤ {ends[0]}", ends[1], f"≥ {ends[2]}"],
        "title": {"text": words, "side": "top", "font": {"size": 11, "color": colours.muted}},
        "orientation": "h",
        "thickness": 6,
        "lenmode": "pixels",  # a share of the map leaves too little on a small screen
        "len": 280,
        "tickangle": 0,
        "x": 0.01,
        "xanchor": "left",
        "y": -0.01,
        "yanchor": "top",
        "outlinewidth": 0,
        "tickfont": {"size": 10, "color": colours.muted},
        "ticks": "",
    }


def _faint(table: pl.DataFrame, hidden: np.ndarray, colours: Palette) -> go.Scattergl:
    rest = table.filter(pl.Series(hidden))
    return go.Scattergl(
        x=_coordinates(rest["x"]),
        y=_coordinates(rest["y"]),
        mode="markers",
        marker={"size": 3, "color": colours.muted, "opacity": 0.22},
        hoverinfo="skip",
        name="filtered out",
    )


def _labels(table: pl.DataFrame, mask: np.ndarray, colours: Palette) -> list[dict[str, object]]:
    """Annotations, which a downloaded picture has; in the page `names` stand in their place.
    Plotly paints its text traces under the marks."""
    labelled = spread(named(table.filter(pl.Series(mask))), table, LABELLED)
    return [
        {
            "x": row["x"],
            "y": row["y"],
            "text": short(row["name"], LONGEST),
            "showarrow": False,
            "font": {"size": 10.5, "color": colours.ink, "family": palette.MONO},
            "bgcolor": palette.fade(colours.ground, 0.72),
            "borderpad": 1,
        }
        for row in labelled.iter_rows(named=True)
    ]


def spread(regions: pl.DataFrame, whole: pl.DataFrame, limit: int) -> pl.DataFrame:
    """The largest regions that lie far enough apart for their labels not to touch."""
    width = float(np.ptp(whole["x"].to_numpy())) or 1.0
    tall = float(np.ptp(whole["y"].to_numpy())) or 1.0
    indices: list[int] = []
    placed: list[tuple[float, float]] = []
    for index in regions["size"].arg_sort(descending=True)[: limit * 12]:
        x, y = regions["x"][index] / width, regions["y"][index] / tall
        if all(abs(x - a) > 0.11 or abs(y - b) > 0.05 for a, b in placed):
            indices.append(index)
            placed.append((x, y))
        if len(indices) == limit:
            break
    return regions[indices]


def _coordinates(column: pl.Series) -> np.ndarray:
    return column.to_numpy().astype(np.float32).round(3)


# ---------------------------------------------------------------- in the page


def render_map(view: RegionMap, hits: Hits, labels: pl.DataFrame) -> None:
    """The map; its colours are keyed below, or above where they are topics. `labels`: the best of
    each region, by number."""
    marks, revision = _marks(view, hits), revision_of(view)
    marks = replace(marks, zoom=zoom(revision))
    table = view.table.join(
        labels.select(pl.col("number").alias("region"), "label"), on="region", how="left"
    )
    if marks.colour == "topic":
        st.html(topics_html(view.table["topic"]))
    with st.container(key="map-box"):
        st.plotly_chart(
            region_chart(replace(view, table=table), marks),
            theme=None,
            key=CHART,
            height="stretch",
            on_select=_on_select,
            selection_mode=("points", "box", "lasso"),
            config=CONFIG,
            alt=f"Map of {len(view.table):,} regions, coloured by {marks.colour}",
        )
    render_names(named(table.filter(pl.Series(marks.mask))), revision, CHART)


def revision_of(view: RegionMap) -> str:
    """What a place on the map is a place of: the same where the same regions lie alike."""
    return f"{view.p}-{view.k}-{view.layout}-{view.tokens}"


def area() -> Area:
    """The selected area that the URL names."""
    text = address.get("area")
    try:
        return parse(text)
    except ValueError:
        raise TesseraError(
            f"The link names an area that cannot be read: {text[:60]!r}.",
            "Draw it again, or open the page without it.",
        ) from None


def _marks(view: RegionMap, hits: Hits) -> Marks:
    left, _ = REGIONS.left(view.table, hits)
    mask = view.table["region"].is_in(left["region"].to_list()).to_numpy()
    return Marks(mask, address.get("colour"), area(), address.get("drag"))


def _on_select() -> None:
    """A click opens a region; a box or lasso fills the table; a double click empties it."""
    event = st.session_state[CHART]
    last = None if address.get("area") else st.session_state.get("map.clicked")
    region = clicked(event, last)
    st.session_state["map.clicked"] = region
    if region is not None:
        REGIONS.open(region, area="")
    address.put(area=spell(area_of(event)))
    st.rerun([TABLE, INSPECTOR])


def topics_html(topics: pl.Series) -> str:
    """Which hue is which topic."""
    hues = topic_colours(topics, palette.current())
    return chips(
        f'<span class="chip"><b class="dot" style="background:{hue}"></b>{escape(name)}</span>'
        for name, hue in hues.items()
    )
