"""ExpertLens: which units know a concept, and are concepts alike to them as to people?"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from backend import run
from backend.evals.evaluation import MEASURES, Answers, measure_row
from backend.evals.expert_lens import EVALUATION, experts, summaries, views
from backend.evals.expert_lens.experts import TAUS
from backend.evals.expert_lens.results import (
    SEED,
    ExpertResults,
    Setup,
    compare_halves,
    compare_likeness,
    expert_results,
    find_results,
    other_source,
    parse_setup,
    setup_key,
    shared_words,
)
from backend.evals.expert_lens.views import LEAST_ALIKE, ExpertConcept, ExpertLens
from backend.models import linear_maps
from backend.query import command_of, query
from backend.schema import NotFoundError, Study, conform
from backend.store import queue
from backend.store.memo import Entry
from backend.study import loading as studies

SHOWN = 4  # sentences of a kind


# ---------------------------------------------------------------- all concepts


@query(EVALUATION.title, priority=queue.LONG - 1, key=setup_key)
def expert_lens(
    study: Study, units: str = "maps", sentences: str = "corpus", concepts: str = ""
) -> ExpertLens:
    """Units (of every linear map, or an SAE's features) that know a concept, and whether concepts
    are as alike by their experts as people find them.

    Raises:
        TesseraError: there is no such choice, or there are too many concepts.
        ModelError: features are asked for and the study has no SAE.
    """
    results = expert_results(parse_setup(study, units, sentences, concepts))
    likeness, selected = results.likeness, results.selected
    across_sources, likeness_elsewhere = _across_sources(results)
    return ExpertLens(
        units=units,
        sentences=sentences,
        width=len(next(iter(results.concepts.values())).array("train")),
        taus=TAUS,
        concepts=_concepts(results),
        refused=conform(selected.frame("refused"), views.REFUSED),
        named=bool(results.setup.concepts),
        looked=selected.value("rated"),
        often=selected.value("often"),
        agreement=conform(results.agreement.frame("agreement"), views.AGREEMENT),
        pairs=conform(results.agreement.frame("pairs"), views.PAIRS),
        centred=np.asarray(likeness.array("centred")),
        experts=np.asarray(likeness.array("experts")),
        tree=summaries.tree(np.asarray(likeness.array("centred"))),
        stability=summaries.stability(likeness),
        chosen=summaries.expert_counts(likeness, list(results.concepts.values())),
        again=enough(pl.concat([results.repeated.frame("again"), likeness_elsewhere])),
        elsewhere=across_sources,
        seed=SEED,
        provenance=likeness.provenance(_command("expert_lens", results.setup)),
    )


def enough(table: pl.DataFrame) -> pl.DataFrame:
    """`RECOVERY` without the likeness of too few concepts."""
    return table.filter((pl.col("measure") == "known") | (pl.col("n") >= LEAST_ALIKE))


def _command(query: str, setup: Setup, **options: str) -> str:
    choice = {"units": setup.units, "sentences": setup.sentences}
    concepts = ", ".join(setup.concepts)
    return command_of(query, setup.study, **choice, concepts=concepts, **options)


def _concepts(results: ExpertResults) -> pl.DataFrame:
    """Every concept with the unit that is best on train, and its AP on train and test."""
    best_units = results.likeness.array("best").tolist()
    rows = [
        (unit, float(entry.array("train")[unit]), float(entry.array("test")[unit]))
        for entry, unit in zip(results.concepts.values(), best_units, strict=True)
    ]
    best = pl.DataFrame(rows, schema=["best", "train", "test"], orient="row")
    return conform(
        pl.concat([results.selected.frame("concepts"), best], how="horizontal"), views.CONCEPTS
    )


def _across_sources(results: ExpertResults) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`STABILITY` between this source of sentences (train) and the other (test), and the
    row of `RECOVERY`; empty where the other is not computed."""
    other = other_source(results)
    if other is not None:
        # computing this one, what the tab of the other source shows is computed too
        for one, two in ((other, results), (results, other)):
            halves = run.optional(compare_halves, one, two)
            agreement = run.optional(compare_likeness, one, two)
        if halves and agreement:
            return summaries.stability(halves), agreement.frame("again")
    return pl.DataFrame(schema=views.STABILITY), pl.DataFrame(schema=views.RECOVERY)


@query("ExpertLens: two studies compared", priority=queue.SHORT)
def experts_between(
    study: Study,
    other: str,
    units: str = "maps",
    sentences: str = "corpus",
    concepts: str = "",
) -> pl.DataFrame | None:
    """A row of headline numbers (`MEASURES`, and `null_low`, `null_high`): is the likeness of
    concepts that of another study? On the concepts that both have; None where one is not computed,
    or they share fewer than `LEAST_ALIKE`."""
    first, second = (
        find_results(parse_setup(each, units, sentences, concepts))
        for each in (study, studies.load(other))
    )
    if first is None or second is None or len(shared_words(first, second)) < LEAST_ALIKE:
        return None
    return (
        compare_likeness(first, second)
        .frame("again")
        .with_columns(
            measure=pl.lit("likeness of concepts, one study with the other (ρ)"),
            n_of=pl.lit("concepts"),
            control=pl.lit("concepts permuted"),
        )
    )


# ---------------------------------------------------------------- one concept


@query("ExpertLens: one concept", priority=queue.SHORT, key=setup_key)
def expert_concept(
    study: Study,
    concept: str = "",
    units: str = "maps",
    sentences: str = "corpus",
    concepts: str = "",
) -> ExpertConcept:
    """The experts of one concept; "" is the first.

    Raises:
        NotFoundError: it is none of the concepts.
    """
    with expert_lens.asking(study, units, sentences, concepts):
        results = expert_results(parse_setup(study, units, sentences, concepts))
    word = concept or results.words[0]
    if word not in results.concepts:
        close = difflib.get_close_matches(word, results.words, 5) or results.words[:5]
        raise NotFoundError(f"{word!r} is none of the concepts.", f"Close: {', '.join(close)}.")
    return _concept(results, word)


def _concept(results: ExpertResults, word: str) -> ExpertConcept:
    entry, maps = results.concepts[word], _maps(results.setup)
    train, test = (np.asarray(entry.array(half)) for half in ("train", "test"))
    concepts = results.selected.frame("concepts")
    row = concepts.row(by_predicate=pl.col("concept") == word, named=True)
    layers, modules, heat = summaries.expert_shares(train, maps)
    low, high = entry.array("null_ends").tolist()
    return ExpertConcept(
        concept=word,
        units=results.setup.units,
        width=len(train),
        positives=row["positives"],
        negatives=row["negatives"],
        taus=TAUS,
        top=summaries.top(train, test, maps),
        bins=np.stack([experts.bins(train), experts.bins(test)]),
        null_bins=np.asarray(entry.array("null_bins")),
        null_ends=(low, high),
        null_best=tuple(entry.array("null_best").tolist()),
        layers=layers,
        modules=modules,
        heat=heat,
        sizes=summaries.sizes(train, test, np.asarray(entry.array("null_above"))),
        texts=_texts(results.selected, word),
        provenance=entry.provenance(_command("expert_concept", results.setup, concept=word)),
    )


def _maps(setup: Setup) -> pl.DataFrame:
    """`linear_maps.MAPS`; features are one map at their site."""
    if setup.units == "maps":
        return linear_maps.maps(setup.study.model).frame("maps")
    return pl.DataFrame(
        [(setup.study.site.layer, "feature", 0, 0)], schema=linear_maps.MAPS, orient="row"
    )


def _texts(selected: Entry, word: str) -> pl.DataFrame:
    """A few sentences of each half and kind."""
    positives = selected.frame("positives").filter(concept=word)
    negatives = selected.frame("negatives").filter(concept=word)
    texts = selected.frame("pool")["text"].gather(negatives["row"])
    both = [
        positives.select("half", "text", positive=True),
        negatives.select("half", text=texts, positive=False),
    ]
    of_kind = pl.concat(both).group_by("positive", "half", maintain_order=True)
    return conform(of_kind.head(SHOWN), views.TEXTS)


# ---------------------------------------------------------------- headline numbers


WORDS = {
    "experts": "likeness by experts at τ = .5",
    "cosine": "likeness by AP of all units",
    "embedder": "sentence embedder",
    "inputs": "input embeddings",
}
REPEATED = {
    "likeness": ("likeness of concepts, one half with the other (ρ)", "concepts permuted"),
    "known": ("concepts known again by their experts", "chance"),
    "elsewhere": ("likeness of concepts, other sentences (ρ)", "concepts permuted"),
}
Row = dict[str, Any]


def measures(view: ExpertLens) -> pl.DataFrame:
    """`MEASURES`: agreement with people, experts on the other half, likeness again; at τ = .5."""
    rows = [*_agreement_rows(view), *_expert_rows(view)]
    for row in view.again.iter_rows(named=True):
        name, control = REPEATED[row["measure"]]
        rows.append(measure_row(name, row, "concepts", control))
    return pl.DataFrame(rows, MEASURES)


def _agreement_rows(view: ExpertLens) -> Iterator[Row]:
    at_half = pl.col("tau").is_null() | (pl.col("tau") == 0.5)
    rows_at_half = view.agreement.filter(pl.col("measure").is_in(list(WORDS)) & at_half)
    for row in rows_at_half.iter_rows(named=True):
        undefined = row["rho"] is None or np.isnan(row["rho"])
        name = f"{WORDS[row['measure']]}, with people, {row['ratings']} (ρ)"
        rho = {"value": None, "null": None}
        if not undefined:
            rho = {"value": row["rho"], "null": row["null_high"]}
        yield measure_row(name, row, "pairs", "words permuted, 97.5%", **rho)


def _expert_rows(view: ExpertLens) -> list[Row]:
    stability = view.stability.filter(pl.col("tau") == 0.5).iter_rows(named=True)
    at_half = {row["of"]: row for row in stability}
    same, other = at_half["same"], at_half["other"]["value"]
    counts = view.chosen.row(by_predicate=pl.col("tau") == 0.5, named=True)
    name = "experts shared by both halves at τ = .5 (Jaccard)"
    in_both = measure_row(name, same, "concepts", "other concepts", null=other)
    name = "experts at τ = .5 that are so on test"
    on_test = measure_row(name, counts, "concepts", "shuffled labels", value=counts["kept"])
    return [in_both, on_test]


ANSWERS = Answers(expert_lens, measures, experts_between)
