"""Widgets that show and set one parameter of the URL each, by the parameter's name.

Each starts as what is in force (`element` says why). `rerun` names the fragments that a change
reruns (none named: what Streamlit would), `also` the parameters that it sets besides, or what gives
them for a value, `twin` names the second widget of a parameter that has two; other keywords are
Streamlit's own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from components.shell import address
from components.shell.status import render_problem

DIGITS = 9  # of a number that is shown in another unit


def element(name: str, value: Any, texts: Mapping[Any, str] = {}) -> str:
    """The key of a widget of the page that must start as `value`, its options shown as `texts`.

    The browser holds a value of its own for each element that it has mounted, also where a popover
    has closed over it, sends that with every rerun, and takes another from the session only while
    the element is mounted. So no element is ever told another value: where what the browser holds
    is not in force (set elsewhere, no option, or shown in other words since), another element
    takes its place. Each has what is in force as its default, so it shows that whenever it is
    mounted.
    """
    place = f"{address.page()}:{name}"
    number, last, earlier_texts = _elements().get(place, (0, value, texts))
    parts = _parts(value)
    elsewhere = st.session_state.get(_key(place, number), last) != value
    if elsewhere or [earlier_texts.get(each) for each in parts] != [
        texts.get(each) for each in parts
    ]:
        number += 1
    _elements()[place] = number, value, texts
    return _key(place, number)


def text_input(name: str, label: str, **look: Any) -> None:
    """One line of text."""
    value = address.get(name)
    st.text_input(label, value, **_bound(name, value, look))


def text_area(name: str, label: str, **look: Any) -> None:
    """A text of several lines."""
    value = address.get(name)
    st.text_area(label, value, **_bound(name, value, look))


def toggle(name: str, label: str, **look: Any) -> None:
    """A switch."""
    value = address.get(name)
    st.toggle(label, value, **_bound(name, value, look))


def number_input(name: str, label: str, scale: float | None = None, **look: Any) -> None:
    """A number within the parameter's bounds, shown as so many times its value (`scale`)."""
    field = address.field(name)
    least, most, value = (
        number if number is None or scale is None else round(number * scale, DIGITS)
        for number in (field.least, field.most, address.get(name))
    )
    st.number_input(label, least, most, value, **_bound(name, value, look, scale=scale))


def slider(name: str, label: str, **look: Any) -> None:
    """A number between the parameter's bounds."""
    field, value = address.field(name), address.get(name)
    st.slider(label, field.least, field.most, value, **_bound(name, value, look))


def select_slider(name: str, label: str, options: Sequence[Any], **look: Any) -> None:
    """One of a few numbers in order."""
    value, texts = address.get(name), _texts(options, look)
    st.select_slider(
        label, options, value, format_func=_teller(texts), **_bound(name, value, look, texts)
    )


def selectbox(
    name: str, label: str, options: Sequence[Any], value: Any = None, **look: Any
) -> None:
    """One of a list, which names what is in force even where it is not offered. `value`: what is
    in force, where the parameter alone does not say."""
    value = address.get(name) if value is None else value
    offered = [*options] if value in options else [*options, value]
    texts = _texts(offered, look)
    bound = _bound(name, value, look, texts)
    st.selectbox(label, offered, offered.index(value), format_func=_teller(texts), **bound)


def segmented_control(
    name: str, label: str, options: Sequence[Any], value: Any = None, **look: Any
) -> None:
    """One of a few, all on screen; none of them looks chosen where none is in force."""
    value = address.get(name) if value is None else value
    current, texts = value if value in options else None, _texts(options, look)
    bound = _bound(name, current, look, texts)
    st.segmented_control(
        label, options, default=current, required=True, format_func=_teller(texts), **bound
    )


def multiselect(name: str, label: str, options: Sequence[str], **look: Any) -> None:
    """Some of several, which the URL holds as one text with commas."""
    value = [each for each in address.get(name).split(",") if each in options]
    texts = _texts(options, look)
    bound = _bound(name, value, look, texts)
    st.multiselect(label, options, value, format_func=_teller(texts), **bound)


def pick(name: str, label: str, options: Sequence[str], problem: str, **look: Any) -> str:
    """One of a list that depends on what is computed: its first where none is chosen, and with a
    `problem` where a link names none of it."""
    value = address.get(name)
    if not value:
        address.assume(**{name: options[0]})
    elif value not in options:
        address.put(**{name: options[0]})
        render_problem(problem, f"{options[0]!r} is shown instead.")
    selectbox(name, label, options, **look)
    return str(address.get(name))


def start_button(label: str, key: str, name: str = "started") -> None:
    """A button that sets a parameter to true, so that the page asks for what takes long."""
    if st.button(label, key=key, type="primary"):
        address.put(**{name: True})
        st.rerun()


# ---------------------------------------------------------------- key and callback


def _bound(
    name: str,
    value: Any,
    look: dict[str, Any],
    texts: dict[Any, str] | None = None,
    scale: float | None = None,
) -> dict[str, Any]:
    """`look` with key and callback in place of `rerun` and `also`."""
    own = ("rerun", "also", "format_func", "twin")
    rest = {word: look[word] for word in look if word not in own}
    key = element(name + look.get("twin", ""), value, texts or {})
    bound = (name, look.get("twin", "")), key, None if texts is None else list(texts)
    args = (*bound, look.get("rerun", ()), look.get("also", {}), scale)
    return rest | {"key": key, "on_change": _accept, "args": args}


def _accept(
    widget: tuple[str, str],
    key: str,
    options: Sequence[Any] | None,
    rerun: Sequence[str],
    also: Mapping[str, Any] | Callable[[Any], Mapping[str, Any]],
    scale: float | None,
) -> None:
    """Set a parameter, and those in `also`, to what the widget `key` was set to, over its `scale`;
    what is none of its options is not taken over. `widget`: parameter and twin."""
    name, twin = widget
    place, value = f"{address.page()}:{name}{twin}", st.session_state[key]
    if key != _key(place, _elements()[place][0]):  # another element took its place meanwhile
        return
    if value is None:
        value, scale = address.field(name).default, None
    if options is None or all(each in options for each in _parts(value)):
        text: Any = ",".join(value) if isinstance(value, list) else value
        text = text if scale is None else round(text / scale, DIGITS)
        address.put(**{name: text} | dict(also(text) if callable(also) else also))
    if rerun:
        st.rerun(list(rerun))


def _elements() -> dict[str, tuple[int, Any, Mapping[Any, str]]]:
    """By place: how many elements gave way there, what the last one started as, its texts."""
    return st.session_state.setdefault("controls.elements", {})


def _key(place: str, number: int) -> str:
    return f"{place}:{number}" if number else place


def _parts(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _texts(options: Sequence[Any], look: dict[str, Any]) -> dict[Any, str]:
    """What each option is shown as. The browser sends that text back, so each is another."""
    write: Callable[[Any], str] = look.get("format_func", str)
    texts = {option: write(option) for option in options}
    often = Counter(texts.values())
    return {
        option: text if often[text] == 1 else f"{text} · {str(option)[:8]}"
        for option, text in texts.items()
    }


def _teller(texts: dict[Any, str]) -> Callable[[Any], str]:
    """An option's text; what the browser sent back that is no option stays itself."""
    return lambda option: texts.get(option, str(option))
