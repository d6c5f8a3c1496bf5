"""Sentences that do not leak, and rated pairs of words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from backend.evals.expert_lens import (
    inflections,
    ratings,
    sentences,
)
from backend.evals.expert_lens.experts import Reader, Units
from backend.evals.expert_lens.frames import FILLERS, FRAMES
from backend.evals.expert_lens.results import sentences_by_concept
from backend.schema import (
    CorpusError,
)
from backend.study import loading as studies


def test_words_are_whole_and_forms_are_known() -> None:
    table = pl.DataFrame({"text": ["A Cat sat there.", "The category, cat's", "New York is big"]})
    assert sentences.occurrences(table, ["cat", "new york"]) == {"cat": [0], "new york": [2]}
    is_form = inflections.inflections("carry")
    assert all(map(is_form, ["carry", "carries", "carried", "carrying"]))
    assert not any(map(is_form, ["car", "carrot", "care"]))
    assert inflections.inflections("stop")("stopped")
    assert inflections.inflections("believe")("believing")
    assert inflections.inflections("go")("went")
    assert not inflections.inflections("go")("gold")
    texts = list(
        inflections.sentences(
            "Mr. Hill went to the old harbour today. Too short.\nA second one that is long enough."
        )
    )
    assert texts == ["Mr. Hill went to the old harbour today.", "A second one that is long enough."]


@pytest.fixture
def selected(small: str) -> Any:
    study = studies.load(small)
    words = "butter", "spoon", "apple", "cider", "boat", "no such thing"
    return sentences.select(study.model, study.corpus, "corpus", words, (), 0)


def test_halves_share_no_document_and_no_sentence(small: str, selected: Any) -> None:
    study = studies.load(small)
    table = sentences.split(study.model, study.corpus, 0).frame("sentences")
    assert table.group_by("document").agg(pl.col("half").n_unique())["half"].max() == 1
    assert table["text"].str.to_lowercase().is_unique().all()
    texts, pool = selected.frame("positives"), selected.frame("pool")
    halves = dict(table.select("text", "half").iter_rows())
    assert all(halves[text] == half for text, half in texts.select("text", "half").iter_rows())
    rows = selected.frame("negatives")
    assert (pool["half"].gather(rows["row"]) == rows["half"]).all()


def test_negatives_have_no_form_of_the_word_and_its_length(selected: Any) -> None:
    table = selected.frame("concepts")
    assert table["concept"].to_list() == ["butter", "spoon", "apple", "cider"]
    pool = selected.frame("pool")["text"]
    for word, positives, negatives in table.select("concept", "positives", "negatives").iter_rows():
        assert positives >= sentences.LEAST
        assert negatives == 2 * positives  # positives are a third
        rows = selected.frame("negatives").filter(pl.col("concept") == word)
        assert (
            rows.group_by("half").agg(pl.col("row").n_unique())["row"].to_list() == [negatives] * 2
        )
        is_form = inflections.inflections(word)
        assert not any(
            is_form(each) for row in rows["row"] for each in inflections.words_of(pool[row])
        )
        texts = selected.frame("positives").filter(pl.col("concept") == word)["text"]
        assert all(word in inflections.words_of(text) for text in texts)
    assert table["length"].is_between(0.35, 0.65).all()


def test_an_absent_or_rare_word_is_listed_with_its_count(selected: Any) -> None:
    assert selected.frame("refused").rows() == [("boat", 28, 6), ("no such thing", 0, 0)]


def test_the_sentences_of_a_concept_do_not_depend_on_the_others(small: str, selected: Any) -> None:
    study = studies.load(small)
    fewer = sentences.select(study.model, study.corpus, "corpus", ("apple", "spoon"), (), 0)
    digests = []
    for entry in (selected, fewer):
        reader = Reader(Units(study.model), entry.frame("pool")["text"].to_list())
        by_concept = sentences_by_concept(entry, reader)
        digests.append({word: each.content_digest for word, each in by_concept.items()})
    assert digests[1] == {word: digests[0][word] for word in ("apple", "spoon")}


def test_too_few_concepts_are_an_error_with_their_number(small: str) -> None:
    study = studies.load(small)
    with pytest.raises(CorpusError, match="Only 1 of 2 concepts") as caught:
        sentences.select(study.model, study.corpus, "corpus", ("apple", "zebra"), (), 0)
    assert "zebra has 0 in train and 0 in test" in caught.value.problem
    assert "“from frames”" in caught.value.remedy


def test_concepts_are_chosen_by_what_the_corpus_holds_and_nothing_else() -> None:
    table = pl.DataFrame({"half": [0, 1] * 30})
    every, few = list(range(60)), list(range(20))
    pairs = [("cat", "dog", 9.0), ("dog", "pony", 5.0), ("cat", "yak", 4.0)]
    rated = {"one": pl.DataFrame(pairs, schema=ratings.RATINGS, orient="row")}
    rows = {"cat": every, "dog": every, "pony": few, "yak": []}
    assert sentences.default_concepts(table, rows, rated, "corpus") == ["cat", "dog"]
    assert sentences.default_concepts(table, rows, rated, "templates") == [
        "cat",
        "dog",
        "pony",
        "yak",
    ]


def test_lengths_are_matched_without_replacement() -> None:
    lengths = np.array([5, 6, 20, 21, 22, 40, 41, 9])
    rows = np.arange(8)
    chosen = sentences.match_lengths(np.array([21, 41]), lengths, rows)
    assert sorted(lengths[chosen]) == [20, 21, 40, 41]
    assert len(set(sentences.match_lengths(np.array([21, 21, 21, 21]), lengths, rows))) == 8


def test_of_frames_nothing_but_the_word_is_different(small: str) -> None:
    study = studies.load(small)
    source = sentences.FrameSentences(study.model)
    halves = source.halves("pillow")  # which is a filler itself
    frames = [set(half.positives["document"]) for half in halves]
    assert not frames[0] & frames[1]
    assert len(frames[0] | frames[1]) == len(FRAMES)
    used = []
    for number, half in enumerate(halves):
        assert (source.pool["half"].gather(half.negatives) == number).all()
        fillers = [source.fillers[row] for row in half.negatives]
        assert "pillow" not in fillers
        used.append(set(fillers))
        for row, filler in zip(half.negatives, fillers, strict=True):
            frame = FRAMES[source.pool["document"][int(row)]]
            assert source.pool["text"][int(row)] == sentences.fill(frame, filler)
            assert sentences.fill(frame, "pillow") in half.positives["text"]
    assert not used[0] & used[1]
    assert used[0] | used[1] <= set(FILLERS)


# ---------------------------------------------------------------- ratings


def test_words_are_chosen_so_that_many_pairs_stay() -> None:
    star = [("hub", f"leaf{number}") for number in range(6)]
    clique = [("a", "b"), ("a", "c"), ("b", "c")]
    table = pl.DataFrame(
        [(*pair, 1.0) for pair in star + clique], schema=ratings.RATINGS, orient="row"
    )
    rated = {"one": table}
    every = ratings.words(rated)
    assert ratings.choose(rated, every, 4) == ["a", "b", "c"]
    assert ratings.choose(rated, every, 5) == ["a", "b", "c", "hub", "leaf5"]
    assert ratings.choose(rated, ["a", "b", "c", "leaf1"], 9) == ["a", "b", "c"]


def test_packaged_ratings_and_a_file_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "MEN.txt").write_text("Sun-n sunlight-n 50\nsunlight sun 40.0\ncar car 50\n")
    files = {ref.name: ratings.read_ratings(ref) for ref in ratings.available(tmp_path)}
    assert {name: len(table) for name, table in files.items()} == {
        "SimLex-999": 998, "WordSim-353": 350, "MEN": 1
    }  # fmt: skip
    assert files["MEN"].rows() == [("sun", "sunlight", 45.0)]
    (tmp_path / "MEN.txt").write_text("sun light 50\nsun light\n")
    with pytest.raises(CorpusError, match=r"MEN\.txt, line 2,"):
        ratings.read_ratings(ratings.available(tmp_path)[-1])
