"""An ExpertLens run: what is asked for, the job that computes it, and what is computed."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

import numpy as np
import polars as pl

from backend import settings
from backend.answers import tasks
from backend.evals.expert_lens import experts, ratings, sentences, similarity, summaries
from backend.evals.expert_lens.experts import Given, Reader, Units
from backend.evals.expert_lens.words import spoken
from backend.models import linear_maps
from backend.schema import Job, ModelError, Progress, Study, TesseraError
from backend.store.memo import Entry

SEED = 0


@dataclass(frozen=True)
class Asked:
    """What is asked of a study."""

    study: Study
    units: str
    sentences: str
    concepts: tuple[str, ...]

    @property
    def read(self) -> Units:
        """What is read; raises `ModelError` where that is an SAE and there is none."""
        if self.units == "maps":
            return Units(self.study.model)
        if self.study.sae is None:
            raise ModelError(
                f"The study {self.study.name} has no SAE.", "Ask for linear maps, or name one."
            )
        return Units(self.study.model, self.study.site, self.study.sae)

    @functools.cached_property
    def selection(self) -> tuple[object, ...]:
        """The arguments of `sentences.select`."""
        rated = ratings.available(settings.current().annotations / "ratings")
        model, corpus = self.study.model, self.study.corpus
        return model, corpus, self.sentences, self.concepts, rated, SEED


def asked(study: Study, units: str, sentences_: str, concepts: str) -> Asked:
    """What is asked for; `concepts` are words or phrases between commas, "" for rated words.

    Raises:
        TesseraError: there is no such choice, or there are too many concepts.
    """
    if units not in ("maps", "features") or sentences_ not in ("corpus", "templates"):
        raise TesseraError(
            f"There are no units {units!r} or sentences {sentences_!r}.",
            "Use maps or features, and corpus or templates.",
        )
    named = (" ".join(spoken(part)) for part in re.split(r"[,;\n]", concepts))
    words = tuple(dict.fromkeys(word for word in named if word))
    if len(words) > sentences.LIMIT:
        raise TesseraError(
            f"{len(words)} concepts are too many.", f"Name {sentences.LIMIT} at most."
        )
    return Asked(study, units, sentences_, words)


# ---------------------------------------------------------------- the job


def compute(request: tasks.Request) -> None:
    """What the job does: reads sentences, ranks all units concept by concept, compares concepts."""
    progress = request.progress
    names = ("units", "sentences", "concepts")
    what = asked(request.study, *(request.asked[name] for name in names))
    if what.units == "maps":
        request.run(linear_maps.maps, request.study.model)
    selected = sentences.select(*what.selection, progress=progress)
    words = tuple(selected.frame("concepts")["concept"])
    pool = selected.frame("pool")["text"].to_list()
    reader = Reader(what.read, pool, request.device, progress)
    found = []
    for number, (word, digest) in enumerate(_digests(selected)):
        progress.report(number, len(words), "Ranking units", "concepts")
        given = _given(selected, word, reader)
        found.append(experts.expertise(what.read, digest, SEED, inputs=given, progress=Progress()))
    compared = similarity.compared(found, found, progress=progress)
    summaries.again(compared, SEED, progress=progress)
    baselines = [
        request.run(similarity.by_meaning, words, request.study.embedder),
        request.run(similarity.by_tokens, words, request.study.model),
    ]
    rated = what.selection[4]
    similarity.agreement(compared, selected, baselines, rated, SEED, progress=progress)
    run = find(what)
    crossed = run and crossing(run)
    if run and crossed:  # either page then shows it
        for one, two in ((run, crossed), (crossed, run)):
            similarity.compared(*shared_entries(one, two), progress=progress)
            summaries.alike(*shared_rows(one, two), SEED, progress=progress)


def _digests(selected: Entry) -> list[tuple[str, str]]:
    return list(selected.frame("concepts").select("concept", "digest").iter_rows())


def _given(selected: Entry, word: str, reader: Reader) -> Given:
    parts = []
    for name, column in (("positives", "text"), ("negatives", "row")):
        its = selected.frame(name).filter(pl.col("concept") == word)
        parts.append([its.filter(pl.col("half") == half)[column] for half in (0, 1)])
    (train, test), (one, other) = parts
    texts = train.to_list(), test.to_list()
    return Given(reader, texts, (np.array(one), np.array(other)))


# ---------------------------------------------------------------- what is computed


@dataclass(frozen=True)
class Held:
    """All results, computed already."""

    asked: Asked
    selected: Entry
    found: dict[str, Entry]  # by concept
    compared: Entry
    agreement: Entry
    again: Entry

    @property
    def words(self) -> list[str]:
        return list(self.found)


def find(what: Asked) -> Held | None:
    """All results, or None where one is missing."""
    selected = sentences.select.find(*what.selection)
    if selected is None:
        return None
    entries = {
        word: experts.expertise.find(what.read, digest, SEED) for word, digest in _digests(selected)
    }
    found = {word: entry for word, entry in entries.items() if entry}
    if len(found) < len(entries):
        return None
    words, each = tuple(found), list(found.values())
    compared = similarity.compared.find(each, each)
    embedded = similarity.by_meaning.find(words, what.study.embedder)
    tokens = similarity.by_tokens.find(words, what.study.model)
    again = summaries.again.find(compared, SEED) if compared else None
    if not (compared and again and embedded and tokens):
        return None
    agreement = similarity.agreement.find(
        compared, selected, [embedded, tokens], what.selection[4], SEED
    )
    return Held(what, selected, found, compared, agreement, again) if agreement else None


def held(what: Asked, ask: bool) -> Held | Job | None:
    found = find(what)
    if found is not None or not ask:
        return found
    read = experts.expertise.digest(what.read, "", SEED)
    key = f"{sentences.select.digest(*what.selection)}:{read}"
    return tasks.ensure(
        "expert_lens", what.study, key,
        units=what.units, sentences=what.sentences, concepts=", ".join(what.concepts),
    )  # fmt: skip


# ---------------------------------------------------------------- two runs


def crossing(run: Held) -> Held | None:
    """The same with the other source of sentences, if it is computed for two of the concepts."""
    source = "templates" if run.asked.sentences == "corpus" else "corpus"
    other = find(Asked(run.asked.study, run.asked.units, source, run.asked.concepts))
    return other if other and len(shared_words(run, other)) > 1 else None


def shared_words(one: Held, other: Held) -> list[str]:
    """The concepts of both."""
    return [word for word in one.words if word in other.found]


def shared_entries(one: Held, other: Held) -> tuple[list[Entry], list[Entry]]:
    """The arguments of `similarity.compared` for the concepts of both."""
    words = shared_words(one, other)
    return [one.found[word] for word in words], [other.found[word] for word in words]


def shared_rows(one: Held, other: Held) -> tuple[Entry, Entry, list[int], list[int]]:
    """The arguments of `summaries.alike` for the concepts of both."""
    first, second = ([its.words.index(w) for w in shared_words(one, other)] for its in (one, other))
    return one.compared, other.compared, first, second
