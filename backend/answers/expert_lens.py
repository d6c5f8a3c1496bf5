"""ExpertLens: which units know a concept, and are concepts alike to them as to people?"""

from __future__ import annotations

import difflib
import shlex

import numpy as np
import polars as pl

from backend.answers import provenance
from backend.answers.expert_runs import (
    SEED,
    Asked,
    Held,
    asked,
    compute,
    crossing,
    find,
    held,
    shared_entries,
    shared_rows,
    shared_words,
)
from backend.eval_views.expert_lens import LEAST_ALIKE, ExpertConcept, ExpertLens
from backend.evals.expert_lens import experts, similarity, summaries
from backend.evals.expert_lens.experts import TAUS
from backend.models import linear_maps
from backend.schema import Job, NotFoundError, Progress, Study
from backend.store.memo import Entry

__all__ = ["between", "compute", "expert_concept", "expert_lens", "measures"]

SHOWN = 4  # sentences of a kind
MEASURES = pl.Schema(
    {"measure": pl.String, "value": pl.Float64, "low": pl.Float64, "high": pl.Float64,
     "n": pl.Int64, "n_of": pl.String, "null": pl.Float64, "control": pl.String}
)  # fmt: skip


# ---------------------------------------------------------------- all concepts


def expert_lens(
    study: Study, units: str, sentences: str, concepts: str, ask: bool
) -> ExpertLens | Job | None:
    """None where it is not computed and nobody asks for it."""
    found = held(asked(study, units, sentences, concepts), ask)
    return _view(found) if isinstance(found, Held) else found


def _view(run: Held) -> ExpertLens:
    compared, selected = run.compared, run.selected
    elsewhere, alike = _elsewhere(run)
    return ExpertLens(
        units=run.asked.units,
        sentences=run.asked.sentences,
        width=len(next(iter(run.found.values())).array("train")),
        taus=TAUS,
        concepts=_concepts(run),
        refused=selected.frame("refused"),
        named=bool(run.asked.concepts),
        looked=selected.value("rated"),
        often=selected.value("often"),
        agreement=run.agreement.frame("agreement"),
        pairs=run.agreement.frame("pairs"),
        centred=np.asarray(compared.array("centred")),
        experts=np.asarray(compared.array("experts")),
        tree=summaries.tree(np.asarray(compared.array("centred"))),
        stability=summaries.stability(compared),
        chosen=summaries.chosen(compared, list(run.found.values())),
        again=enough(pl.concat([run.again.frame("again"), alike])),
        elsewhere=elsewhere,
        seed=SEED,
        provenance=provenance.of(compared, f"expert_lens {_said(run)}"),
    )


def enough(again: pl.DataFrame) -> pl.DataFrame:
    """`summaries.AGAIN` without the likeness of too few concepts."""
    return again.filter((pl.col("measure") == "known") | (pl.col("n") >= LEAST_ALIKE))


def _said(run: Held) -> str:
    """The arguments that ask for a run."""
    what = run.asked
    said = f"--study {what.study.name} --units {what.units} --sentences {what.sentences}"
    return said + (f" --concepts {shlex.quote(', '.join(what.concepts))}" if what.concepts else "")


def _concepts(run: Held) -> pl.DataFrame:
    rows = []
    for entry, best in zip(run.found.values(), run.compared.array("best").tolist(), strict=True):
        rows.append((best, float(entry.array("train")[best]), float(entry.array("test")[best])))
    best = pl.DataFrame(rows, schema=["best", "train", "test"], orient="row")
    return pl.concat([run.selected.frame("concepts").drop("digest"), best], how="horizontal")


