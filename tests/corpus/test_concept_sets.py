"""Labelled texts in, concept sets out: every label accounted for, train and test kept apart."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from backend.concepts import choices as concept_choices
from backend.corpus import (
    concept_files,
    concept_sets,
    concept_sources,
    concept_tables,
    concept_wordnet,
)
from backend.corpus.concept_sets import ConceptSet
from backend.corpus.concept_tables import ConceptSource
from backend.corpus.concept_topics import head
from backend.corpus.concept_wordnet import DOMAINS
from backend.schema import ConceptRef, CorpusError, NotFoundError, Study
from backend.study import loading

NOTHING = {"too_few": 0, "empty": 0, "contradictory": 0, "in_both_splits": 0, "repeated": 0}
PER_CONTEXT = 31  # tokens of the small world's contexts, less the BOS


@pytest.fixture
def loaded(small: str) -> Study:
    return loading.load(small)


def opened(loaded: Study, ref: ConceptRef) -> ConceptSet:
    ref = concept_sets.resolve(ref)
    return ConceptSet(concept_sets.read(loaded.model, loaded.corpus, ref))


def table(path: Path, rows: list[dict[str, Any]]) -> ConceptRef:
    """Writes rows in the format that the name of the file says."""
    if path.suffix == ".parquet":
        pl.DataFrame(rows).write_parquet(path)
    elif path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return ConceptRef("file", str(path))


def rows_of(labels: dict[str, int], text: str = "text") -> list[dict[str, Any]]:
    """So many different texts of each label."""
    return [
        {text: f"The {label} text of number {n}.", "label": label}
        for label, count in labels.items()
        for n in range(count)
    ]


def texts(found: ConceptSet, concept: int, split: str) -> tuple[list[str], list[str], list[str]]:
    spelled = found.tokens.documents["text"].to_list()
    positive, negative, hard = (
        [spelled[i] for i in part] for part in found.texts_of(concept, split)
    )
    return positive, negative, hard


def everything(found: ConceptSet, concept: int) -> list[list[str]]:
    """Positive, negative and hard texts of a concept, train and test together."""
    both = zip(texts(found, concept, "train"), texts(found, concept, "test"), strict=True)
    return [sorted(train + test) for train, test in both]


# ---------------------------------------------------------------- a table of one's own


@pytest.mark.parametrize("name", ["joy.jsonl", "joy.csv", "joy.parquet"])
@pytest.mark.parametrize("column", ["text", "output", "sentence"])
def test_a_table_with_two_classes_is_one_concept(
    loaded: Study, tmp_path: Path, name: str, column: str
) -> None:
    rows = rows_of({"Positive": 6, "NEGATIVE": 8, "hard_negative": 2}, column)
    found = opened(loaded, table(tmp_path / name, rows))
    assert found.concepts.rows() == [(0, "joy", "")]
    assert found.number_of("Joy") == 0
    said = [
        [row[column] for row in rows if row["label"] == label]
        for label in dict.fromkeys(row["label"] for row in rows)
    ]
    assert everything(found, 0) == [sorted(part) for part in said]
    for split in ("train", "test"):
        assert [len(part) for part in found.texts_of(0, split)] == [3, 4, 1]
    assert found.dropped == NOTHING


@pytest.mark.parametrize(
    ("yes", "no"),
    [("1", "0"), ("True", "false"), ("pos", "NEG"), (1, 0), (True, False), (1.0, 0.0)],
)
def test_classes_may_be_spelled_in_other_ways(
    loaded: Study, tmp_path: Path, yes: object, no: object
) -> None:
    rows = [{"text": f"the {n}", "label": yes if n % 2 else no} for n in range(8)]
    found = opened(loaded, table(tmp_path / "odd.jsonl", rows))
    assert everything(found, 0)[0] == ["the 1", "the 3", "the 5", "the 7"]


def test_a_column_names_the_concept_and_another_the_split(loaded: Study, tmp_path: Path) -> None:
    rows = [
        {"Text": f"{concept} {label} {n}", "Label": label, "Concept": concept, "Split": split}
        for concept in ("red", "blue")
        for label in ("positive", "negative")
        for n, split in enumerate(["train", "Test", "train", "test", "TEST"])
    ]
    found = opened(loaded, table(tmp_path / "colours.csv", rows))
    assert found.concepts["name"].to_list() == ["red", "blue"]
    positive, negative, _ = texts(found, found.number_of("blue"), "train")
    assert positive == ["blue positive 0", "blue positive 2"]
    assert negative == ["blue negative 0", "blue negative 2"]
    assert len(found.texts_of(0, "test")[0]) == 3


def test_other_labels_are_a_concept_each_against_the_rest(loaded: Study, tmp_path: Path) -> None:
    rows = rows_of({"anger": 4, "joy": 6, "calm": 20})
    found = opened(loaded, table(tmp_path / "moods.csv", rows))
    assert sorted(found.concepts["name"]) == ["anger", "calm", "joy"]
    for name, (own, others) in {"anger": (4, 8), "joy": (6, 12), "calm": (20, 10)}.items():
        positive, negative, hard = everything(found, found.number_of(name))
        assert len(positive) == own
        assert all(name in text for text in positive)
        assert len(set(negative)) == others  # two a positive, or all there are
        assert not any(name in text for text in negative)
        assert hard == []


def test_languages_and_scripts_are_kept_as_written(loaded: Study, tmp_path: Path) -> None:
    said = [
        "Ночь, улица",
        "ある日の午後",
        "שלום עולם",
        "नमस्ते दुनिया",
        "🙂🙃",
        "e\u0301té",
        "a\r\nb",
        "أهلا",
    ]
    rows = [{"text": text, "label": n % 2} for n, text in enumerate(said)]
    found = opened(loaded, table(tmp_path / "радость.jsonl", rows))
    assert found.concepts["name"].to_list() == ["радость"]
    assert everything(found, 0)[:2] == [sorted(said[1::2]), sorted(said[::2])]


def test_half_a_surrogate_pair_becomes_a_replacement_character(
    loaded: Study, tmp_path: Path
) -> None:
    rows = rows_of({"1": 4, "0": 4})
    rows[0]["text"] = "half \ud83d here"
    found = opened(loaded, table(tmp_path / "half.jsonl", rows))
    assert "half \ufffd here" in everything(found, 0)[0]


# ---------------------------------------------------------------- what is left out


def test_what_is_left_out_is_counted_by_its_reason(loaded: Study, tmp_path: Path) -> None:
    ample = [
        {"text": f"{label} {split} {n}", "label": label, "split": split}
        for label in ("positive", "negative")
        for split in ("train", "test")
        for n in range(3)
    ]
    odd = [
        {"text": "  \n", "label": "positive", "split": "test"},
        {"text": "positive   TRAIN 0 ", "label": "positive", "split": "train"},
        {"text": "Positive train 0", "label": "positive", "split": "train"},
        {"text": "said to be both", "label": "positive", "split": "train"},
        {"text": "Said to be both", "label": "negative", "split": "test"},
        {"text": "positive test 0", "label": "positive", "split": "train"},
    ]
    found = opened(loaded, table(tmp_path / "odd.jsonl", ample + odd))
    assert found.dropped == NOTHING | {
        "empty": 1,
        "repeated": 2,
        "contradictory": 2,
        "in_both_splits": 1,
    }
    assert sorted(found.tokens.documents["text"]) == sorted(row["text"] for row in ample)
    assert texts(found, 0, "test")[0] == ["positive test 0", "positive test 1", "positive test 2"]


def test_a_text_that_is_negative_and_hard_is_hard(loaded: Study, tmp_path: Path) -> None:
    rows = [*rows_of({"1": 4, "0": 4}), {"text": "almost", "label": "0"}]
    rows.append({"text": "almost", "label": "hard negative"})
    found = opened(loaded, table(tmp_path / "a.csv", rows))
    assert everything(found, 0)[2] == ["almost"]
    assert "almost" not in everything(found, 0)[1]
    assert found.dropped["repeated"] == 1


def test_a_text_of_two_labels_is_neither(loaded: Study, tmp_path: Path) -> None:
    rows = [*rows_of({"anger": 4, "joy": 4}), {"text": "both", "label": "joy"}]
    rows.append({"text": "BOTH", "label": "anger"})
    found = opened(loaded, table(tmp_path / "moods.csv", rows))
    assert "both" not in found.tokens.documents["text"].to_list()
    assert found.dropped == NOTHING | {"contradictory": 2}


def test_a_text_of_two_concepts_is_read_once(loaded: Study, tmp_path: Path) -> None:
    rows = [
        {"text": f"shared {n % 8}", "label": int(n % 8 < 4), "concept": "a" if n < 8 else "b"}
        for n in range(16)
    ]
    found = opened(loaded, table(tmp_path / "two.jsonl", rows))
    assert len(found.tokens.documents) == 8
    assert everything(found, 0) == everything(found, 1)
    assert found.dropped == NOTHING


# ---------------------------------------------------------------- splits


@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 2**32),
    rows=st.lists(
        st.tuples(
            st.integers(0, 12), st.sampled_from("ab"), st.sampled_from(["1", "0", "hard negative"])
        ),
        max_size=30,
    ),
)
def test_train_and_test_share_no_text_whatever_the_seed(
    loaded: Study, tmp_path: Path, seed: int, rows: list[tuple[int, str, str]]
) -> None:
    sound = [
        {"text": f"{c} {label} {n}", "concept": c, "label": label}
        for c in "ab"
        for label in "10"
        for n in range(4)
    ]
    odd = [{"text": f"Text {n}", "concept": c, "label": label} for n, c, label in rows]
    ref = replace(table(tmp_path / "any.jsonl", sound + odd), seed=seed)
    found = opened(loaded, ref)
    sides = [
        {
            " ".join(text.casefold().split())
            for c in (0, 1)
            for part in texts(found, c, split)
            for text in part
        }
        for split in ("train", "test")
    ]
    assert not sides[0] & sides[1]
    assert sum(map(len, sides)) == len(found.tokens.documents)
    for concept in (0, 1):
        parts = [set(part) for part in everything(found, concept)]
        assert sum(map(len, parts)) == len(set.union(*parts))  # no text has two kinds


def test_the_seed_chooses_the_split_and_the_split_is_even(loaded: Study, tmp_path: Path) -> None:
    ref = table(tmp_path / "a.csv", rows_of({"1": 21, "0": 30}))
    first, again, other = (opened(loaded, replace(ref, seed=seed)) for seed in (3, 3, 4))
    assert first.labels.equals(again.labels)
    assert not first.labels.equals(other.labels)
    assert [len(part) for part in other.texts_of(0, "train")] == [11, 15, 0]
    assert [len(part) for part in other.texts_of(0, "test")] == [10, 15, 0]


# ---------------------------------------------------------------- tokens


def test_a_text_longer_than_a_context_is_read_in_several(loaded: Study, tmp_path: Path) -> None:
    rows = rows_of({"1": 4, "0": 4})
    rows[2]["text"] = "The gull hides the rope. " * 30
    found = opened(loaded, table(tmp_path / "long.jsonl", rows))
    assert found.windowed == 1
    at = found.tokens.documents["text"].to_list().index(rows[2]["text"])
    first, last = (int(offset) for offset in found.offsets[at : at + 2])
    assert last - first > PER_CONTEXT
    windows = found.tokens.contexts.filter(pl.col("document") == at)["length"]
    assert len(windows) == -(-(last - first) // PER_CONTEXT)
    assert windows.max() == PER_CONTEXT
    assert "".join(found.tokens.pieces(first, last)) == rows[2]["text"]


def test_offsets_part_the_tokens_by_text(loaded: Study, tmp_path: Path) -> None:
    found = opened(loaded, table(tmp_path / "a.csv", rows_of({"1": 5, "0": 5})))
    assert found.offsets.dtype == np.int64
    assert (found.offsets[0], found.offsets[-1]) == (0, len(found.tokens))
    assert (np.diff(found.offsets) >= 1).all()
    for at, text in enumerate(found.tokens.documents["text"]):
        assert "".join(found.tokens.pieces(*found.offsets[at : at + 2].tolist())) == text


def test_a_concept_that_does_not_exist_is_an_error_that_names_near_ones(
    loaded: Study, tmp_path: Path
) -> None:
    found = opened(loaded, table(tmp_path / "a.csv", rows_of({"anger": 4, "joy": 4})))
    with pytest.raises(NotFoundError, match=r"no concept 'angr'.*one of: anger"):
        found.number_of("angr")
    with pytest.raises(NotFoundError, match="concepts 0 to 1"):
        found.texts_of(2, "train")
    with pytest.raises(NotFoundError, match="'dev'"):
        found.texts_of(0, "dev")


# ---------------------------------------------------------------- AxBench's folders


def bench(folder: Path, **change: Any) -> Path:
    """Two concepts, of genres text and maths; shared negatives of text and code."""
    folder.mkdir()

    def row(concept: int, category: str, genre: str, n: int, side: str) -> dict[str, Any]:
        return {
            "input": "?",
            "output": f"{side} {concept} {category} {genre} {n}",
            "output_concept": f"concept {concept}" if category == "positive" else "none",
            "concept_genre": genre,
            "category": category,
            "concept_id": concept,
        } | change

    genres = {0: "text", 1: "math"}
    train = [row(c, "positive", g, n, "train") for c, g in genres.items() for n in range(3)]
    train += [row(-1, "negative", g, n, "train") for g in ("text", "code") for n in range(4)]
    test = [
        row(c, category, g, n, "test")
        for c, g in genres.items()
        for category, count in (("positive", 3), ("negative", 2), ("hard negative", c))
        for n in range(count)
    ]
    pl.DataFrame(train).write_parquet(folder / "train_data.parquet")
    pl.DataFrame(test).write_parquet(folder / "latent_eval_data.parquet")
    named = {"concept_id": 0, "concept": "the colour of the sea"}
    (folder / "metadata.jsonl").write_text(json.dumps(named) + "\n")
    return folder


def test_an_axbench_folder_is_a_concept_set(loaded: Study, tmp_path: Path) -> None:
    found = opened(loaded, ConceptRef("axbench", str(bench(tmp_path / "bench"))))
    assert found.concepts.rows() == [(0, "the colour of the sea", "text"), (1, "concept 1", "math")]
    assert [len(part) for part in found.texts_of(0, "test")] == [3, 2, 0]
    assert [len(part) for part in found.texts_of(1, "test")] == [3, 2, 1]
    positive, negative, _ = texts(found, 0, "train")
    assert positive == [f"train 0 positive text {n}" for n in range(3)]
    assert negative == [f"train -1 negative text {n}" for n in range(4)]
    assert len(found.texts_of(1, "train")[1]) == 8  # there is no shared negative of maths
    assert found.dropped == NOTHING


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"category": "perhaps"}, "row 1, is 'perhaps' of 0"),
        ({"concept_id": None}, "row 1, is 'positive' of None"),
        ({"output": ""}, "holds no text"),
    ],
)
def test_an_axbench_row_that_is_not_understood_is_named(
    loaded: Study, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    ref = ConceptRef("axbench", str(bench(tmp_path / "bench", **change)))
    with pytest.raises(CorpusError, match=words):
        opened(loaded, ref)


def test_an_axbench_folder_that_lacks_a_table_or_a_column_names_it(
    loaded: Study, tmp_path: Path
) -> None:
    folder = bench(tmp_path / "bench")
    path = folder / "latent_eval_data.parquet"
    pl.read_parquet(path).drop("concept_genre").write_parquet(path)
    with pytest.raises(CorpusError, match=r"latent_eval_data\.parquet has no concept_genre"):
        opened(loaded, ConceptRef("axbench", str(folder)))
    path.unlink()
    with pytest.raises(CorpusError, match=r"latent_eval_data\.parquet does not exist"):
        opened(loaded, ConceptRef("axbench", str(folder)))


# ---------------------------------------------------------------- topics and domains


def test_topics_of_the_corpus_are_concepts(loaded: Study) -> None:
    found = opened(loaded, ConceptRef("topics"))
    assert found.concepts["name"].to_list() == ["harbour", "kitchen", "orchard"]
    positive, negative, _ = everything(found, found.number_of("kitchen"))
    assert len(positive) == 8
    assert len(negative) == 16
    whole = Path(loaded.corpus.sources[0].path) / "kitchen" / "0.txt"
    begins = next(text for text in positive if whole.read_text().startswith(text))
    assert 250 <= len(begins) <= 500
    assert whole.read_text()[len(begins)].isspace()


def test_a_corpus_of_one_topic_has_no_concepts(loaded: Study) -> None:
    one = replace(loaded.corpus.sources[0], path=f"{loaded.corpus.sources[0].path}/kitchen")
    alone = replace(loaded, corpus=replace(loaded.corpus, sources=(one,)))
    with pytest.raises(
        CorpusError, match=r"Of the corpus's topics, 1 have 4 documents.*topic_field"
    ):
        opened(alone, ConceptRef("topics"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("short  text\n", "short  text\n"),
        ("x" * 499 + " " + "y" * 300, "x" * 499),
        ("x" * 500 + "\n" + "y" * 300, "x" * 500),
        ("x " * 400, "x " * 249 + "x"),
        ("海" * 900, "海" * 500),  # no white space to cut at
        ("a " + "海" * 900, "a " + "海" * 498),
    ],
)
def test_a_document_is_cut_at_white_space_where_it_has_some(text: str, expected: str) -> None:
    assert head(text) == expected


LICENCE = "  1 This is not a synset, and begins with two spaces | as all of the licence does\n"
PARTS = {"noun": (5, 13, 9), "verb": (38, 43), "adj": (0,), "adv": (2,)}
TOO_FEW = 9


def wordnet(folder: Path) -> ConceptRef:
    """Data files as WordNet's, with six synsets of each domain but one of `TOO_FEW`."""
    folder.mkdir()
    for part, domains in PARTS.items():
        lines = [
            f"{n:08d} {d:02d} {part[0]} 02 odd_{part} 0 other 1 001 @ 00001740 n 0000 | "
            f'gloss {d} number {n} tells it; "a use of it"  \n'
            for d in domains
            for n in range(1 if d == TOO_FEW else 6)
        ]
        marked = "".join(lines).replace("odd_adj", "odd_adj(p)")  # as predicates are
        (folder / f"data.{part}").write_text(LICENCE + marked)
    return ConceptRef("wordnet", str(folder))


