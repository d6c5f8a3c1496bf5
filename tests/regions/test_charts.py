"""From selection to state and from data to figure, without a browser."""

from __future__ import annotations

import html
import json
from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.regions.views import RegionMap
from backend.store.views import Provenance
from components.regions.controls import about_k, preview_words
from components.regions.map import Marks, excerpt, marker_sizes, region_chart, short, spread
from components.regions.names import name_of, named
from components.regions.table import REGIONS, display, listed
from components.shell import address
from components.shell.selection import (
    Area,
    area_of,
    clicked,
    inside,
    interpret,
    neighbour,
    parse,
    row_of,
    spell,
    within,
)

PROVENANCE = Provenance("f", "0", "{}", (), "cpu", 1.0, 0.0, "python -m backend")


def regions(count: int = 40) -> RegionMap:
    random = np.random.default_rng(0)
    table = pl.DataFrame(
        {
            "region": np.arange(count),
            "x": random.normal(size=count),
            "y": random.normal(size=count),
            "size": random.integers(1, 500, count),
            "gray": np.zeros(count, dtype=int),
            "coherence": random.random(count),
            "mean_distance": random.random(count),
            "isolation": random.random(count),
            "overlap": random.random(count) + 1,
            "token_share": random.random(count),
            "token_driven": random.random(count) > 0.5,
            "token": ["<b>", " the\n", '"x"', "é"] * (count // 4),
            "before": ["some text before"] * count,
            "after": [" and after\x00"] * count,
            "topic": ["sports", "tech", "sports", "a & b"] * (count // 4),
            "lift": random.random(count) * 3,
            "feature": np.where(np.arange(count) % 3, 5, -1),
            "f1": random.random(count),
        }
    )
    return RegionMap(table, "umap", 4, 1, 0.7, 1000, 1000, 1000, 0, 0, 1.5, 0.3, True, PROVENANCE)


def event(points: list[int] = (), box: list = (), lasso: list = ()) -> dict:  # type: ignore[assignment]
    return {
        "selection": {
            "points": [{"customdata": number, "curve_number": 0} for number in points],
            "box": list(box),
            "lasso": list(lasso),
        }
    }


def size(values: Any) -> int:
    return len(values)


# ---------------------------------------------------------------- selection


def test_a_click_opens_the_region_under_it() -> None:
    assert clicked(event([17])) == 17
    assert clicked({"selection": {"points": [{"customdata": [17]}]}}) == 17


def test_a_second_click_on_the_same_region_opens_it_again() -> None:
    assert clicked(event(), last=17) == 17
    assert clicked(event(), last=None) is None


def test_an_area_is_no_click_even_around_one_region() -> None:
    box = [{"x": [0, 1], "y": [0, 1]}]
    assert clicked(event([17], box=box)) is None
    assert area_of(event([17], box=box)).outlines == (((0, 0), (1, 0), (1, 1), (0, 1)),)


def test_several_clicked_regions_are_an_area() -> None:
    assert area_of(event([3, 1, 2])).picked == (1, 2, 3)
    assert not area_of(event())


def test_points_that_are_no_region_are_left_out() -> None:
    assert clicked({"selection": {"points": [{"curve_number": 1}, {"customdata": 4}]}}) == 4


@given(st.lists(st.tuples(st.floats(-99, 99), st.floats(-99, 99)), min_size=3, max_size=200))
def test_an_area_survives_the_address_bar(points: list[tuple[float, float]]) -> None:
    xs, ys = zip(*points, strict=True)
    area = area_of(event(lasso=[{"x": list(xs), "y": list(ys)}]))
    parsed = parse(spell(area))
    assert len(spell(area)) < 700
    assert [len(outline) for outline in parsed.outlines] == [len(o) for o in area.outlines]
    np.testing.assert_allclose(parsed.outlines, area.outlines, atol=1e-3)


@pytest.mark.parametrize("text", ["x", "1_2", "1_2_3_4_5", "nan_1_2_3_4_5", "n1.x"])
def test_an_area_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse(text)


def test_picked_regions_survive_the_address_bar() -> None:
    assert parse(spell(Area((), (1, 5, 9)))) == Area((), (1, 5, 9))
    assert parse("") == Area()


def test_inside_and_outside_of_a_concave_outline() -> None:
    outline = ((0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (2.0, 1.0), (0.0, 4.0))
    x, y = np.array([1.0, 2.0, 3.5, 5.0]), np.array([1.0, 3.0, 2.0, 1.0])
    assert within(outline, x, y).tolist() == [True, False, True, False]


def test_everything_is_inside_a_box_around_it() -> None:
    table = regions().table
    around = Area((((-99.0, -99.0), (99.0, -99.0), (99.0, 99.0), (-99.0, 99.0)),))
    assert inside(around, table).all()
    assert not inside(Area(), table).any()
    assert inside(Area((), (3, 7)), table).nonzero()[0].tolist() == [3, 7]


def test_a_row_gives_its_number_and_no_row_none() -> None:
    assert row_of({"selection": {"rows": [1]}}, [], [30, 40]) == 40
    assert row_of({"selection": {"rows": []}}, [0], [30, 40]) is None
    assert row_of({"selection": {"rows": [9]}}, [], [30, 40]) is None


def test_a_click_on_a_cell_gives_its_row_until_another_mark_is_set() -> None:
    cells = [(1, "size")]
    assert row_of({"selection": {"rows": [0], "cells": cells}}, [0], [30, 40]) == 40
    assert row_of({"selection": {"rows": [0], "cells": cells}}, [1], [30, 40]) == 30
    assert row_of({"selection": {"rows": [], "cells": cells}}, [0], [30, 40]) is None


def test_a_browser_that_has_not_heard_of_the_last_mark_chooses_nothing() -> None:
    ids, past = [30, 40, 50], {((0,), ()), ((), ((0, "size"),))}
    late = [{"rows": [0], "cells": []}, {"rows": [], "cells": [(0, "size")]}]
    for selection in late:
        assert row_of(interpret({"selection": selection}, [1], past), [1], ids) == 40
    clicked_since = {"selection": {"rows": [0], "cells": [(2, "size")]}}
    assert row_of(interpret(clicked_since, [1], past), [1], ids) == 50
    marked_since = {"selection": {"rows": [2], "cells": []}}
    assert row_of(interpret(marked_since, [1], past), [1], ids) == 50
    assert row_of(interpret({"selection": {"rows": [0]}}, [1], ()), [1], ids) == 30


def test_next_and_previous_end_with_the_list() -> None:
    assert neighbour([5, 7, 9], 7, 1) == 9
    assert neighbour([5, 7, 9], 7, -1) == 5
    assert neighbour([5, 7, 9], 9, 1) is None
    assert neighbour([5, 7, 9], 5, -1) is None
    assert neighbour([5, 7, 9], None, 1) == 5
    assert neighbour([5, 7, 9], 8, -1) == 9  # open, though filtered out
    assert neighbour([], 5, 1) is None


@pytest.fixture
def no_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    off = {name: field.default for name, field in address.FIELDS["regions"].items()}
    monkeypatch.setattr(address, "get", off.get)


def test_filters_keep_what_they_say(no_filter: None, monkeypatch: pytest.MonkeyPatch) -> None:
    table = regions().table
    assert REGIONS.left(table, None)[0].equals(table)
    assert REGIONS.filter_words() == []
    selection = {"least": 100, "most": 300, "kappa": 0.5, "topic": "sports", "beyond": True}
    monkeypatch.setattr(address, "get", selection.get)
    remaining, _ = REGIONS.left(table, None)
    assert remaining["size"].is_between(100, 300).all()
    assert (remaining["coherence"] >= 0.5).all()
    assert not remaining["token_driven"].any()
    assert set(remaining["topic"]) <= {"sports"}
    assert len(REGIONS.filter_words()) == 5


# ---------------------------------------------------------------- table and map


def test_the_table_lists_hits_first_and_only_them(no_filter: None) -> None:
    view = regions()
    hits = pl.DataFrame({"region": [4, 2], "matched": ["text", "label"], "rank": [0.1, 3.5]})
    assert listed(view.table, hits)["region"].to_list() == [2, 4]
    sizes = listed(view.table, None)["size"]
    assert sizes.to_list() == sorted(sizes, reverse=True)


def test_cells_hold_no_control_characters(no_filter: None) -> None:
    shown = display(listed(regions().table, None))
    assert not any(c in text for text in shown["text"] for c in "\x00\n")
    assert shown["feature"].null_count() > 0


@pytest.mark.parametrize("colour", address.COLOURS)
def test_the_map_draws_every_region_in_every_colour(colour: str) -> None:
    view = regions()
    chart = region_chart(view, Marks(np.ones(len(view.table), dtype=bool), colour))
    trace = chart.data[0]
    assert isinstance(trace, go.Scattergl)
    assert size(trace.x) == size(trace.customdata) == len(view.table)
    assert chart.layout.title.text is None


def test_filtered_regions_stay_as_faint_dots_that_cannot_be_selected() -> None:
    view = regions()
    shown = np.arange(len(view.table)) < 10
    faint, bright = region_chart(view, Marks(shown)).data
    assert size(faint.x) == len(view.table) - 10
    assert faint.customdata is None
    assert bright.customdata.tolist() == list(range(10))


def test_an_empty_map_is_still_a_map() -> None:
    view = regions()
    chart = region_chart(view, Marks(np.zeros(len(view.table), dtype=bool)))
    assert size(chart.data[1].x) == 0


def test_the_map_stays_small_enough_to_send() -> None:
    view = regions(2600)
    chart = region_chart(view, Marks(np.ones(2600, dtype=bool)))
    assert size(chart.to_json()) < 400_000


def test_text_in_the_map_cannot_be_markup() -> None:
    text = json.dumps(
        region_chart(regions(), Marks(np.ones(40, dtype=bool))).to_dict(), default=str
    )
    assert "<b><b>" not in text
    assert short("<i>x</i>") == "&lt;i&gt;x&lt;/i&gt;"
    assert len(short("x" * 99)) <= 18


def test_area_of_a_mark_grows_with_the_members() -> None:
    small, large = marker_sizes(np.array([100, 400]))
    assert small < large
    assert marker_sizes(np.array([0])).min() > 0


@pytest.mark.parametrize(
    ("token", "before", "after", "label", "name"),
    [
        (" year", "last", ",", None, "year"),
        (" Syd", "von", "ow", None, ""),  # a part of a word
        ("ing", "walk", " on", None, ""),
        ("Ben", "", " said", None, "Ben"),
        (" the", "of", " sea", None, ""),  # a function word
        ("1", " ", ".", None, ""),
        (" year", "last", ",", "stretches of time", "stretches of time"),
        (" the", "of", " sea", 'token "goal"', "goal"),
        (" sea", "the", ".", 'token "the"', "sea"),
        (" sea", "the", ".", 'say "goal"', 'say "goal"'),
        ("海", "", "", None, "海"),
        (" year", "last", ",", "x" * 40, "x" * 21 + "…"),
    ],
)
def test_a_region_is_called_by_what_means_something(
    token: str, before: str, after: str, label: str | None, name: str
) -> None:
    assert name_of({"token": token, "before": before, "after": after, "label": label}) == name


def test_the_map_begins_where_it_was_zoomed_to_and_keeps_its_aspect() -> None:
    everywhere = np.ones(40, dtype=bool)
    whole = region_chart(regions(), Marks(everywhere)).layout
    near = region_chart(regions(), Marks(everywhere, zoom=(0.1, 0.6, -0.2, 0.4))).layout
    assert whole.xaxis.range is None
    assert (near.xaxis.range, near.yaxis.range) == ((0.1, 0.6), (-0.2, 0.4))
    assert whole.yaxis.scaleanchor == near.yaxis.scaleanchor == "x"


@pytest.mark.parametrize("colour", [name for name in address.COLOURS if name != "topic"])
def test_a_legend_is_as_wide_on_a_phone_and_its_title_stands_above(colour: str) -> None:
    bar = region_chart(regions(), Marks(np.ones(40, dtype=bool), colour)).data[0].marker.colorbar
    assert (bar.lenmode, bar.tickangle, bar.title.side) == ("pixels", 0, "top")
    assert len(bar.title.text) * 6.2 < bar.len < 360  # pixels


def test_hovering_shows_the_exemplar_in_its_context() -> None:
    row = regions().table.row(0, named=True)
    row |= {"before": "x" * 90 + "just <i>\n", "token": " sea", "after": "&" * 90}
    words = excerpt(row)
    assert "just &lt;i&gt;⏎[ sea]&amp;&amp;" in words
    assert words.endswith("&amp;")  # none is cut in the middle
    assert len(html.unescape(words)) < 70


def test_labels_do_not_touch() -> None:
    table = named(regions().table.with_columns(token=pl.lit(" word")))
    selection = spread(table, table, 10)
    assert 0 < len(selection) <= 10
    assert selection["size"].to_list() == sorted(selection["size"], reverse=True)


def test_a_preview_says_so_and_a_whole_map_does_not() -> None:
    view = regions()
    assert preview_words(view) == ""
    partial = RegionMap(**(vars(view) | {"corpus_tokens": 9000, "layout": "pca"}))
    assert "1,000 of 9,000 tokens" in preview_words(partial)
    assert "PCA" in preview_words(partial)


def test_what_k_can_do_depends_on_the_threshold() -> None:
    assert "at most 6 exemplars" in about_k(1.6, 0.75)
    assert "at most" not in about_k(1.1, 0.715)
    assert about_k(1.0, None).startswith("Leave k at 1")
    assert ".293" in about_k(1.0, None)
