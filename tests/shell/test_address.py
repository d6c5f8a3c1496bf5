"""The URL says what is looked at; a page that is left keeps what was chosen on it."""

from __future__ import annotations

import pytest

from components.shell import address, links
from tests.helpers.pages import opened, param


def test_an_address_survives_reading_and_writing() -> None:
    known = address.fields("regions")
    values = {"study": "demo", "p": 8.0, "region": 5, "beyond": True, "search": "a & b=c"}
    params = address.write(values, known)
    assert address.read(params, known) == (values, [])


def test_defaults_are_left_out_of_the_address() -> None:
    known = address.fields("regions")
    assert address.write({"colour": "coherence", "seed": 0, "region": None}, known) == {}


@pytest.mark.parametrize("name", ["region", "p", "beyond", "colour", "draw"])
def test_a_wrong_value_is_named_and_left_out(name: str) -> None:
    values, problems = address.read({name: "nonsense"}, address.fields("regions"))
    assert values == {}
    assert "nonsense" in problems[0]
    assert name in problems[0]


def test_unknown_parameters_do_no_harm() -> None:
    assert address.read({"utm_source": "x"}, address.fields("regions")) == ({}, [])


def test_links_are_read_back() -> None:
    assert links.parse("regions?study=demo&region=5") == (
        "regions",
        {"study": "demo", "region": "5"},
    )
    assert links.parse("./?study=demo") == ("overview", {"study": "demo"})


# ---------------------------------------------------------------- of a session


def test_a_page_is_found_as_it_was_left_though_its_link_is_older(ready: str) -> None:
    app = opened("regions", region=3)
    app.switch_page("pages/features.py").run()
    app.switch_page("pages/regions.py")
    app.query_params["region"] = "1"  # as the sidebar's link, drawn before 3 was opened, says
    app.run()
    assert param(app, "region") == "3"


def test_the_sidebar_links_to_a_page_as_it_was_left(ready: str) -> None:
    app = opened("regions", region=3)
    app.switch_page("pages/features.py").run()
    links_to = {link.proto.label: link.proto.query_string for link in app.get("page_link")}
    assert "region=3" in links_to["Regions"].split("&")
    assert "region" not in links_to["Features"]