def test_domains_of_wordnet_are_concepts(loaded: Study, tmp_path: Path) -> None:
    found = opened(loaded, wordnet(tmp_path / "wn"))
    named = dict(found.concepts.select("name", "genre").iter_rows())
    assert named == {
        "adj.all": "adj",
        "adv.all": "adv",
        "noun.animal": "noun",
        "noun.food": "noun",
        "verb.motion": "verb",
        "verb.weather": "verb",
    }
    positive, negative, _ = everything(found, found.number_of("noun.animal"))
    assert positive == [f'gloss 5 number {n} tells it; "a use of it"' for n in range(6)]
    assert len(set(negative)) == 12
    assert not any(text.startswith("gloss 5 ") for text in negative)
    assert set(found.tokens.documents["title"]) == {"odd noun", "odd verb", "odd adj", "odd adv"}
    assert found.dropped == NOTHING | {"too_few": 1}


def test_the_domains_are_numbered_as_wordnet_does() -> None:
    assert len(set(DOMAINS)) == 45
    known = {0: "adj.all", 3: "noun.Tops", 18: "noun.person", 28: "noun.time", 29: "verb.body"}
    assert {at: DOMAINS[at] for at in known} == known
    assert DOMAINS[43:] == ("verb.weather", "adj.ppl")


