"""Experiment: methods that label features, side by side, judged on what they have not seen."""

from __future__ import annotations

import streamlit as st

from backend import queries
from components.experiments import files as experiment_files
from components.experiments import form as experiment_form
from components.experiments import results as experiment_results
from components.experiments import runs as experiment_runs
from components.experiments.form import FORM
from components.shell import address, markup
from components.shell.footer import render_footer
from components.shell.frame import frame
from components.shell.status import render_empty, render_estimate, reported, waiting

place = frame("Experiment", queries)


@st.fragment(key=FORM)
def show_form() -> None:
    with reported():
        experiment_form.render_form(queries.label_methods(), queries.server())
        among = experiment_form.among(queries, place.study)
        if among is None:
            return
        plan, who = experiment_form.plan(among), address.get("who")
        markup.render(experiment_form.quote_html(queries.estimate_cost(place.study, plan, who)))
        render_estimate(queries.run_experiment, place.study, plan, who)
        if st.button("Start", type="primary", key="start"):
            limits = address.get("calls"), address.get("cost")
            run = queries.start_experiment(place.study, plan, who, *limits)
            address.put(run=run)
            st.rerun()


with reported():
    runs = queries.experiments(place.study)
    opened = address.get("run") or (runs[0].run if runs else "")
    bar = st.container(horizontal=True, gap="small", key="runs", vertical_alignment="center")
    with bar:
        if runs:
            address.assume(run=opened)
            experiment_runs.render_runs(runs, opened)
        experiment_files.render_import(queries)
    with st.expander("New experiment", expanded=not runs or bool(address.get("only")), key="new"):
        show_form()
    if not opened:
        render_empty("No experiment was made yet.", "Choose above what to compare, and start it.")
        st.stop()
    view = queries.experiment(place.study, opened)
    if waiting(view, queries, "experiment"):
        markup.render(experiment_runs.compare_html(opened))
    else:
        with bar:  # it may have ended after the list was read
            experiment_files.render_export(queries, place.study, opened)
        measure = address.get("measure")
        markup.render(experiment_results.answer_html(view, measure))
        if len(view.known):
            markup.render(experiment_results.known_html(view))
        experiment_results.render_measures()
        experiment_results.render_means(view)
        markup.head("Labels against their shuffled control", "the same, given to another feature")
        markup.render(experiment_results.gains_html(view, measure))
        markup.head("Differences between methods")
        markup.render(experiment_results.differences_html(view, measure))
        if len(view.controls):
            markup.head("What the verbalizer carries")
            if experiment_results.carries_nothing(view):
                markup.render(experiment_results.finding_html(*experiment_results.NOTHING_CARRIED))
            markup.render(experiment_results.controls_html(view))
        if len(view.distances):
            markup.head("Labels farthest apart")
            markup.render(experiment_results.distances_html(view))
        if view.labels["failed"].ne("").any():
            markup.head("Failures")
            markup.render(experiment_results.failures_html(view))
        experiment_results.render_plan(view, queries.label_methods())
        render_footer(experiment_results.downloads_of(view), view.provenance, "experiment")
