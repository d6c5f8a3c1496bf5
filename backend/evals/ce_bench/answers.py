"""CE-Bench: what the study's SAE, and others that it lists, do on contrastive stories."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from backend.corpus import passages
from backend.corpus.views import Passage
from backend.evals.ce_bench import DEFINITIONS, EVALUATION, means, report, views
from backend.evals.ce_bench import pairs as story_pairs
from backend.evals.ce_bench import sweep as ce_sweep
from backend.evals.ce_bench.pairs import Stories
from backend.evals.ce_bench.steer import Steering, steer
from backend.evals.ce_bench.sweep import PlacedSae, own_sae, stories_key
from backend.evals.ce_bench.views import CeBench, CeSteer, CeSubject, Heat
from backend.evals.evaluation import MEASURES, Answers, measure_row
from backend.query import command_of, query
from backend.schema import ModelError, NotFoundError, PairsRef, Study, conform
from backend.store import queue
from backend.store.memo import Entry
from backend.store.rates import CHUNK, Part

# ---------------------------------------------------------------- the benchmark


def _work(_study: Study, **_which: str) -> list[Part]:
    """All of it, as long as the last time."""
    return [Part(ce_bench.entry.name, like={CHUNK: ce_sweep.EACH})]


@query(EVALUATION.title, priority=queue.LONG - 1, key=stories_key, work=_work)
def ce_bench(study: Study, pairs: str = "") -> CeBench:
    """CE-Bench in its three definitions, with nulls and a control; `pairs` is "" for Tessera's own,
    a file, or a dataset of the hub.

    Raises:
        ModelError: the study has no SAE.
        CorpusError: there are no such stories.
    """
    placed, ref = own_sae(study), story_pairs.choose(pairs)
    by_reader = ce_sweep.reports(study.model, ref, placed)
    stories, of_sae = Stories(story_pairs.read_stories(study.model, ref)), by_reader["sae"]
    sweep, missing = _listed(study, placed, ref)
    aspects = pl.concat_str("aspect1", "aspect2", separator=" / ")
    return CeBench(
        name=pairs,
        source=ref.path or "Tessera's own stories",
        subjects=tuple(stories.subjects),
        tokens=len(stories.tokens),
        counts=stories.counts,
        width=of_sae.value("width"),
        seed=ref.seed,
        scores=_of_readers(by_reader, "scores", views.SCORES),
        readers=pl.DataFrame(
            [(name, each.value("l0"), each.value("bos_l0")) for name, each in by_reader.items()],
            views.LEVELS,
            orient="row",
        ),
        halves=_of_readers(by_reader, "halves", views.HALVES),
        held_out=_of_readers(by_reader, "held", views.HELD_OUT),
        overlap=_of_readers(by_reader, "overlap", views.OVERLAP),
        pairs=conform(of_sae.frame("pairs"), views.PAIRS).join(
            stories.pairs.select("pair", aspects=aspects), on="pair", maintain_order="left"
        ),
        tops=conform(of_sae.frame("tops"), views.TOPS),
        clouds={
            d: (of_sae.array(f"{d}_contrastive"), of_sae.array(f"{d}_independent"))
            for d in DEFINITIONS
        },
        heat={
            d: Heat(tuple(of_sae.array(f"{d}_shown").tolist()), of_sae.array(f"{d}_heat"))
            for d in DEFINITIONS
        },
        sweep=sweep,
        rankings=ce_sweep.rankings(sweep),
        listed=len(study.saes),
        missing=missing,
        provenance=of_sae.provenance(command_of("ce_bench", study, pairs=pairs)),
    )


def _listed(study: Study, placed: PlacedSae, ref: PairsRef) -> tuple[pl.DataFrame, int]:
    """The sweep over the SAEs that are computed, and how many are not: `ce_sweep` asks for them."""
    listed = dict.fromkeys([placed, *study.saes])
    entries = {each: ce_sweep.find_reports(study.model, ref, each) for each in listed}
    computed = {each: both for each, both in entries.items() if both is not None}
    return ce_sweep.sweep_table(computed), len(entries) - len(computed)


def _of_readers(entries: dict[str, Entry], name: str, schema: pl.Schema) -> pl.DataFrame:
    """One table of both readers, the column `reader` first."""
    tables = (
        entry.frame(name).cast(schema).select(pl.lit(reader).alias("reader"), *schema)
        for reader, entry in entries.items()
    )
    return pl.concat(tables)


# ---------------------------------------------------------------- one subject


@query("CE-Bench: one subject", priority=queue.SHORT, key=stories_key)
def ce_subject(
    study: Study,
    subject: str = "",
    pairs: str = "",
    definition: str = "corrected",
    feature: int = -1,
) -> CeSubject:
    """The first features of a subject ("": the first one), and its stories valued by one of them
    (-1: the first).

    Raises:
        NotFoundError: there is no such subject or feature.
    """
    (site, sae), ref = own_sae(study), story_pairs.choose(pairs)
    with ce_bench.asking(study, pairs):
        entry = report.report(study.model, site, sae, ref, "sae")
        stories = Stories(story_pairs.read_stories(study.model, ref))
    subject = subject or stories.subjects[0]
    if subject not in stories.subjects or definition not in DEFINITIONS:
        raise NotFoundError(
            f"There is no subject {subject!r} by {definition!r}.",
            f"Choose one of {', '.join(stories.subjects[:20])}.",
        )
    tops = entry.frame("tops").filter(definition=definition, subject=subject)
    if feature < 0:
        feature = int(tops["feature"][0]) if len(tops) else 0
    values = _column(means.encode_stories(study.model, site, sae, ref, "sae"), feature)
    passages_by_pair = _stories_of(stories, subject, values)
    peak = max(max(passage.values, default=0.0) for both in passages_by_pair for passage in both)
    return CeSubject(
        subject, definition, feature, conform(tops, views.FIRSTS), passages_by_pair, peak
    )


def _stories_of(
    stories: Stories, subject: str, values: np.ndarray
) -> tuple[tuple[Passage, Passage], ...]:
    """Both stories of each pair of a subject; `values` [tokens] of all stories."""
    passages_by_pair = []
    for pair in np.flatnonzero(stories.subject_of == stories.subjects.index(subject)):
        bounds = stories.offsets[2 * pair : 2 * pair + 3].tolist()
        one, other = (
            passages.passage(stories.tokens, first, last, -1, values[first:last])
            for first, last in pairwise(bounds)
        )
        passages_by_pair.append((one, other))
    return tuple(passages_by_pair)


def _column(codes: Entry, feature: int) -> np.ndarray:
    """[tokens] activations of a feature."""
    width = codes.value("width")
    if not 0 <= feature < width:
        raise NotFoundError(f"There is no feature {feature}.", f"The SAE has 0 to {width - 1}.")
    offsets = codes.array("offsets")
    values = np.zeros(len(offsets) - 1)
    cells = np.flatnonzero(codes.array("features") == feature)
    # cell i lies in the token whose range of offsets holds i
    values[np.searchsorted(offsets, cells, side="right") - 1] = codes.array("values")[cells]
    return values


# ---------------------------------------------------------------- steering


@query("A steered continuation", priority=queue.SHORT, key=stories_key)
def ce_steer(
    study: Study, subject: str, prompt: str, strength: float = 0.5, pairs: str = ""
) -> CeSteer:
    """A prompt continued with features shifted towards a subject, beside controls.

    Raises:
        ModelError: there is no prompt, or the strength is no number.
        NotFoundError: there is no such subject.
    """
    (site, sae), ref, strength = own_sae(study), story_pairs.choose(pairs), float(strength)
    if not prompt.strip():
        raise ModelError("There is no prompt to continue.", "Write the beginning of a text.")
    if not np.isfinite(strength):
        raise ModelError(f"{strength} is no strength to steer with.", "Choose a number.")
    entry = steer(study.model, site, sae, ref, Steering(subject, prompt, strength))
    arguments = {"subject": subject, "prompt": prompt, "strength": strength, "pairs": pairs}
    return CeSteer(
        subject=subject,
        prompt=prompt,
        strength=strength,
        texts=conform(entry.frame("texts"), views.TEXTS),
        words=tuple(entry.value("words")),
        provenance=entry.provenance(command_of("ce_steer", study, **arguments)),
    )


# ---------------------------------------------------------------- headline numbers

# what each null of a score does; where nothing is named, second stories are shuffled
CONTROLS = {
    ("seed", "independent"): "marks moved",
    ("seed", "interpretability"): "shuffled stories, marks moved",
    ("corrected", "independent"): "shuffled subjects",
    ("corrected", "interpretability"): "shuffled stories and subjects",
}
HELD_OUT = {name: name for name in DEFINITIONS} | {
    "unmarked": "corrected, subject's words left out"
}
Row = dict[str, Any]


def measures(view: CeBench) -> pl.DataFrame:
    """`MEASURES`: scores, features on a pair held out, what opposites share, L0."""
    l0 = {"value": view.readers.filter(reader="sae")["l0"][0], "n": view.tokens}
    of_l0 = measure_row("L0 on the stories", l0, "tokens", "none")
    rows = [*_score_rows(view), *_held_out_rows(view), _overlap_row(view), of_l0]
    return pl.DataFrame(rows, MEASURES)


def _score_rows(view: CeBench) -> Iterator[Row]:
    words = {"sae": "", "random_topk": ", random directions"}
    whole = pl.col("score") == "interpretability"
    own = (pl.col("reader") == "sae") & (pl.col("definition") == "corrected")
    for row in view.scores.filter(whole | own).iter_rows(named=True):
        name = f"{row['score']} score, {row['definition']}{words[row['reader']]}"
        control = CONTROLS.get((row["definition"], row["score"]), "shuffled stories")
        control = "none" if row["null"] is None else control
        yield measure_row(name, row, "subjects", control, n=row["subjects"])


def _held_out_rows(view: CeBench) -> Iterator[Row]:
    for row in view.held_out.filter(reader="sae").iter_rows(named=True):
        name = f"feature found again on a pair held out, {HELD_OUT[row['definition']]}"
        share = {"value": row["share"], "n": row["subjects"]}
        yield measure_row(name, row, "subjects", "shuffled subjects", **share)


def _overlap_row(view: CeBench) -> Row:
    common = {row["of"]: row for row in view.overlap.filter(reader="sae").iter_rows(named=True)}
    pair, null = common["pair"], common["others"]["value"]
    name, control = "top features that opposite stories share", "stories of other subjects"
    return measure_row(name, pair, "subjects", control, n=pair["subjects"], null=null)


ANSWERS = Answers(ce_bench, measures)