def test_a_line_that_is_no_synset_is_named(loaded: Study, tmp_path: Path) -> None:
    ref = wordnet(tmp_path / "wn")
    with (tmp_path / "wn" / "data.adv").open("a") as file:
        file.write("00000001 77 n 01 odd 0 000 | no such domain\n")
    with pytest.raises(CorpusError, match=r"data\.adv, line 8, is no synset"):
        opened(loaded, ref)


# ---------------------------------------------------------------- what is wrong with a set


def bad_sets(folder: Path) -> Iterator[tuple[ConceptRef, str]]:
    yield ConceptRef("poems"), "no concept set of kind 'poems'.*axbench"
    yield ConceptRef("file"), "needs a path"
    yield ConceptRef("file", str(folder / "no.csv")), r"no\.csv does not exist"
    yield ConceptRef("file", str(folder)), "is no table"
    yield ConceptRef("wordnet", str(folder)), r"data\.noun does not exist.*apt-get"
    yield ConceptRef("axbench", str(folder)), r"train_data\.parquet does not exist"
    good = rows_of({"1": 4, "0": 4})
    given = {
        "no text": ([{"words": "a", "label": 1}], "no text column.*words, label.*text or output"),
        "no label": ([{"text": "a", "class": 1}], "no label column.*text, class"),
        "label missing": ([*good, {"text": "a"}], "row 9, has no label"),
        "number for a text": ([*good, {"text": 7, "label": 1}], "row 9, has 7 for a text"),
        "no object": ([*good, ["a", 1]], "row 9, is no object"),
        "bad split": ([{**row, "split": "dev"} for row in good], "row 1, is of the split 'dev'"),
        "some split": ([{**good[0], "split": "test"}, good[1]], "row 2, has no split"),
        "typo": (
            [{**good[0], "concept": "a", "label": "postive"}],
            "row 1, has the label 'postive'",
        ),
        "one class": (rows_of({"1": 9}), "'one class' has no negative texts in train"),
        "one label": (rows_of({"joy": 9}), "'joy' has no negative texts in train"),
        "three": (
            rows_of({"1": 3, "0": 9}),
            "'three' has 1 positive text in test.*needs 2.*4 of each",
        ),
        "few": (rows_of({"1": 2, "0": 1}), "its texts are 3 in all"),
        "only hard": (
            rows_of({"1": 4, "hard negative": 9}),
            "no negative texts.*hard .*not counted",
        ),
        "none": ([{"text": " ", "label": 1}], "holds no text"),
    }
    for name, (rows, words) in given.items():
        yield table(folder / f"{name}.jsonl", rows), words
    split = [{**row, "split": "train"} for row in good] + [
        {**good[0], "text": "b", "split": "test"}
    ]
    yield table(folder / "lopsided.jsonl", split), "'lopsided' has 1 positive text in test"
    raw = {
        "latin.csv": ("text,label\ncafé,1\n".encode("latin-1"), r"latin\.csv is not UTF-8"),
        "broken.jsonl": (
            b'{"text": "a", "label": 1}\n{"text": \n',
            r"broken\.jsonl, line 2, is not",
        ),
        "broken.parquet": (b"PAR1", "is not Parquet"),
        "nothing.csv": (b"", "holds no texts"),
    }
    for name, (content, words) in raw.items():
        (folder / name).write_bytes(content)
        yield ConceptRef("file", str(folder / name)), words


