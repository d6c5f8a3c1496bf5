"""Colours, each with one meaning on every page, and the plotly template that carries them.

Scales run from the page's ground to full ink of the hue, so that more is always more visible, in
the light theme and in the dark one. The categorical hues are told apart by people with any of the
common colour deficiencies (after Paul Tol's notes on qualitative schemes).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st


@dataclass(frozen=True)
class Palette:
    """One theme's colours, as hex."""

    dark: bool
    ground: str
    ink: str
    muted: str
    line: str
    accent: str
    amber: str  # activation
    teal: str  # coherence
    violet: str  # out of distribution
    slate: str  # any other quantity
    positive: str  # logits above zero
    negative: str  # logits below zero
    null: str  # band of a null
    categories: tuple[str, ...]

    def scale(self, hue: str) -> list[list[float | str]]:
        """A sequential plotly scale from near the ground to a hue."""
        start = mix(self.ground, getattr(self, hue), 0.22)
        strong = mix(getattr(self, hue), "#FFFFFF" if self.dark else "#000000", 0.15)
        return [[0.0, start], [0.6, getattr(self, hue)], [1.0, strong]]


LIGHT = Palette(
    dark=False,
    ground="#FBFBF9",
    ink="#1A1C1F",
    muted="#6A6D70",
    line="#DFDFD9",
    accent="#0B6E6E",
    amber="#C77700",
    teal="#0B7F78",
    violet="#7A4FB5",
    slate="#4A6076",
    positive="#2C6FAE",
    negative="#C8641B",
    null="rgba(120,120,115,0.18)",
    categories=(
        "#3E6FB0",
        "#C2571A",
        "#2E8B57",
        "#A8467F",
        "#9A8412",
        "#58A7C7",
        "#7B5138",
        "#8671C9",
    ),
)
DARK = Palette(
    dark=True,
    ground="#15171B",
    ink="#E7E6E1",
    muted="#9A9DA3",
    line="#2F333A",
    accent="#45B3AE",
    amber="#F0A838",
    teal="#35B8AC",
    violet="#B08BE8",
    slate="#8FA8C2",
    positive="#6BAAE4",
    negative="#EE935A",
    null="rgba(160,160,155,0.18)",
    categories=(
        "#7FA9E6",
        "#EE935A",
        "#62BF8B",
        "#DB83B6",
        "#CDB94A",
        "#8FD0EA",
        "#B98E73",
        "#B3A2EC",
    ),
)
OTHER = "#8C8F92"
# labelling methods, by how their names begin; any other asks no model
METHODS = {
    "baez": "#009E73",
    "eleuther": "#E69F00",
    "nla_vector": "#56B4E9",
    "logit_cascade_llm": "#B06CA8",
}
# tiers, by their number; the first has no score
TIERS = ("#8C8F92", "#0072B2", "#D55E00", "#CC79A7", "#555555")
TIERS_DARK = ("#8C8F92", "#4FA3DA", "#F08A3C", "#E39CC2", "#A9A9A9")


def tier(number: int) -> str:
    """The hue of a tier."""
    return (TIERS_DARK if current().dark else TIERS)[number]


def method(name: str) -> str:
    """The hue of a labelling method, the same in both themes."""
    return next((hue for begin, hue in METHODS.items() if name.startswith(begin)), "#8A8A8A")


def current() -> Palette:
    """The colours of the theme the reader has on."""
    return DARK if st.context.theme.type == "dark" else LIGHT


def mix(first: str, second: str, share: float) -> str:
    """The hex colour `share` of the way from one to another."""
    pairs = zip(_channels(first), _channels(second), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02X}" for a, b in pairs)


def fade(colour: str, alpha: float) -> str:
    """A hex colour with an opacity, as CSS."""
    red, green, blue = _channels(colour)
    return f"rgba({red},{green},{blue},{alpha:g})"


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def template(palette: Palette) -> go.layout.Template:
    """Hairlines, no box, no title, direct labels; the same for every figure."""
    axis = {
        "gridcolor": fade(palette.muted, 0.16),
        "gridwidth": 1,
        "linecolor": palette.line,
        "linewidth": 1,
        "showline": True,
        "zeroline": False,
        "ticks": "",
        "title": {"font": {"size": 11, "color": palette.muted}, "standoff": 6},
        "tickfont": {"size": 11, "color": palette.muted},
        "automargin": True,
    }
    return go.layout.Template(
        layout={
            "font": {"family": FONT, "size": 12, "color": palette.ink},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
            "xaxis": axis | {"showgrid": False},
            "yaxis": axis | {"showline": False, "ticklabelstandoff": 4},
            "colorway": list(palette.categories),
            "showlegend": False,
            "legend": {"orientation": "h", "font": {"size": 11}},
            "hoverlabel": {
                "bgcolor": palette.ground,
                "bordercolor": palette.line,
                "font": {"family": MONO, "size": 12, "color": palette.ink},
                "align": "left",
            },
            "modebar": {
                "bgcolor": "rgba(0,0,0,0)",
                "color": palette.muted,
                "activecolor": palette.accent,
            },
            "bargap": 0.06,
        }
    )


FONT = "system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', 'Noto Sans', sans-serif"
MONO = "'JetBrains Mono', 'Cascadia Mono', 'SF Mono', 'DejaVu Sans Mono', Consolas, monospace"


def figure(height: int | None = None) -> go.Figure:
    """An empty figure in the current theme."""
    chart = go.Figure()
    chart.update_layout(template=template(current()), height=height)
    return chart


def render_chart(chart: go.Figure, key: str, alt: str) -> None:
    """A chart that is only looked at."""
    st.plotly_chart(chart, theme=None, config=CONFIG, key=key, alt=alt)


def error_bars(
    values: Iterable[Any], low: Iterable[Any], high: Iterable[Any], **look: Any
) -> dict[str, Any]:
    """From each value to the ends of its interval; nothing where an end is None."""
    above = [0 if b is None else b - value for value, b in zip(values, high, strict=True)]
    below = [0 if a is None else value - a for value, a in zip(values, low, strict=True)]
    return {"array": above, "arrayminus": below, "thickness": 1, "width": 0, **look}


CONFIG = {
    "displaylogo": False,
    "modeBarButtons": [["toImage"]],
    "toImageButtonOptions": {"format": "svg", "filename": "tessera"},
}


WIDE, HIGH, LINE = 420, 330, 15  # pixels of a chart with labels, and of one of them


def legible(
    x: np.ndarray,
    y: np.ndarray,
    words: Sequence[str],
    among: tuple[np.ndarray, np.ndarray] | None = None,
) -> list[str]:
    """The labels of points [n] in a chart about `WIDE` pixels wide that shows them, or all points
    `among` which they are; of those that would lie on another the first stays, and the others are
    empty."""
    spans = [
        (float(np.ptp(part)) or 1.0) / size
        for part, size in zip(among or (x, y), (WIDE, HIGH), strict=True)
    ]
    places: list[tuple[float, float, float]] = []
    labels = []
    for index, word in enumerate(words):
        place = x[index] / spans[0], y[index] / spans[1], 3.2 * len(word)
        free = all(
            abs(place[0] - centre_x) > place[2] + half or abs(place[1] - centre_y) > LINE
            for centre_x, centre_y, half in places
        )
        places += [place] if free else []
        labels.append(word if free else "")
    return labels
