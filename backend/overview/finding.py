"""Finding features or regions by label, token or text, and the best label that each has.

Which label is the best, on lists and on the page of one alike:

1. by hand, the last that somebody gave; of a region, that of a feature which fits it (`FITS`);
2. of the one that is looked at, a label that beats its control by some scorer, by the most first;
3. by a model, `FIRST` before others;
4. by counting: of a feature of tier 1 on the side of its tier, where that gives a label, else on
   both sides; which side it is, the label says (token, after; say).

Of 2 to 4, labels that name nothing but white space or punctuation (`words.mark_named`) come
last: they are weak, since such tokens stand everywhere, and are shown as what is most often there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import polars as pl

from backend import run
from backend.annotations.hand_labels import labels_of
from backend.corpus import passages
from backend.experiments.label_advantages import advantages, known_scores
from backend.features.answers import feature_index, search_features
from backend.labels import evidence, explainers, label_search
from backend.labels import steps as label_steps
from backend.labels.label_search import COUNTED, LABELS
from backend.labels.subjects import Sampling, Subject, subject_of
from backend.labels.words import LabelRequest, mark_named
from backend.query import lookup, query
from backend.regions import matching
from backend.regions.answers import available, search_regions
from backend.regions.partitioned import spec_key
from backend.schema import NotFoundError, SaeRef, Study
from backend.store import queue
from backend.tiers import answers as tier_answers
from backend.tiers.routing import COUNTING

# of the model whose label stands for a feature's where there are several
FIRST = ("eleuther_acts_top5",)
FITS = 0.5  # F1 from which a label of a feature is one of the region that it matches best
EXACT, WORDS, TOKEN = 4.0, 3.0, 2.0  # ranks above those of texts, which are below 1


# ---------------------------------------------------------------- labels


@lookup
def best_labels(
    study: Study,
    kind: str = "feature",
    p: float | None = None,
    k: float | None = None,
    number: int | None = None,
) -> pl.DataFrame:
    """number, method, label: of each feature or region the best label that it has so far, by hand,
    else by a model, else by counting; of `number`, which is looked at, also by what its labels
    have over their controls. Nothing is made for it, but that `number` is counted alone where all
    are not counted yet."""
    subject = run.optional(subject_of, study, kind, p, k)
    if subject is None:
        return _first_of_each([_by_hand(study)] if kind == "feature" else [])
    parts = _labels(study, subject)
    if number is not None:
        request = LabelRequest(number, kind, p, k)
        parts = [parts[0], _told_from_control(study, request), *parts[1:]]
        if not len(parts[-1]):
            parts[-1] = _counted_alone(study, subject, number)
    return _first_of_each(parts)


def _labels(study: Study, subject: Subject) -> list[pl.DataFrame]:
    """`LABELS` of all: by hand, by models, by counting."""
    by_hand = _by_hand(study)
    if not isinstance(subject.of, SaeRef):
        by_hand = _of_fitting_regions(study, subject, by_hand)
    return [by_hand, _by_model(subject), _by_counting(study, subject)]


def _first_of_each(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The best label of each number; of parts, and of rows, the first are the best."""
    ranked = [
        part.select(LABELS.names()).cast(LABELS).with_columns(place=pl.lit(place))
        for place, part in enumerate(parts)
    ]
    labels = pl.concat([pl.DataFrame(schema=LABELS | {"place": pl.Int32}), *ranked])
    texts = labels["label"].unique()
    weak = {text for text in texts if mark_named(text)}
    is_weak = pl.col("label").is_in(weak) & (pl.col("place") > 0)
    ordered = labels.sort(is_weak, "place", maintain_order=True)
    best = ordered.unique("number", keep="first", maintain_order=True)
    return best.select(LABELS.names()).sort("number")


def _by_hand(study: Study) -> pl.DataFrame:
    """The last that somebody gave a feature; what no label fits is no label."""
    valid = labels_of(study).filter((pl.col("failed") == "") & (pl.col("text") != ""))
    last = valid.unique("feature", keep="last", maintain_order=True)
    return last.select("method", number="feature", label="text")


def _of_fitting_regions(study: Study, subject: Subject, by_hand: pl.DataFrame) -> pl.DataFrame:
    """The labels of features, as those of the regions that they fit."""
    entry = matching.match.find(subject.partition, study.sae) if study.sae else None
    if entry is None or not len(by_hand):
        return by_hand.clear()
    best = entry.frame("by_region").unique("region", keep="first", maintain_order=True)
    fitting = best.filter(pl.col("f1") >= FITS).select("region", number="feature")
    joined = fitting.join(by_hand.cast({"number": pl.Int32}), on="number")
    return joined.select("method", "label", number="region")


def _by_model(subject: Subject) -> pl.DataFrame:
    labels = label_search.labels_by_models(subject)
    return labels.sort(~pl.col("method").is_in(FIRST), "method", maintain_order=True)


def _by_counting(study: Study, subject: Subject) -> pl.DataFrame:
    entry = label_search.counted.find(subject, Sampling())
    labels = entry.frame("labels") if entry else pl.DataFrame(schema=COUNTED)
    return _of_tier_first(study, subject, labels)


