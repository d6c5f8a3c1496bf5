"""An experiment folder of the baez post, read: Tessera's own or one of the post's scripts.

What is broken is left out and named, the rest comes in. No file is opened because another names it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import polars as pl

from backend.labels.contract import Evidence, Excerpt
from backend.labels.evidence import POST_TRAIN, TEST
from backend.labels.interchange import baez_records as records
from backend.labels.interchange.baez import Experiment
from backend.labels.interchange.records import (
    FormatError,
    Problem,
    check,
    csv_lines,
    json_lines,
    unpack,
)
from backend.labels.tables import DISTANCES, LABELS, SCORES, VERBALIZATIONS, farthest

FLAT = "scores_flat.csv"
TOP5, TOP20, DELPHI = "eleuther_acts_top5", "eleuther_acts_top20", "delphi"
# what the post's scripts write, without saying so in the folder
UNPARSED = "Explanation could not be parsed."
EMBEDDER = "sentence-transformers/all-MiniLM-L6-v2"
RANKED = "train: ranks 1–{} by peak; test: the {} that follow; no negatives are kept in the folder"
NOTES = {
    DELPHI: f"The method delphi is {TOP5}: 5 excerpts were shown to the explainer.",
    TOP20: f"The scores' {TOP20} is {TOP5}: the post's analysis renames delphi so.",
    FLAT: f"Scores are from {FLAT}, which says less: scores.jsonl is not there.",
    UNPARSED: f"Labels that read {UNPARSED!r} are failures.",
}
AnyLine = TypeVar("AnyLine", bound=records.Line)


@dataclass(frozen=True, eq=False)
class FolderContents:
    """An experiment without what is wrong in its files, and what was taken for something else."""

    experiment: Experiment
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def read_folder(data: bytes) -> FolderContents:
    """From a zip of such a folder.

    Raises:
        FormatError: it is no zip, or holds nothing of an experiment.
    """
    files = unpack(data, records.FILES, "features.jsonl")
    if not files:
        raise FormatError(
            "There is no file of a baez experiment here.", "Choose the folder of features.jsonl."
        )
    return _Folder(files).contents()


class _Folder:
    """The files of an experiment; reading them collects problems and notes."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.problems: list[Problem] = []
        self.notes: dict[str, None] = {}
        self.site: tuple[str, str] | None = None  # model and layer of the first line
        self.made = ""

    def contents(self) -> FolderContents:
        evidence = tuple(self._evidence())
        verbalizations = list(self._verbalizations())
        labels = pl.DataFrame(list(self._labels()), schema=LABELS, orient="row")
        scores = list(self._scores(labels))
        apart = farthest(pl.DataFrame(list(self._distances()), schema=DISTANCES, orient="row"))
        model, layer = self.site or ("", "")
        experiment = Experiment(
            model,
            layer,
            evidence,
            pl.DataFrame(verbalizations, schema=VERBALIZATIONS, orient="row"),
            labels,
            pl.DataFrame(scores, schema=SCORES),
            apart,
            self.made,
        )
        return FolderContents(
            experiment, tuple(self.problems), tuple(NOTES[each] for each in self.notes)
        )

    def _report(self, file: str, line: int, field: str, problem: str) -> None:
        self.problems.append(Problem(file, line, field, problem))

    def _lines(self, file: str, kind: type[AnyLine]) -> Iterator[tuple[int, AnyLine]]:
        """Lines about one model and layer, the folder's first."""
        if file not in self.files:
            self._report(file, 0, "", "is not there")
        for line, one in json_lines(kind, self.files.get(file, b""), file, self.problems):
            self.site = self.site or (one.model_id, one.layer)
            here = zip(("model_id", "layer"), (one.model_id, one.layer), self.site, strict=True)
            others = [(field, value, site) for field, value, site in here if value != site]
            for field, value, site in others:
                self._report(file, line, field, f"is {value!r}, but the experiment is of {site!r}")
            if not others:
                yield line, one

    # ------------------------------------------------------------ evidence

    def _evidence(self) -> Iterator[Evidence]:
        numbers: set[int] = set()
        for line, one in self._lines("features.jsonl", records.FeatureLine):
            name, self.made = records.raw_name(one.index), self.made or one.sampled_at
            if one.raw_path.replace("\\", "/") not in ("", name):
                self._report(
                    "features.jsonl", line, "raw_path", f"is {one.raw_path!r}; {name} is read"
                )
            if one.index in numbers or name not in self.files:
                why = "is named twice" if one.index in numbers else f"has no {name}"
                self._report("features.jsonl", line, "index", why)
                continue
            numbers.add(one.index)
            raw = check(records.Raw, self.files[name], name, 0, self.problems)
            if raw is not None and raw.index not in (None, one.index):
                self._report(name, 0, "index", f"is {raw.index}, not {one.index}")
            elif raw is not None and not any(each.strength > 0 for each in raw.activations):
                self._report(name, 0, "activations", "hold none above 0")
            elif raw is not None:
                parts = raw.evidence
                yield (_own(one.index, raw, parts) if parts else _ranked(one.index, raw))

    def _verbalizations(self) -> Iterator[tuple[Any, ...]]:
        for _, one in self._lines("nla_examples.jsonl", records.NlaLine):
            ranks = one.ranks or range(1, len(one.examples) + 1)
            for rank, each in zip(ranks, one.examples, strict=True):
                yield one.index, rank, each.text, each.activation

    # ------------------------------------------------------------ labels

    def _method(self, method: str) -> str:
        """What a method is called here."""
        if method == DELPHI:
            self.notes[DELPHI] = None
        return TOP5 if method == DELPHI else method

    def _labels(self) -> Iterator[tuple[Any, ...]]:
        for _, one in self._lines("labels.jsonl", records.LabelLine):
            result, writer = one.result, one.explanation_model or ""
            text, failed = result.explanation, result.failed
            if failed is None and text in ("", UNPARSED):
                self.notes |= {UNPARSED: None} if text else {}
                text, failed = "", text or "The explanation is empty."
            label = one.index, self._method(one.method), writer
            yield *label, text, result.detail, failed or "", result.n, result.seconds

    # ------------------------------------------------------------ scores

    def _scores(self, labels: pl.DataFrame) -> Iterator[dict[str, Any]]:
        """Rows of `SCORES`."""
        keys = labels.select("feature", "method", "writer").iter_rows()
        texts = dict(zip(keys, labels["text"], strict=True))
        for one in self._score_lines():
            if isinstance(one, records.ScoreLine) and one.rows is not None:
                yield from (row.model_dump() for row in one.rows)
                continue
            method = self._method(one.method)
            if method == TOP20 and TOP20 not in labels["method"]:
                self.notes[TOP20], method = None, TOP5
            text = texts.get((one.index, method, one.explanation_model or ""), "")
            labelled = {"of": "label", "feature": one.index, "method": method, "label": text}
            for scored in _summary_rows(one.scores, one.scorer_model or ""):
                yield labelled | scored

    def _score_lines(self) -> Iterator[records.ScoreLine | records.FlatRow]:
        """Of the table where `scores.jsonl` is missing."""
        if "scores.jsonl" in self.files:
            yield from (one for _, one in self._lines("scores.jsonl", records.ScoreLine))
        elif FLAT in self.files:
            self.notes[FLAT] = None
            for line, cells in csv_lines(self.files[FLAT], FLAT, self.problems):
                filled = {name: cell for name, cell in cells.items() if cell}
                one = check(records.FlatRow, filled, FLAT, line, self.problems)
                if one is not None:
                    yield one
        else:
            self._report("scores.jsonl", 0, "", "is not there")

    # ------------------------------------------------------------ distances

    def _distances(self) -> Iterator[tuple[Any, ...]]:
        for file in sorted(name for name in self.files if name.startswith("label_distance__")):
            for line, cells in csv_lines(self.files[file], file, self.problems):
                heads = [name for name in cells if name.startswith(records.LABEL)]
                if len(heads) != 2:
                    self._report(file, 1, "", "has not two columns of labels")
                    break
                site, _, feature = cells.get("feature_key", "").rpartition("/")
                row = {**cells, "site": site, "feature_key": feature}
                row |= {"text": cells[heads[0]], "other_text": cells[heads[1]]}
                one = check(records.DistanceRow, row, file, line, self.problems)
                if one is not None and site != "/".join(self.site or (site,)):
                    other = f"is of {site!r}, not of this experiment"
                    self._report(file, line, "feature_key", other)
                elif one is not None:
                    ends = [self._method(head.removeprefix(records.LABEL)) for head in heads]
                    pair = sorted(zip(ends, (one.text, one.other_text), strict=True))
                    (left, text), (right, other_text) = pair
                    yield one.feature, left, right, text, other_text, one.cosine_distance


