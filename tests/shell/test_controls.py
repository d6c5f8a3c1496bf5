"""Controls: whatever happened before, an element starts as what is in force, and nothing that is
no option is ever taken over."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.testing.v1 import AppTest

from components.shell import address, controls

ROOT = Path(__file__).parent.parent.parent
IN_FORCE = {
    "dense": 0.25,
    "strong": 3.0,
    "token": "cat",
    "own": "a text",
    "sort": "lift",
    "by": "meaning",
}


def every_kind() -> None:
    import streamlit as st

    from components.shell import address, controls

    address.begin("features")
    for name, value in st.session_state.get("set", {}).items():
        address.put(**{name: value})
    words = st.session_state.get("words", {})
    controls.slider("dense", "Density", step=0.01)
    controls.number_input("strong", "Maximum", step=1.0)
    controls.text_input("token", "Token")
    controls.text_area("own", "Text")
    controls.selectbox(
        "sort", "Order", address.SORTS["features"], format_func=lambda sort: words.get(sort, sort)
    )
    controls.segmented_control("by", "By", ("text", "meaning"))
    st.json({name: address.get(name) for name in ("dense", "strong", "token", "own", "sort", "by")})


def started(**params: Any) -> AppTest:
    app = AppTest.from_function(every_kind)
    for name, value in params.items():
        app.query_params[name] = str(value)
    app.run()
    assert not app.exception, app.exception[0].value
    return app


def defaults(app: AppTest) -> dict[str, Any]:
    """What each element starts as when the browser mounts it with nothing of its own."""
    select, segments = app.selectbox[0].proto, app.segmented_control[0].proto
    return {
        "dense": app.slider[0].proto.default[0],
        "strong": app.number_input[0].proto.default,
        "token": app.text_input[0].proto.default,
        "own": app.text_area[0].proto.default,
        "sort": select.options[select.default],
        "by": segments.options[segments.default[0]].content,
    }


def keys(app: AppTest) -> set[str | None]:
    kinds = (app.slider, app.number_input, app.text_input, app.text_area, app.selectbox)
    return {each.key for kind in kinds for each in kind}


def in_force(app: AppTest) -> dict[str, Any]:
    return json.loads(app.json[0].value)


def test_elements_start_as_what_is_in_force_in_every_run() -> None:
    app = started(**IN_FORCE)
    assert defaults(app) == IN_FORCE == in_force(app)
    before = keys(app)
    app.run()
    assert defaults(app) == IN_FORCE == in_force(app)
    assert keys(app) == before  # what is typed there and not committed yet stays


def test_a_change_by_hand_keeps_the_element_and_moves_its_start() -> None:
    app = started(**IN_FORCE)
    before = keys(app)
    app.slider[0].set_value(0.5).run()
    app.selectbox[0].set_value("max").run()
    expected = IN_FORCE | {"dense": 0.5, "sort": "max"}
    assert defaults(app) == expected == in_force(app)
    app.run()
    assert defaults(app) == expected == in_force(app)
    assert keys(app) == before


def test_what_is_set_elsewhere_comes_with_another_element() -> None:
    """The browser sends the old element's value until it is gone: that is not taken over."""
    app = started(**IN_FORCE)
    app.slider[0].set_value(0.5).run()
    old = app.slider[0]
    app.session_state["set"] = {"dense": 1.0}
    app.run()
    assert app.slider[0].key != old.key
    assert defaults(app)["dense"] == 1.0 == in_force(app)["dense"]
    app.session_state["set"] = {}
    old.set_value(0.75)
    app.run()
    assert defaults(app)["dense"] == 1.0 == in_force(app)["dense"]


def send(app: AppTest, widget: Any, text: str) -> None:
    """Run as though the browser had sent a text for a choice."""
    states = app._tree.get_widget_states()
    for each in states.widgets:
        if each.id == widget.id:
            each.CopyFrom(WidgetState(id=widget.id, string_value=text))
    app._run(states)


def test_a_text_that_is_no_option_is_not_taken_over() -> None:
    app = started(**IN_FORCE)
    old = app.selectbox[0].key
    send(app, app.selectbox[0], "gone since")
    assert in_force(app) == IN_FORCE == defaults(app)
    assert app.query_params["sort"] == "lift"
    app.run()
    assert app.selectbox[0].key != old
    assert app.selectbox[0].value == "lift"


def test_a_value_that_is_shown_in_other_words_stays_the_value() -> None:
    app = started(**IN_FORCE)
    old = app.selectbox[0]
    app.session_state["words"] = {"lift": "most topic-bound first"}
    send(app, old, "lift")
    assert in_force(app) == IN_FORCE
    assert defaults(app)["sort"] == "most topic-bound first"
    assert app.selectbox[0].key != old.key