def _of_tier_first(study: Study, subject: Subject, counted: pl.DataFrame) -> pl.DataFrame:
    """Of tier 1 what is found on the side of the tier, then what is found on both sides. The other
    side alone is not taken: there few excerpts may share a token, which would say less than that
    marks are commonest."""
    both = label_search.of_either_side(counted)
    view = None
    if len(counted) and isinstance(subject.of, SaeRef):
        view = tier_answers.tiers.look(study.name)
    if view is None:
        return both
    sides = {tier.title: method for tier, method in COUNTING.items()}
    known = view.table.select(
        pl.col("tier").cast(pl.String).replace_strict(sides, default=None).alias("method"),
        number="feature",
    )
    own = counted.filter(failed="").join(known, on=["number", "method"], how="semi")
    return pl.concat([own.select(LABELS.names()), both])


def _counted_alone(study: Study, subject: Subject, number: int) -> pl.DataFrame:
    """What `_by_counting` would give one feature or region."""
    methods = explainers.EXPLAINERS[label_search.METHOD], *explainers.COUNTERS.values()
    try:
        labels = label_steps.count(subject, number, methods, Sampling())
    except (evidence.TooFewError, NotFoundError):  # which its page says
        labels = []
    rows = [
        (number, method.name, label.text, label.failed)
        for method, label in zip(methods, labels, strict=bool(labels))
    ]
    return _of_tier_first(study, subject, pl.DataFrame(rows, schema=COUNTED, orient="row"))


def _told_from_control(study: Study, request: LabelRequest) -> pl.DataFrame:
    """The labels of one that beat their control: by the most scorers first, then by their lead."""
    try:
        scores = known_scores(study, request)
    except NotFoundError:  # there is no such feature or region
        return pl.DataFrame(schema=LABELS)
    methods = dict(scores.filter(of="label").select("label", "method").reverse().iter_rows())
    better = advantages(scores).filter(pl.col("difference_low") > 0)
    ranked = better.group_by("label", maintain_order=True).agg(
        beats=pl.len(), lead=pl.col("difference").max()
    )
    ordered = ranked.sort("beats", "lead", descending=True, maintain_order=True)
    return ordered.select(
        number=pl.lit(request.number),
        method=pl.col("label").replace_strict(methods, return_dtype=pl.String),
        label="label",
    )


# ---------------------------------------------------------------- a search


@query("A search", priority=queue.SHORT)
def find_features(study: Study, text: str) -> pl.DataFrame:
    """Features that a text finds, best first: feature, matched (label, token, text), rank, hits,
    share. Matches of labels come first, then features whose commonest token it is, then those that
    fire on it, by the F1 of "it fires" as a sign of the text. Whole words; `*` for parts."""
    index = feature_index(study)
    table = index.table.select("feature", size="active", top_token="top_token")
    total = len(passages.find_text(index.tokens, text))
    hits = search_features.part(study, text)
    return _rank(table, hits, total, best_labels(study.name), text)


@query("A search of regions by label, token and text", priority=queue.SHORT, key=spec_key)
def find_regions(
    study: Study, text: str, p: float | None = None, k: float | None = None
) -> pl.DataFrame:
    """Regions that a text finds, as `find_features`; a text is found among their members."""
    mapped = available(study, p, k)
    codes = mapped.regions["token_value"].to_numpy()
    tokens = pl.Series("top_token", passages.token_text(mapped.model, codes), pl.String)
    table = mapped.regions.select("region", "size").with_columns(tokens)
    total = len(passages.find_text(mapped.tokens, text))
    hits = search_regions.part(study, text, p, k)
    return _rank(table, hits, total, best_labels(study.name, "region", p, k), text)


def _rank(
    table: pl.DataFrame, hits: pl.DataFrame, total: int, labels: pl.DataFrame, text: str
) -> pl.DataFrame:
    """`table` has the kind's number first, then `size` and `top_token`."""
    kind = table.columns[0]
    labels = labels.with_columns(pl.Series("label_rank", rank_labels(labels["label"], text)))
    word = text.strip().strip("*").strip().casefold()
    spelled = table["top_token"].str.strip_chars().str.to_lowercase()
    joined = (
        table.join(hits, on=kind, how="left")
        .join(labels.select(pl.col("number").alias(kind), "label_rank"), on=kind, how="left")
        .with_columns(pl.col("hits", "share", "label_rank").fill_null(0))
        .with_columns(
            token_rank=((spelled == word) & (word != "")) * TOKEN,
            f1=2 * pl.col("hits") / (pl.col("size") + max(total, 1)),
        )
    )
    ways = {"label": "label_rank", "token": "token_rank", "text": "f1"}
    names = [pl.when(pl.col(rank) > 0).then(pl.lit(way)) for way, rank in ways.items()]
    return (
        joined.with_columns(
            matched=pl.concat_str(names, separator=", ", ignore_nulls=True),
            rank=pl.max_horizontal("label_rank", "token_rank") + pl.col("f1"),
        )
        .filter(pl.col("rank") > 0)
        .sort("rank", kind, descending=[True, False])
        .select(kind, "matched", "rank", "hits", "share")
    )


def rank_labels(labels: pl.Series, text: str) -> np.ndarray:
    """[labels] how well each matches a text: 0 not at all, `EXACT` where it is all that the label
    says or quotes, from `WORDS` where it is some of its words, the more of them the better."""
    pattern = passages.words_pattern(text)
    if pattern is None:
        return np.zeros(len(labels))
    return np.array([_rank_label(label, pattern) for label in labels], dtype=np.float64)


def _rank_label(label: str, pattern: re.Pattern[str]) -> float:
    match = pattern.search(label)
    if match is None:
        return 0.0
    quoted = re.search(r'"(.*)"', label)
    core = (quoted[1] if quoted else label).strip()
    if match[0].casefold() == core.casefold():
        return EXACT
    return WORDS + len(match[0]) / (len(label) + 1)
