"""The routes of the tiers: what each asks for, and the button that sends features on."""

from __future__ import annotations

import polars as pl
import streamlit as st

from backend.experiments.views import Quote
from backend.schema import Job, Tier
from backend.tiers.views import TierTable
from backend.tiers.words import RoutePlan
from components.experiments.form import quote_html, render_caps, render_writer
from components.shell import address, controls, markup, numbers
from components.shell.links import anchor
from components.shell.status import Desk, render_estimate, waiting

LABELLED = "all"  # instead of a job, where all was labelled before
NO_SERVER = (
    "No server is configured: set TESSERA_LLM_URL and TESSERA_LLM_MODEL, and TESSERA_LLM_KEY where "
    "it wants a key; or let the study's own model label tier 2."
)


def render_routes(desk: Desk, study: str, view: TierTable, server: str) -> None:
    """Who labels what; starts the labelling of tiers 1 and 2 when told to."""
    markup.head("Routes", "each tier to the cheapest method")
    inward, outward, cross, obscure = (numbers.count(view.counts[t.title]) for t in tuple(Tier)[1:])
    queue = anchor("Queue", "queue", **{field: address.get(field) for field in address.SORTED})
    markup.render(
        f'<p class="note">Tier 1: {inward} input features are called by the commonest token at or '
        f"before the peak, {outward} output features by the commonest after it; where no two "
        f"excerpts share one there is no label. Tier 2, {cross}: a model reads 5 excerpts. "
        f"Tier 3, {obscure}: by hand, on {queue}, "
        "which counts more: one in ten is asked a second time.</p>"
    )
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        render_writer("Who labels tier 2", server, "routes")
        controls.number_input(
            "most", "Features of tier 2 (0: all)", step=50, width=180, rerun=("routes",)
        )
        render_caps("routes")
    plan = chosen_plan()
    lacks_server = plan.who == "server" and not server
    if lacks_server:
        markup.note(NO_SERVER)
    else:
        quote: Quote = desk.estimate_route_cost(study, view.spec, view.thresholds, plan)
        _render_quote(quote, view.counts[Tier.CROSS.title])
        render_estimate(desk.route, study, view.spec, view.thresholds, plan)
    if st.button("Label tiers 1 and 2", type="primary", key="route", disabled=lacks_server):
        answer: pl.DataFrame | Job = desk.route(study, view.spec, view.thresholds, plan)
        address.put(routed=answer.id if isinstance(answer, Job) else LABELLED)
        st.rerun(scope="fragment")
    _render_routed(desk, address.get("routed"))


def chosen_plan() -> RoutePlan:
    """What the controls say; only a server's calls have limits."""
    who, most = address.get("who"), address.get("most")
    if who == "server":
        return RoutePlan(who, most, address.get("calls"), address.get("cost"))
    return RoutePlan(who, most)


def _render_routed(desk: Desk, routed: str) -> None:
    """What became of the labels that were asked for last."""
    job: Job | None = desk.job(routed) if routed not in ("", LABELLED) else None
    if routed == LABELLED or (job and job.state == "done"):
        markup.note("They are labelled: the labels stand in the list above.")
    elif job:
        waiting(job, desk, "route")


def _render_quote(quote: Quote, cross: int) -> None:
    """What labelling tier 2 asks for, and why that may be of fewer features than it has."""
    markup.render(quote_html(quote))
    most = address.get("most")
    if quote.features < min(cross, most or cross):
        markup.note(
            f"{numbers.count(cross - quote.features)} of tier 2 fire in too few contexts to be "
            "labelled."
        )
