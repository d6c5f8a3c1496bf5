"""An experiment folder of the baez post, written.

    features.jsonl       raw/feature_<index>.json    nla_examples.jsonl    labels.jsonl
    scores.jsonl         scores_flat.csv             label_distance__<a>__vs__<b>.csv

The scripts of `enricobottazzi/autointerp_baez` read such a folder; `baez_records` says where field
names come from. Two things differ: methods keep their own names, so that what the scripts call
`delphi` is `eleuther_acts_top5` here; and a control is a method of its own in scores, such as
`baez [shuffled]`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import polars as pl

from backend.labels.contract import Evidence, Excerpt
from backend.labels.interchange.baez_records import LABEL, OwnEvidence, raw_name
from backend.labels.interchange.records import FormatError, csv_bytes, json_bytes, pack
from backend.labels.tables import DISTANCES, LABELS, SCORES, VERBALIZATIONS, farthest
from backend.schema import conform

LONGEST = 100  # characters of a method in a file's name
FLAT = (
    "index method explanation_model detection_accuracy fuzz_accuracy embedding_gap "
    "embedding_mean_pos embedding_mean_neg"
).split()
# a score line has one of each scorer of what these name
TOLD_APART = ["feature", "of", "label", "method", "split", "kind", "seed"]


@dataclass(frozen=True, eq=False)
class Experiment:
    """What a folder holds. `model` and `layer` are Neuronpedia's model and source ids, or names of
    one's own; `made` is when, as ISO 8601, "" where unknown."""

    model: str
    layer: str
    evidence: tuple[Evidence, ...]
    verbalizations: pl.DataFrame  # VERBALIZATIONS
    labels: pl.DataFrame  # LABELS
    scores: pl.DataFrame  # SCORES
    distances: pl.DataFrame  # DISTANCES
    made: str = ""


def packed(experiment: Experiment) -> bytes:
    """The files as a zip; raises as `files`."""
    return pack(files(experiment))


def files(experiment: Experiment) -> dict[str, bytes]:
    """Name and content of every file.

    Raises:
        FormatError: a method's name is too long for a file's.
    """
    scored = list(_scores(experiment))
    return {
        "features.jsonl": json_bytes(_features(experiment), ascii=True),
        **{raw_name(each.feature): _raw(experiment, each) for each in experiment.evidence},
        "nla_examples.jsonl": json_bytes(_examples(experiment), ascii=True),
        "labels.jsonl": json_bytes(_labels(experiment), ascii=True),
        "scores.jsonl": json_bytes(scored, ascii=True),
        "scores_flat.csv": csv_bytes(FLAT, map(_flat, scored)),
        **dict(_distances(experiment)),
    }


def _line(experiment: Experiment, feature: int, time_field: str) -> dict[str, Any]:
    """What every line begins with."""
    return {
        "feature_key": f"{experiment.model}/{experiment.layer}/{feature}",
        "index": feature,
        "layer": experiment.layer,
        "model_id": experiment.model,
        time_field: experiment.made,
    }


# ---------------------------------------------------------------- features and their excerpts


def _features(experiment: Experiment) -> Iterator[dict[str, Any]]:
    for each in experiment.evidence:
        line = _line(experiment, each.feature, "sampled_at")
        yield {**line, "raw_path": raw_name(each.feature), "source": "tessera"}


def _raw(experiment: Experiment, excerpts: Evidence) -> bytes:
    """The feature as Neuronpedia has it, train and test strongest first, each with its part; under
    `evidence` what it has no place for."""
    names = {
        "modelId": experiment.model,
        "layer": experiment.layer,
        "index": str(excerpts.feature),
    }
    parts = {"train": excerpts.train, "test": excerpts.test}
    activations = [
        {**names, **_activation(one), "part": part} for part in parts for one in parts[part]
    ]
    evidence = {name: getattr(excerpts, name) for name in OwnEvidence.model_fields}
    evidence["negatives"] = [_context(one) for one in excerpts.negatives]
    raw = {**names, "activations": activations, "evidence": evidence}
    return json.dumps(raw, indent=2, sort_keys=True, allow_nan=False).encode() + b"\n"


def _context(one: Excerpt) -> dict[str, Any]:
    return {"tokens": one.pieces, "values": one.values, "row": one.row}


def _activation(one: Excerpt) -> dict[str, Any]:
    peak = {"maxValue": one.strength, "maxValueTokenIndex": one.peak, "minValue": min(one.values)}
    return {**_context(one), **peak}


