"""Members of a region: drawn in one way, or some of every distance band in one scroll."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from backend.corpus.views import Draw
from backend.regions.views import Member, MemberDraw, RegionView
from backend.schema import Job
from components.shell import address, controls, markup, numbers, terms
from components.shell.links import anchor
from components.shell.markup import escape
from components.shell.status import Desk, waiting
from components.shell.stepping import INSPECTOR, render_draw_again
from components.shell.tokens import Look, passage_html, window

LOW_MARGIN = 0.03  # below this a member could as well be in the runner-up region
DRAWS = {"closest": "closest", "all": "all distance bands"} | {
    name: name for name in ("farthest", "random")
}
BANDS = 4
COUNT, EACH = 8, 4  # members of one draw, and of each band where all are shown
ALONE = "The exemplar is the only member."


@dataclass(frozen=True)
class Part:
    """Members that were drawn in one way, under a heading where there are several."""

    heading: str
    draw: Draw[Member]


def render(desk: Desk, study: str, view: RegionView, *where: float) -> None:
    """How members are drawn, and the members."""
    with st.container(horizontal=True, gap="small", key="draw", vertical_alignment="center"):
        controls.selectbox(
            "draw",
            "Members",
            list(DRAWS),
            format_func=lambda draw: DRAWS.get(draw, f"{draw} of {BANDS}"),
            label_visibility="collapsed",
            width=170,
            rerun=(INSPECTOR,),
            also={"seed": 0},
        )
        render_draw_again(view.region, "closest", "farthest")
    parts = parts_of(view, desk, study, *where)
    if not waiting(parts, desk, "members"):
        markup.render(members_html(parts))


def parts_of(view: RegionView, desk: Desk, study: str, *where: float) -> list[Part] | Job:
    """The members that the controls ask for, or the job that computes what they need."""
    kind, seed = address.get("draw"), address.get("seed")
    draws, bands = [("", kind, COUNT)], view.bands.filter(view.bands["count"] > 0)
    # with the exemplar itself; quarters of so few say nothing that a list of all does not
    if kind == "all" and int(view.bands["count"].sum()) - 1 <= COUNT:
        draws = [("", "closest", COUNT)]
    elif kind == "all":
        rows = bands.iter_rows(named=True)
        draws = [(_heading(row), f"band {row['band']}", EACH) for row in rows]
    parts = []
    for heading, draw, count in draws:
        how = MemberDraw(draw, count, seed)
        answer: Draw[Member] | Job = desk.region_members(study, view.region, *where, how)
        if isinstance(answer, Job):
            return answer
        parts.append(Part(heading, answer))
    return parts


def _heading(band: dict[str, float]) -> str:
    ends = {1: ", nearest", BANDS: ", farthest"}
    place = int(band["band"])
    low, high = (numbers.fraction(band[end], 3) for end in ("low", "high"))
    n = numbers.count(band["count"])
    return f"Band {place} of {BANDS}{ends.get(place, '')} · d {low} to {high} · n = {n}"


def members_html(parts: Sequence[Part]) -> str:
    """Samples of members with distance, margin and, where that is small, the runner-up."""
    before = [sum(len(part.draw.items) for part in parts[:place]) for place in range(len(parts))]
    return "".join(map(_part_html, parts, before))


def _part_html(part: Part, before: int) -> str:
    how = escape(part.draw.how)
    head = f'<p class="note">{how}</p>'
    if part.heading:
        head = f'<h4 class="tenth" title="{how}">{escape(part.heading)}</h4>'
    if not part.draw.items:
        words = "No other member lies in this band." if part.draw.population else ALONE
        return (head if part.heading else "") + f'<p class="note">{words}</p>'
    members = [item for item in part.draw.items if isinstance(item, Member)]
    return head + "".join(_member(item, place) for place, item in enumerate(members, before + 1))


def _member(member: Member, place: int) -> str:
    passage, first = member.passage, place == 1
    facts = [
        f"<span>{terms.mark('d', stop=first)} <b>{numbers.fraction(member.distance)}</b></span>",
        f"<span>{terms.mark('margin', stop=first)} "
        f"<b>{numbers.fraction(member.margin, 3)}</b></span>",
    ]
    if member.runner_up >= 0 and member.margin < LOW_MARGIN:
        rival = anchor(f"region {member.runner_up}", "regions", region=member.runner_up)
        facts.append(f"<span>→ {rival}</span>")
    link = anchor(
        "document", "document", title=passage.title, document=passage.document, token=member.token,
        region=address.get("region"), place=place,
    )  # fmt: skip
    facts.append(f"<span>{escape(passage.topic)} · {link}</span>")
    text = passage_html(window(passage, 16, 10), Look(what="distance", breaks=False))
    return f'<div class="sample">{text}<div class="facts">{"".join(facts)}</div></div>'
