"""A region's page: members of every distance band in one scroll."""

from __future__ import annotations

import json
import re

import polars as pl
import pytest

from backend import queries
from backend.regions.views import RegionMap
from components.regions import members
from tests.helpers.pages import html_of, opened, text_of


@pytest.fixture
def table(ready: str) -> pl.DataFrame:
    view: RegionMap = queries.wait(lambda: queries.regions(ready))
    return view.table


def test_all_distance_bands_stand_in_one_scroll(ready: str, table: pl.DataFrame) -> None:
    region = int(table.sort("size", descending=True)["region"][0])
    view = queries.region(ready, region)
    html = html_of(opened("regions", region=region, draw="all"))
    filled = view.bands.filter(pl.col("count") > 0)
    assert len(filled) > 1
    for row in filled.iter_rows(named=True):
        assert re.search(rf"Band {row['band']} of 4.*n = {row['count']:,}<", html)
    distances = [float(d) for d in re.findall(r">d</a> <b>([.\d]+)</b></span>", html)]
    assert distances == sorted(distances), "the nearest band first, and within it the nearest"
    assert len(filled) < len(distances) <= members.EACH * len(filled)
    assert "in band 2" in text_of(opened("regions", region=region, draw="band 2"))


def test_of_few_members_all_are_listed_once(ready: str, table: pl.DataFrame) -> None:
    few = table.filter(pl.col("size").is_between(2, members.COUNT))
    region, size = few.select("region", "size").row(0)
    html = html_of(opened("regions", region=region, draw="all"))
    assert "Band 1 of 4" not in html
    assert len(re.findall(">d</a> <b>", html)) == size - 1


@pytest.mark.parametrize(
    ("link", "names"),
    [
        ({}, "region text label size coherence topic"),
        ({"sort": "gray"}, "region text label size coherence gray"),
        ({"search": "boat"}, "region text label matched hits size"),
    ],
)
def test_the_table_shows_what_fits_and_the_column_that_orders_it(
    ready: str, link: dict[str, str], names: str
) -> None:
    app = opened("regions", **link)
    assert list(app.dataframe[0].proto.column_order) == names.split()
    columns = json.loads(app.dataframe[0].proto.columns)
    widths = sum(columns[name]["width"] for name in names.split())
    assert widths <= 545 - 45, "of 545 pixels beside an open region at 1280, less the mark"