def _examples(experiment: Experiment) -> Iterator[dict[str, Any]]:
    verbalizations = conform(experiment.verbalizations, VERBALIZATIONS)
    for (feature,), part in verbalizations.group_by("feature", maintain_order=True):
        examples = part.select("text", activation="strength").to_dicts()
        line = _line(experiment, int(str(feature)), "fetched_at")
        yield {**line, "examples": examples, "ranks": part["rank"].to_list()}


# ---------------------------------------------------------------- labels and scores


def _labels(experiment: Experiment) -> Iterator[dict[str, Any]]:
    for row in conform(experiment.labels, LABELS).fill_nan(None).iter_rows(named=True):
        yield {
            **_line(experiment, row["feature"], "generated_at"),
            "method": row["method"],
            "explanation_model": row["writer"],
            "result": {
                "explanation": row["text"],
                **{name: row[name] for name in ("detail", "failed", "n", "seconds")},
            },
        }


def _scores(experiment: Experiment) -> Iterator[dict[str, Any]]:
    """Lines with one score of each scorer: summed up as the scripts do, and in full."""
    writers = {
        (row["feature"], row["method"], row["text"]): row["writer"]
        for row in experiment.labels.reverse().iter_rows(named=True)
    }
    repeat = pl.int_range(pl.len()).over([*TOLD_APART, "scorer"]).alias("again")
    scores = conform(experiment.scores, SCORES).fill_nan(None).with_columns(repeat)
    for _, part in scores.group_by([*TOLD_APART, "again"], maintain_order=True):
        rows = part.drop("again").to_dicts()
        one, by_scorer = rows[0], {row["scorer"]: row for row in rows}
        judgement = by_scorer.get("detection") or by_scorer.get("fuzzing") or {}
        control = "" if one["of"] == "label" else f" [{one['of']}]"
        yield {
            **_line(experiment, one["feature"], "scored_at"),
            "method": f"{one['method']}{control}".strip(),
            "explanation_model": writers.get((one["feature"], one["method"], one["label"]), ""),
            "scorer_model": judgement.get("judge", ""),
            "scores": _summary(by_scorer),
            "rows": rows,
        }


def _summary(by_scorer: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "detection": _accuracy(by_scorer.get("detection")),
        "fuzz": _accuracy(by_scorer.get("fuzzing")),
        "embedding": {
            "gap": by_scorer.get("embedding", {}).get("value"),
            "mean_pos": None,
            "mean_neg": None,
        },
    }


def _accuracy(row: dict[str, Any] | None) -> dict[str, Any]:
    """The post's (TP + TN) / n; the value where there are no counts."""
    if row is None:
        return {"accuracy": None, "n": 0}
    right, n = (row["tp"], row["tn"]), row["n"]
    return {"accuracy": sum(right) / n if n and None not in right else row["value"], "n": n}


def _flat(line: Mapping[str, Any]) -> Sequence[Any]:
    scores = line["scores"]
    shares = [scores["detection"]["accuracy"], scores["fuzz"]["accuracy"]]
    labels = [line["index"], line["method"], line["explanation_model"]]
    return [*labels, *shares, scores["embedding"]["gap"], None, None]


# ---------------------------------------------------------------- distances


def _distances(experiment: Experiment) -> Iterator[tuple[str, bytes]]:
    """A file for each pair of methods; the head has their names, the file's name spells them."""
    distances = farthest(conform(experiment.distances, DISTANCES))
    for (one, other), part in distances.group_by("method", "other", maintain_order=True):
        head = ["feature_key", f"{LABEL}{one}", f"{LABEL}{other}"]
        name = f"label_distance__{_file_part(str(one))}__vs__{_file_part(str(other))}.csv"
        rows = (
            [
                _line(experiment, row["feature"], "")["feature_key"],
                row["text"],
                row["other_text"],
                1 - row["distance"],
                row["distance"],
            ]
            for row in part.iter_rows(named=True)
        )
        yield name, csv_bytes([*head, "cosine_similarity", "cosine_distance"], rows)


def _file_part(method: str) -> str:
    """A method's name without what a path would read: %2F for a slash."""
    name = quote(method, safe="")
    if len(name) > LONGEST:
        raise FormatError(
            f"The method {method[:30]!r}… cannot name a file.", "Give it a shorter name."
        )
    return name
