"""An ExpertLens run: its setup, and everything that is computed of it."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, replace
from typing import Any

from backend import run, settings
from backend.evals.expert_lens import (
    SOURCES,
    UNITS,
    experts,
    ratings,
    sentences,
    similarity,
    summaries,
)
from backend.evals.expert_lens.experts import ConceptSentences, Reader, Units
from backend.evals.expert_lens.inflections import words_of
from backend.models import linear_maps
from backend.query import key_of
from backend.schema import ModelError, Study, TesseraError
from backend.store.memo import Entry

SEED = 0

# ---------------------------------------------------------------- what is asked for


@dataclass(frozen=True)
class Setup:
    """Which units of a study read which sentences of which concepts (none: rated words)."""

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
    def rated(self) -> tuple[ratings.RatingsRef, ...]:
        """The files of rated pairs: those that are packaged, and one's own."""
        return ratings.available(settings.current().annotations / "ratings")


def parse_setup(study: Study, units: str, source: str, concepts: str) -> Setup:
    """A setup as queries take it; `concepts` are words or phrases between commas, "" for rated
    words.

    Raises:
        TesseraError: there is no such choice, or there are too many concepts.
    """
    if units not in UNITS or source not in SOURCES:
        raise TesseraError(
            f"There are no units {units!r} or sentences {source!r}.",
            "Use maps or features, and corpus or templates.",
        )
    phrases = (" ".join(words_of(part)) for part in re.split(r"[,;\n]", concepts))
    words = tuple(dict.fromkeys(word for word in phrases if word))
    if len(words) > sentences.LIMIT:
        raise TesseraError(
            f"{len(words)} concepts are too many.", f"Name {sentences.LIMIT} at most."
        )
    return Setup(study, units, source, words)


def setup_key(
    study: Study, units: str = "maps", sentences: str = "corpus", concepts: str = "", **more: Any
) -> str:
    """Requests share a job however the concepts are spelled; new ratings make another."""
    setup = parse_setup(study, units, sentences, concepts)
    return key_of(
        study, units=units, sentences=sentences, concepts=setup.concepts, rated=setup.rated, **more
    )


# ---------------------------------------------------------------- what is computed


@dataclass(frozen=True)
class ExpertResults:
    """Everything that is computed of a setup."""

    setup: Setup
    selected: Entry  # sentences
    concepts: dict[str, Entry]  # average precision of all units, by concept
    likeness: Entry  # of concepts
    repeated: Entry  # in the other half
    agreement: Entry  # with people

    @property
    def words(self) -> list[str]:
        return list(self.concepts)


def expert_results(setup: Setup) -> ExpertResults:
    """Reads the sentences, ranks all units concept by concept, compares concepts with each other
    and with what people say of them."""
    study, units = setup.study, setup.read
    if setup.units == "maps":
        linear_maps.maps(study.model)
    selected = sentences.select(
        study.model, study.corpus, setup.sentences, setup.concepts, setup.rated, SEED
    )
    reader = Reader(units, selected.frame("pool")["text"].to_list())
    by_concept = sentences_by_concept(selected, reader)
    words = tuple(by_concept)
    rank = functools.partial(experts.expertise, units, seed=SEED)
    ranked_before = functools.partial(experts.expertise.find, units, seed=SEED)
    if run.current().is_job and not all(map(ranked_before, by_concept.values())):
        reader.pooled  # noqa: B018 - read here: a step of the loop below shows no progress
    ranked = run.each(rank, by_concept.values(), "Ranking units", "concepts")
    likeness = similarity.concept_likeness(ranked, ranked)
    repeated = summaries.repeatability(likeness, SEED)
    baselines = [
        similarity.embedder_likeness(words, study.embedder),
        similarity.token_likeness(words, study.model),
    ]
    agreement = similarity.agreement(likeness, selected, baselines, setup.rated, SEED)
    concepts = dict(zip(words, ranked, strict=True))
    return ExpertResults(setup, selected, concepts, likeness, repeated, agreement)


def find_results(setup: Setup) -> ExpertResults | None:
    """The same where all of it is computed already; nobody asks for it."""
    with run.looking():
        try:
            return expert_results(setup)
        except run.Missing:
            return None


def sentences_by_concept(selected: Entry, reader: Reader) -> dict[str, ConceptSentences]:
    """The sentences of each concept, all with one reader: it reads the pool of negatives once."""
    positives, negatives = (
        selected.frame(name).partition_by("concept", "half", as_dict=True)
        for name in ("positives", "negatives")
    )
    return {
        word: ConceptSentences(
            reader,
            (positives[word, 0]["text"].to_list(), positives[word, 1]["text"].to_list()),
            (negatives[word, 0]["row"].to_list(), negatives[word, 1]["row"].to_list()),
        )
        for word in selected.frame("concepts")["concept"]
    }


# ---------------------------------------------------------------- two runs


def other_source(results: ExpertResults) -> ExpertResults | None:
    """The same with the other source of sentences, if it is computed for two of the concepts."""
    source = "templates" if results.setup.sentences == "corpus" else "corpus"
    other = find_results(replace(results.setup, sentences=source))
    return other if other and len(shared_words(results, other)) > 1 else None


def shared_words(one: ExpertResults, other: ExpertResults) -> list[str]:
    """The concepts of both."""
    return [word for word in one.words if word in other.concepts]


def compare_halves(one: ExpertResults, other: ExpertResults) -> Entry:
    """`concept_likeness` of the concepts of both, train halves of one with test of the other."""
    words = shared_words(one, other)
    entries = ([results.concepts[word] for word in words] for results in (one, other))
    return similarity.concept_likeness(*entries)


def compare_likeness(one: ExpertResults, other: ExpertResults) -> Entry:
    """`summaries.likeness_agreement` over the concepts of both."""
    words = shared_words(one, other)
    rows, columns = ([results.words.index(word) for word in words] for results in (one, other))
    return summaries.likeness_agreement(one.likeness, other.likeness, rows, columns, SEED)