def test_options_of_one_text_are_told_apart() -> None:
    runs = ("0123456789", "abcdefghij")
    texts = controls._texts(
        [*runs, "z"], {"format_func": lambda run: "run" if run in runs else run}
    )
    assert texts == {"0123456789": "run · 01234567", "abcdefghij": "run · abcdefgh", "z": "z"}


@pytest.mark.parametrize(
    ("page", "params"),
    [
        ("features", {"dense": "5"}),
        ("features", {"sparse": "-1"}),
        ("features", {"strong": "nan"}),
        ("regions", {"least": "0"}),
        ("regions", {"kappa": "inf"}),
        ("experiment", {"count": "1"}),
        ("experiment", {"seed": str(2**60)}),
        ("tiers", {"tau_in": "1.1"}),
    ],
)
def test_a_link_beyond_the_bounds_of_a_number_is_said(page: str, params: dict[str, str]) -> None:
    values, problems = address.read(params, address.fields(page))
    assert values == {}
    assert len(problems) == 1
    assert next(iter(params)) in problems[0]


def test_only_controls_makes_widgets_that_the_url_knows() -> None:
    """A widget of Streamlit that a page makes itself is one whose value is nowhere else."""
    pattern = re.compile(
        r"\.(selectbox|segmented_control|radio|pills|multiselect|slider|select_slider|"
        r"number_input|text_input|text_area|toggle|checkbox)\("
    )
    own = {
        "components/concepts/choice.py": 3,  # texts that are kept as a concept, once
        "components/shell/going.py": 1,  # a number to go to, once
        "components/tiers/check.py": 1,  # how many features a button scores
    }
    for folder in ("components", "pages"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = str(path.relative_to(ROOT))
            if name != "components/shell/controls.py":
                text = re.sub(r"controls\.\w+\(", "", path.read_text())
                assert len(pattern.findall(text)) == own.pop(name, 0), name
    assert own == {}


# ---------------------------------------------------------------- the address


def test_an_address_from_before_the_last_change_is_not_taken_over() -> None:
    """A browser that is behind sends the address it still holds."""
    app = started(sort="lift")
    app.session_state["set"] = {"sort": "max"}
    app.run()
    app.session_state["set"] = {}
    app.query_params["sort"] = "lift"
    app.run()
    assert in_force(app)["sort"] == "max"
    assert app.query_params["sort"] in ("max", ["max"])


@pytest.mark.parametrize("how", ["history", "link"])
def test_back_and_links_are_followed_and_what_they_leave_out_is_the_default(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = started(sort="lift", token="a")
    if how == "history":
        monkeypatch.setattr(address, "_goes_through_history", lambda: True)
    else:
        app.session_state["address.followed"] = True
    app.query_params.clear()
    app.query_params["sort"] = "max"
    app.run()
    assert in_force(app)["sort"] == "max"
    assert in_force(app)["token"] == ""


# ---------------------------------------------------------------- two widgets, one parameter


def twins() -> None:
    import streamlit as st

    from components.shell import address, controls

    address.begin("tiers")
    controls.slider("tau_in", "τ", step=0.005)
    controls.number_input("tau_in", "τ as a number", step=0.005, twin=":number")
    st.json({"tau_in": address.get("tau_in")})


def test_either_of_two_widgets_of_a_parameter_moves_the_other() -> None:
    app = AppTest.from_function(twins)
    app.query_params["tau_in"] = "0.5"
    app.run()
    assert (app.slider[0].value, app.number_input[0].value) == (0.5, 0.5)
    app.slider[0].set_value(0.605).run()
    assert (app.slider[0].value, app.number_input[0].value) == (0.605, 0.605)
    app.number_input[0].set_value(0.31).run()
    assert (app.slider[0].value, app.number_input[0].value) == (0.31, 0.31)
    assert json.loads(app.json[0].value) == {"tau_in": 0.31}


def test_a_name_holds_on_every_page_and_in_every_study() -> None:
    app = AppTest.from_function(named)
    app.query_params["person"] = "Ann"
    app.query_params["study"] = "one"
    app.run()
    values = json.loads(app.json[0].value)
    assert values == {
        "judge": "Ann",
        "queue": "Ann",
        "compare": "Ann",
        "features": "",
        "two": "Ann",
    }


def named() -> None:
    import streamlit as st

    from components.shell import address

    values = {}
    for page in ("judge", "queue", "compare", "features"):
        address.begin(page)
        values[page] = address.get("person") if "person" in address.fields(page) else ""
    address.begin("queue")
    address.put(study="two")
    st.json(values | {"two": address.get("person")})