def test_whatever_is_wrong_with_a_set_is_said(loaded: Study, tmp_path: Path) -> None:
    for ref, words in bad_sets(tmp_path):
        with pytest.raises(CorpusError, match=words) as raised:
            opened(loaded, ref)
        assert raised.value.remedy


def test_a_file_that_changes_is_another_set(tmp_path: Path) -> None:
    ref = table(tmp_path / "a.csv", rows_of({"1": 4, "0": 4}))
    before = concept_sets.resolve(ref)
    assert before == concept_sets.resolve(ref) == concept_sets.resolve(before)
    table(tmp_path / "a.csv", rows_of({"1": 5, "0": 4}))
    assert concept_sets.resolve(ref).digest != before.digest
    assert concept_sets.resolve(ConceptRef("topics")) == ConceptRef("topics")


def test_sets_in_a_folder_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concept_wordnet, "FOLDER", tmp_path / "nowhere")
    topics = ConceptRef("topics")  # of the study's corpus, which is always there
    assert concept_sets.available(tmp_path / "nowhere") == [topics]
    inside = bench(tmp_path / "bench")
    mine = table(tmp_path / "mine.csv", rows_of({"1": 4}))
    (tmp_path / "notes.txt").write_text("not a table")
    assert concept_sets.available(tmp_path) == [ConceptRef("axbench", str(inside)), mine, topics]
    assert concept_sets.available(inside) == [ConceptRef("axbench", str(inside)), topics]
    monkeypatch.setattr(concept_wordnet, "FOLDER", Path(wordnet(tmp_path / "wn").path))
    assert concept_sets.available(tmp_path)[-2:] == [ConceptRef("wordnet"), topics]