def _elsewhere(run: Held) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`stability` between this source of sentences (train) and the other (test), and the row of
    `again`; empty where the other is not computed."""
    other = crossing(run)
    if other is not None:
        found = similarity.compared.find(*shared_entries(run, other))
        alike = summaries.alike.find(*shared_rows(run, other), SEED)
        if found and alike:
            return summaries.stability(found), alike.frame("again")
    return pl.DataFrame(schema=summaries.STABILITY), pl.DataFrame(schema=summaries.AGAIN)


def between(
    study: Study, other: Study, units: str, sentences: str, concepts: str
) -> pl.DataFrame | None:
    """`summaries.AGAIN`, a row: is the likeness of concepts that of another study? On the concepts
    that both have; None where one is not computed, or they share fewer than `LEAST_ALIKE`."""
    first, second = (find(asked(each, units, sentences, concepts)) for each in (study, other))
    if first is None or second is None or len(shared_words(first, second)) < LEAST_ALIKE:
        return None
    rows = shared_rows(first, second)
    return summaries.alike(*rows, SEED, progress=Progress()).frame("again")


# ---------------------------------------------------------------- one concept


def expert_concept(
    study: Study, units: str, sentences: str, concepts: str, concept: str
) -> ExpertConcept | Job:
    """The experts of one concept; "" is the first.

    Raises:
        NotFoundError: it is none of the concepts.
    """
    found = held(asked(study, units, sentences, concepts), True)
    if not isinstance(found, Held):
        assert found is not None  # it was asked for
        return found
    word = concept or found.words[0]
    if word not in found.found:
        close = difflib.get_close_matches(word, found.words, 5) or found.words[:5]
        raise NotFoundError(f"{word!r} is none of the concepts.", f"Close: {', '.join(close)}.")
    return _concept(found, word)


def _concept(run: Held, word: str) -> ExpertConcept:
    entry, maps = run.found[word], _maps(run.asked)
    train, test = (np.asarray(entry.array(half)) for half in ("train", "test"))
    row = run.selected.frame("concepts").row(by_predicate=pl.col("concept") == word, named=True)
    layers, modules, heat = summaries.heat_of(train, maps)
    low, high = entry.array("null_ends").tolist()
    return ExpertConcept(
        concept=word,
        units=run.asked.units,
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
        texts=_texts(run.selected, word),
        provenance=provenance.of(
            entry, f"expert_concept {_said(run)} --concept {shlex.quote(word)}"
        ),
    )


def _maps(what: Asked) -> pl.DataFrame:
    """`linear_maps.MAPS`; features are one map at their site."""
    if what.units == "maps":
        return linear_maps.maps.get(what.study.model).frame("maps")
    return pl.DataFrame(
        [(what.study.site.layer, "feature", 0, 0)], schema=linear_maps.MAPS, orient="row"
    )


def _texts(selected: Entry, word: str) -> pl.DataFrame:
    """A few sentences of each half and kind."""
    positives = selected.frame("positives").filter(pl.col("concept") == word)
    rows = selected.frame("negatives").filter(pl.col("concept") == word)
    negatives = rows.select(
        "half", selected.frame("pool")["text"].gather(rows["row"]).alias("text")
    )
    parts = [positives.select("half", "text"), negatives]
    return pl.concat(
        part.group_by("half", maintain_order=True).head(SHOWN).with_columns(positive=pl.lit(said))
        for part, said in zip(parts, (True, False), strict=True)
    )


# ---------------------------------------------------------------- headline numbers


def measures(view: ExpertLens) -> pl.DataFrame:
    """The numbers that studies are compared by, at τ = .5."""
    rows = []
    words = {"experts": "likeness by experts at τ = .5", "cosine": "likeness by AP of all units",
             "embedder": "sentence embedder", "inputs": "input embeddings"}  # fmt: skip
    at_half = pl.col("tau").is_null() | (pl.col("tau") == 0.5)
    shown = view.agreement.filter(pl.col("measure").is_in(list(words)) & at_half)
    for row in shown.iter_rows(named=True):
        undefined = row["rho"] is None or np.isnan(row["rho"])
        null = None if undefined else row["null_high"]
        said = f"{words[row['measure']]}, with people, {row['ratings']} (ρ)"
        ends = None if undefined else row["rho"], row["low"], row["high"], row["n"]
        rows.append((said, *ends, "pairs", null, "words permuted, 97.5%"))
    half = {
        row["of"]: row for row in view.stability.filter(pl.col("tau") == 0.5).iter_rows(named=True)
    }
    same = half["same"]
    rows.append(
        ("experts shared by both halves at τ = .5 (Jaccard)", same["value"], same["low"],
         same["high"], same["n"], "concepts", half["other"]["value"], "other concepts")
    )  # fmt: skip
    chosen = view.chosen.row(by_predicate=pl.col("tau") == 0.5, named=True)
    rows.append(
        ("experts at τ = .5 that are so on test", chosen["kept"], chosen["low"], chosen["high"],
         chosen["n"], "concepts", chosen["null"], "shuffled labels")
    )  # fmt: skip
    names = {
        "likeness": ("likeness of concepts, one half with the other (ρ)", "concepts permuted"),
        "known": ("concepts known again by their experts", "chance"),
        "elsewhere": ("likeness of concepts, other sentences (ρ)", "concepts permuted"),
    }
    for row in view.again.iter_rows(named=True):
        said, control = names[row["measure"]]
        ends = row["value"], row["low"], row["high"], row["n"]
        rows.append((said, *ends, "concepts", row["null"], control))
    return pl.DataFrame(rows, schema=MEASURES, orient="row")
