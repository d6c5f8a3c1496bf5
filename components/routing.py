"""The routes of the tiers: what each asks for, and the button that sends features on."""

from __future__ import annotations

from typing import Protocol

import streamlit as st

from backend.schema import Job, Thresholds, Tier, TierSpec
from backend.views import Quote, TierTable
from components import address, controls, markup, numbers
from components.experiment_form import quote_html, render_caps, render_writer
from components.links import anchor
from components.status import Desk, waiting


class RouteDesk(Desk, Protocol):
    """The part of `backend.queries` that routes."""

    def route_quote(
        self, study: str, spec: TierSpec, thresholds: Thresholds, who: str, most: int
    ) -> Quote: ...

    def route(
        self,
        study: str,
        spec: TierSpec,
        thresholds: Thresholds,
        who: str,
        most: int,
        calls: int,
        cost: float,
    ) -> Job: ...


NO_SERVER = (
    "No server is configured: set TESSERA_LLM_URL and TESSERA_LLM_MODEL, and TESSERA_LLM_KEY where "
    "it wants a key; or let the study's own model label tier 2."
)


def render_routes(desk: RouteDesk, study: str, view: TierTable, server: str) -> None:
    """Who labels what; starts the labelling of tiers 1 and 2 when told to."""
    first = view.counts[Tier.INPUT] + view.counts[Tier.OUTPUT]
    queue = anchor("Queue", "queue", **{field: address.get(field) for field in address.SORTED})
    markup.render(
        f'<p class="note">Tier 1, {numbers.count(first)} features: the commonest token at or after '
        f"the peak. Tier 2, {numbers.count(view.counts[Tier.CROSS])}: a model reads 5 excerpts. "
        f"Tier 3, {numbers.count(view.counts[Tier.OBSCURE])}: by hand, on {queue}, "
        "which counts more: one in ten is asked a second time.</p>"
    )
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        render_writer("Who labels tier 2", server, "routes")
        controls.number_input(
            "most", "Features of tier 2 (0: all)", step=50, width=180, rerun=("routes",)
        )
        render_caps("routes")
    asked = study, view.spec, view.thresholds, address.get("who"), address.get("most")
    by_server = address.get("who") == "server"
    lacks = by_server and not server
    if lacks:
        markup.note(NO_SERVER)
    else:
        _render_quote(desk.route_quote(*asked), view.counts[Tier.CROSS])
    if st.button("Label tiers 1 and 2", type="primary", key="route", disabled=lacks):
        caps = (address.get("calls"), address.get("cost")) if by_server else (0, 0.0)
        job = desk.route(*asked, *caps)
        address.put(routed=job.id)
        st.rerun(scope="fragment")
    if address.get("routed"):
        job = desk.job(address.get("routed"))
        if job.state == "done":
            markup.note("They are labelled: the labels stand in the list above.")
        else:
            waiting(job, desk, "route")


def _render_quote(found: Quote, cross: int) -> None:
    """What labelling tier 2 asks for, and why that may be of fewer features than it has."""
    markup.render(quote_html(found))
    most = address.get("most")
    if found.features < min(cross, most or cross):
        markup.note(
            f"{numbers.count(cross - found.features)} of tier 2 fire in too few contexts to be "
            "labelled."
        )