# ---------------------------------------------------------------- excerpts


def _own(feature: int, raw: records.Raw, evidence: records.OwnEvidence) -> Evidence:
    """As Tessera wrote it."""
    parts: dict[str, list[Excerpt]] = {"train": [], "test": []}
    for each in raw.activations:
        parts[each.part or ""].append(each.excerpt)
    excerpts: dict[str, Any] = {name: tuple(part) for name, part in parts.items()}
    excerpts["negatives"] = tuple(each.excerpt for each in evidence.negatives)
    excerpts["foreign"] = tuple(map(tuple, evidence.foreign))
    return Evidence(feature=feature, **dict(evidence) | excerpts)


def _ranked(feature: int, raw: records.Raw) -> Evidence:
    """As the post's scripts cut it: by rank. Rows count through the excerpts themselves, since the
    file names no corpus; negatives are drawn anew by the scripts and are not in the folder."""
    fires = [each for each in raw.activations if each.strength > 0]
    fires = sorted(fires, key=lambda each: -each.strength)[: POST_TRAIN + TEST]
    excerpts, first = [], 0
    for each in fires:
        excerpts.append(replace(each.excerpt, row=first + each.peak))
        first += len(each.tokens)
    train, test = tuple(excerpts[:POST_TRAIN]), tuple(excerpts[POST_TRAIN:])
    how = RANKED.format(len(train), len(test))
    return Evidence(feature, fires[0].strength, train, test, (), (), "post", "other", 0, how)


# ---------------------------------------------------------------- scores of the post's scripts


def _summary_rows(summary: records.Summary, judge: str) -> Iterator[dict[str, Any]]:
    """Of rows of `SCORES` what the scripts keep of the scores: no counts, no interval, no seed.
    Their accuracy counts failures as wrong, so how many there were is not known."""
    scores = (
        ("detection", judge, summary.detection, "whole contexts", 0.5),
        ("fuzzing", judge, summary.fuzz, "post marks, whole contexts", 0.5),
        ("embedding", EMBEDDER, summary.embedding, "whole contexts", 0.0),
    )
    for scorer, scored_by, one, setting, chance in scores:
        value = getattr(one, "gap" if scorer == "embedding" else "accuracy", None)
        if value is not None:
            yield {
                "scorer": scorer,
                "judge": scored_by,
                "n": getattr(one, "n", None),
                "value": value,
                "chance": chance,
                "interval": "",
                "split": "post",
                "kind": "other",
                "setting": setting,
            }
