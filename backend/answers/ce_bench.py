"""CE-Bench: what the study's SAE, and others that it lists, do on contrastive stories."""

from __future__ import annotations

import shlex
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from backend.answers import passages, provenance, tasks
from backend.answers.ce_sweep import own, rankings, reports, sweep_of
from backend.eval_views.ce_bench import CeBench, CeSteer, CeSubject, Heat
from backend.evals.ce_bench import means, pairs, report
from backend.evals.ce_bench import steer as steering
from backend.evals.ce_bench.definitions import DEFINITIONS
from backend.evals.ce_bench.means import READERS
from backend.evals.ce_bench.pairs import Stories
from backend.schema import Job, ModelError, NotFoundError, PairsRef, SaeRef, Site, Study
from backend.store.memo import Entry

# ---------------------------------------------------------------- jobs


def compute(request: tasks.Request) -> None:
    """What the job does: the study's SAE and its control on a set of `pairs`; with `sweep` those
    that the study lists too, with `saes` (layer, source, revision) these instead."""
    ref = pairs.choose(request.asked.get("pairs", ""))
    if "saes" in request.asked:
        listed = [(Site(at), SaeRef(source, rev)) for at, source, rev in request.asked["saes"]]
    else:
        more = request.study.saes if request.asked.get("sweep") else ()
        listed = [(request.study.site, request.sae), *more]
    for site, sae in dict.fromkeys(listed):
        for reader in READERS:
            request.run(report.report, request.study.model, site, sae, ref, reader)


def steer(request: tasks.Request) -> None:
    """What the job does: continuations of a prompt."""
    ref = pairs.choose(request.asked.get("pairs", ""))
    names = ("subject", "prompt", "strength")
    asked = (request.asked[name] for name in names)
    request.run(steering.steer, request.study.model, request.study.site, request.sae, ref, *asked)


# ---------------------------------------------------------------- the benchmark


def ce_bench(study: Study, name: str = "", ask: bool = True) -> CeBench | Job | None:
    """None where it is not computed and nobody asks for it. `name` as in `pairs.choose`.

    Raises:
        ModelError: the study has no SAE.
        CorpusError: there are no such stories.
    """
    at, ref = own(study), pairs.choose(name)
    found = reports(study, at, ref)
    if found is None:
        key = report.report.digest(study.model, *at, ref, READERS[-1])
        return tasks.ensure("ce_bench", study, key, pairs=name) if ask else None
    stories, sae = Stories(pairs.read.get(study.model, ref)), found["sae"]
    sweep, missing = sweep_of(study, [at, *study.saes], ref)
    named = stories.pairs.select(
        "pair", aspects=pl.concat_str("aspect1", "aspect2", separator=" / ")
    )
    return CeBench(
        name=name,
        said=_said(ref),
        subjects=tuple(stories.subjects),
        tokens=len(stories.tokens),
        counts=stories.counts,
        width=sae.value("width"),
        seed=ref.seed,
        scores=_both(found, "scores"),
        readers=pl.DataFrame(
            [
                {"reader": r, "l0": e.value("l0"), "bos_l0": e.value("bos_l0")}
                for r, e in found.items()
            ]
        ),
        halves=_both(found, "halves"),
        held=_both(found, "held"),
        overlap=_both(found, "overlap"),
        pairs=sae.frame("pairs").join(named, on="pair", maintain_order="left"),
        tops=sae.frame("tops"),
        clouds={
            d: (sae.array(f"{d}_contrastive"), sae.array(f"{d}_independent")) for d in DEFINITIONS
        },
        heat={
            d: Heat(tuple(sae.array(f"{d}_shown").tolist()), sae.array(f"{d}_heat"))
            for d in DEFINITIONS
        },
        sweep=sweep,
        rankings=rankings(sweep),
        listed=len(study.saes),
        missing=missing,
        provenance=provenance.of(sae, _command("ce_bench", study, pairs=name)),
    )


def _command(query: str, study: Study, **given: str) -> str:
    said = [f"--{name} {shlex.quote(value)}" for name, value in given.items() if value]
    return " ".join([f"{query} --study {study.name}", *said])


def _said(ref: PairsRef) -> str:
    return {"own": "Tessera's own stories", "file": ref.path, "hub": ref.path}[ref.kind]


def _both(found: dict[str, Entry], table: str) -> pl.DataFrame:
    parts = [e.frame(table).select(pl.lit(r).alias("reader"), pl.all()) for r, e in found.items()]
    return pl.concat(parts, how="vertical_relaxed")


# ---------------------------------------------------------------- one subject, and steering