def test_a_source_is_one_module_and_one_line(
    loaded: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A toy source of folders with a table in them: found, chosen, named on screen and read."""

    def table_of(ref: ConceptRef) -> Path:
        return Path(ref.path) / "toy.csv"

    toy = ConceptSource(
        "toy",
        "toys",
        "folder",
        lambda ref: concept_tables.existing([table_of(ref)], "Name a folder with a toy.csv."),
        lambda ref, _documents: concept_files.read_table(table_of(ref)),
    )
    monkeypatch.setitem(concept_sources.SOURCES, "toy", toy)
    monkeypatch.setenv("TESSERA_ANNOTATIONS", str(tmp_path))
    folder = concept_choices.folder() / "blocks"
    folder.mkdir(parents=True)
    table(folder / "toy.csv", rows_of({"1": 4, "0": 4}))
    named = {choice.name: choice for choice in concept_choices.concept_sets()}
    assert (named["blocks"].ref.kind, named["blocks"].title) == ("toy", "toys")
    assert concept_choices.choose(str(folder)) == concept_choices.choose("blocks")
    found = opened(loaded, concept_choices.choose("blocks"))
    assert found.concepts["name"].to_list() == ["toy"]
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(CorpusError, match="does not exist"):
        concept_choices.choose(str(empty))
