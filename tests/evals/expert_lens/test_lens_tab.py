"""The tab of ExpertLens."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from backend.evals.expert_lens import answers as expert_lens_answers
from backend.evals.expert_lens import (
    similarity,
)
from backend.evals.expert_lens.experts import TAUS
from backend.evals.expert_lens.views import ExpertLens
from backend.schema import (
    Job,
)
from backend.statistics.agreement import cosines
from components.evals.expert_lens import concept as expert_concept
from components.evals.expert_lens import sets as expert_sets
from components.evals.expert_lens import tab as page
from tests.evals.expert_lens.conftest import WHAT, compute, look


def rated(view: ExpertLens) -> ExpertLens:
    """The same with two files of ratings."""
    rng = np.random.default_rng(0)
    names = view.concepts["concept"].to_list()
    one, other = np.triu_indices(6, 1)
    rows, pairs = [], []
    for name in ("A", "B"):
        human = rng.random(len(one))
        every = [
            (m, None, cosines(rng.normal(size=(6, 3)))) for m in page.MEASURES if m != "experts"
        ]
        every += [("experts", tau, view.centred) for tau in TAUS]
        rows += [(name, *row) for row in similarity.agreements(human, one, other, every, 0)]
        table = {
            "ratings": name,
            "word": [names[i] for i in one],
            "other": [names[i] for i in other],
        }
        pairs.append(pl.DataFrame({**table, "human": human, "centred": view.centred[one, other]}))
    agreement = pl.DataFrame(rows, schema=similarity.AGREEMENT, orient="row")
    return replace(view, agreement=agreement, pairs=pl.concat(pairs))


def test_charts_show_what_they_are_given(view: ExpertLens) -> None:
    whole = rated(view)
    stop = TAUS.index(0.5)
    chart = page.agreement_chart(whole, stop)
    assert [trace.name.split(" ·")[0] for trace in chart.data] == ["A", "B"]
    shown = dict(zip(chart.layout.yaxis.ticktext, chart.data[0].x, strict=True))
    rows = page.at_tau(whole, stop).filter(ratings="A")
    assert shown["experts at τ .50 (Jaccard)"] == rows.filter(measure="experts")["rho"][0]
    assert len(chart.layout.shapes) == 13  # a null a row, and the line at 0
    assert len(page.human_chart(whole).data[0].x) == 15
    heat = expert_sets.likeness_chart(view).data[1]
    order = list(view.tree.order)
    assert heat.z[0][1] == view.centred[order[0], order[1]]
    assert np.isnan(heat.z[2][2])
    assert len(expert_sets.map_chart(view).data[0].x) == 6
    names = {
        trace.name
        for trace in expert_sets.stability_chart(view, stop).data
        if trace.showlegend is None
    }
    assert names <= set(expert_sets.NAMES_OF_PAIRS.values())
    for html in (expert_sets.again_html(view), expert_sets.chosen_html(view, stop)):
        assert "<table" in html
    assert "zebra" in expert_sets.concepts_html(view)
    assert page.agreement_html(whole, stop).count("AP of all units (cosine)</span></b>") == 2


def test_words_left_out_are_said_with_their_counts(view: ExpertLens) -> None:
    assert (
        expert_sets.left_out(view)
        == f"Left out: zebra (0 in train, 0 in test). {expert_sets.NEEDS}"
    )
    whole = expert_sets.concepts_html(view)
    assert whole.count("needs 10 sentences with it") == 2
    assert "20 sentences in each half" not in whole  # the threshold of words nobody named
    assert "20 sentences in each half" in expert_sets.selection(replace(view, named=False))


def test_of_few_concepts_nothing_is_said_of_likeness(small: str, view: ExpertLens) -> None:
    compute(small, concepts="butter, spoon, apple")
    few = look(small, "maps", "corpus", "butter, spoon, apple")
    assert few.again["measure"].to_list() == ["known"]
    assert not page.comparable(few)
    assert not expert_lens_answers.measures(few)["measure"].str.contains("likeness").any()
    assert page.comparable(view)
    assert view.again["measure"].to_list() == ["likeness", "known"]
    app = AppTest.from_function(shown, args=(few,), default_timeout=30).run()
    assert not app.exception
    assert "takes five concepts" in said_by(app)
    assert len(app.get("plotly_chart")) == 1  # stability alone


def shown(view: object) -> None:
    from components.evals.expert_lens import tab as expert_lens
    from components.shell import address

    address.begin("benchmarks")
    expert_lens.render_expert_lens(view)  # type: ignore[arg-type]


def said_by(app: AppTest) -> str:
    return " ".join(part.proto.body for part in app.get("html"))


def test_without_experts_nothing_is_said_of_them(view: ExpertLens) -> None:
    stop = len(TAUS) - 1
    whole, last = rated(view), pl.col("tau") == TAUS[stop]
    none = pl.when(last).then(float("nan")).otherwise(pl.col("rho")).alias("rho")
    empty = replace(
        whole,
        agreement=whole.agreement.with_columns(none),
        chosen=whole.chosen.with_columns(n=pl.when(last).then(0).otherwise("n")),
    )
    text = page.answer(empty, stop)
    assert text.count("by experts undefined: too few experts") == 2
    assert "permuted" not in text
    assert "–" not in text
    assert "none of the 6 concepts has one" in text
    assert page.agreement_html(empty, stop).count("undefined: too few experts") == 2
    assert len(page.agreement_chart(empty, stop).layout.shapes) == 11
    half = TAUS.index(0.5)
    assert "by experts" in page.answer(empty, half)
    n = empty.chosen["n"][half]
    assert f"({n} of 6 concepts have any)" in page.answer(empty, half)


def test_the_rho_that_is_said_can_be_had_from_the_download(view: ExpertLens) -> None:
    whole, stop = rated(view), TAUS.index(0.4)
    pairs = page.tables(whole, stop)["pairs"]
    names = view.concepts["concept"].to_list()
    first = pairs.row(0, named=True)
    ends = names.index(first["word"]), names.index(first["other"])
    assert first["experts at 0.4"] == np.nan_to_num(view.experts[stop])[ends]


def test_an_address_says_what_is_shown(view: ExpertLens) -> None:
    app = AppTest.from_function(shown, args=(view,), default_timeout=30)
    app.query_params["tau"] = "0.52"
    app.run()
    assert not app.exception
    assert "tau" not in app.query_params  # .5, the default
    app = AppTest.from_function(shown, args=(view,), default_timeout=30)
    app.query_params["tau"] = "0.62"
    app.run()
    assert app.query_params["tau"] in ("0.6", ["0.6"])

    def picked(concepts: list[str]) -> None:
        from components.evals.expert_lens import concept as expert_concept
        from components.shell import address

        address.begin("benchmarks")
        expert_concept.render_pick(concepts)

    one = AppTest.from_function(picked, args=(["cat", "dog"],), default_timeout=30)
    one.query_params["concept"] = "zzz"
    one.run()
    assert "none of the concepts" in said_by(one)
    assert one.query_params["concept"] in ("cat", ["cat"])


def test_the_charts_of_a_concept(small: str, view: ExpertLens) -> None:
    answer = expert_lens_answers.expert_concept(small, "apple", *WHAT)
    assert not isinstance(answer, Job)
    chart = expert_concept.ap_chart(answer, 3)
    assert [trace.name for trace in chart.data] == ["train", "test", "shuffled labels"]
    assert np.nansum(chart.data[0].y) == pytest.approx(answer.width)
    heat = expert_concept.heat_chart(answer, 3).data[0]
    assert np.array_equal(heat.z, answer.heat[3].T)
    assert expert_concept.sizes_chart(answer, 3).data[0].y[0] == answer.sizes["experts"][0]
    assert "down_proj" in expert_concept.top_html(answer) or "_proj" in expert_concept.top_html(
        answer
    )
    assert expert_concept.texts_html(answer).count("<tr>") == 17