def ce_subject(
    study: Study,
    name: str = "",
    subject: str = "",
    definition: str = "corrected",
    feature: int = -1,
) -> CeSubject:
    """The first features of a subject ("": the first one), and its stories valued by one of them
    (-1: the first).

    Raises:
        NotFoundError: there is no such subject or feature, or nothing is computed.
    """
    (site, sae), ref = own(study), pairs.choose(name)
    entry = report.report.get(study.model, site, sae, ref, "sae")
    stories = Stories(pairs.read.get(study.model, ref))
    subject = subject or stories.subjects[0]
    if subject not in stories.subjects or definition not in DEFINITIONS:
        raise NotFoundError(
            f"There is no subject {subject!r} by {definition!r}.",
            f"Choose one of {', '.join(stories.subjects[:20])}.",
        )
    tops = entry.frame("tops").filter(definition=definition, subject=subject)
    if feature < 0:
        feature = int(tops["feature"][0]) if len(tops) else 0
    values = _column(means.coded.get(study.model, site, sae, ref, "sae"), feature)
    shown = []
    for pair in np.flatnonzero(stories.subject_of == stories.subjects.index(subject)):
        bounds = stories.offsets[2 * pair : 2 * pair + 3].tolist()
        one, other = (
            passages.passage(stories.tokens, first, last, -1, values[first:last])
            for first, last in pairwise(bounds)
        )
        shown.append((one, other))
    peak = max(max(p.values, default=0.0) for both in shown for p in both)
    columns = ("rank", "feature", "independent", "contrastive", "above")
    return CeSubject(subject, definition, feature, tops.select(columns), tuple(shown), peak)


def _column(codes: Entry, feature: int) -> np.ndarray:
    """[tokens] activations of a feature."""
    width = codes.value("width")
    if not 0 <= feature < width:
        raise NotFoundError(f"There is no feature {feature}.", f"The SAE has 0 to {width - 1}.")
    offsets = codes.array("offsets")
    values = np.zeros(len(offsets) - 1)
    at = np.flatnonzero(codes.array("features") == feature)
    values[np.searchsorted(offsets, at, side="right") - 1] = codes.array("values")[at]
    return values


def ce_steer(
    study: Study, name: str = "", subject: str = "", prompt: str = "", strength: float = 0.5,
    ask: bool = True,
) -> CeSteer | Job | None:  # fmt: skip
    """A prompt continued with features shifted towards a subject; None as in `ce_bench`."""
    (site, sae), ref = own(study), pairs.choose(name)
    if not prompt.strip():
        raise ModelError("There is no prompt to continue.", "Write the beginning of a text.")
    if not np.isfinite(strength):
        raise ModelError(f"{strength} is no strength to steer with.", "Choose a number.")
    where = study.model, site, sae, ref, subject, prompt, float(strength)
    entry = steering.steer.find(*where)
    if entry is None:
        asked = {"pairs": name, "subject": subject, "prompt": prompt, "strength": float(strength)}
        return (
            tasks.ensure("ce_steer", study, steering.steer.digest(*where), **asked) if ask else None
        )
    made = provenance.of(
        entry,
        _command(
            "ce_steer", study, subject=subject, prompt=prompt, strength=f"{strength:g}", pairs=name
        ),
    )
    words = tuple(entry.value("words"))
    return CeSteer(subject, prompt, float(strength), entry.frame("texts"), words, made)


# ---------------------------------------------------------------- headline numbers

CONTROLS = {
    ("seed", "independent"): "marks moved",
    ("seed", "interpretability"): "stories dealt, marks moved",
    ("corrected", "independent"): "subjects dealt at random",
    ("corrected", "interpretability"): "stories and subjects dealt",
}

FOUND = {name: name for name in DEFINITIONS} | {"unmarked": "corrected, subject's words left out"}


def measures(view: CeBench) -> pl.DataFrame:
    """measure, value, low, high, n, n_of, null, control: the headline numbers."""
    rows: list[tuple[Any, ...]] = []
    words = {"sae": "", "random_topk": ", random directions"}
    whole = pl.col("score") == "interpretability"
    own = (pl.col("reader") == "sae") & (pl.col("definition") == "corrected")
    for row in view.scores.filter(whole | own).iter_rows(named=True):
        control = CONTROLS.get((row["definition"], row["score"]), "stories dealt to other pairs")
        rows.append(
            (
                f"{row['score']} score, {row['definition']}{words[row['reader']]}", row["value"],
                row["low"], row["high"], row["subjects"], "subjects", row["null"],
                control if row["null"] is not None else "none",
            )
        )  # fmt: skip
    for row in view.held.filter(reader="sae").iter_rows(named=True):
        rows.append(
            (
                f"feature found again on a pair held out, {FOUND[row['definition']]}", row["share"],
                row["low"], row["high"], row["subjects"], "subjects", row["null"],
                "subjects dealt at random",
            )
        )  # fmt: skip
    common = {r["of"]: r for r in view.overlap.filter(reader="sae").iter_rows(named=True)}
    pair = common["pair"]
    rows.append(
        (
            "top features that opposite stories share", pair["value"], pair["low"], pair["high"],
            pair["subjects"], "subjects", common["others"]["value"], "stories of other subjects",
        )
    )  # fmt: skip
    l0 = view.readers.filter(reader="sae")["l0"][0]
    rows.append(("L0 on the stories", l0, None, None, view.tokens, "tokens", None, "none"))
    kinds = {
        "measure": pl.String, "value": pl.Float64, "low": pl.Float64, "high": pl.Float64,
        "n": pl.Int64, "n_of": pl.String, "null": pl.Float64, "control": pl.String,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=kinds, orient="row")
