"""Where concept sets come from, and what is said of one that is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from backend.concepts import choices as concept_choices
from backend.corpus import (
    concept_files,
    concept_sources,
    concept_tables,
    concept_wordnet,
)
from backend.corpus.concept_tables import ConceptSource
from backend.corpus.concept_topics import head
from backend.corpus.concept_wordnet import DOMAINS
from backend.schema import ConceptRef, CorpusError, Study
from tests.corpus.conftest import (
    NOTHING,
    bench,
    everything,
    opened,
    rows_of,
    table,
    texts,
    wordnet,
)

# ---------------------------------------------------------------- AxBench's folders


def test_an_axbench_folder_is_a_concept_set(loaded: Study, tmp_path: Path) -> None:
    concept_set = opened(loaded, ConceptRef("axbench", str(bench(tmp_path / "bench"))))
    assert concept_set.concepts.rows() == [
        (0, "the colour of the sea", "text"),
        (1, "concept 1", "math"),
    ]
    assert [len(part) for part in concept_set.texts_of(0, "test")] == [3, 2, 0]
    assert [len(part) for part in concept_set.texts_of(1, "test")] == [3, 2, 1]
    positive, negative, _ = texts(concept_set, 0, "train")
    assert positive == [f"train 0 positive text {n}" for n in range(3)]
    assert negative == [f"train -1 negative text {n}" for n in range(4)]
    assert len(concept_set.texts_of(1, "train")[1]) == 8  # there is no shared negative of maths
    assert concept_set.dropped == NOTHING


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
    concept_set = opened(loaded, ConceptRef("topics"))
    assert concept_set.concepts["name"].to_list() == ["harbour", "kitchen", "orchard"]
    positive, negative, _ = everything(concept_set, concept_set.number_of("kitchen"))
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
        CorpusError, match=r"two topics of 4 or more documents; this corpus has one.*topic_field"
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


def test_domains_of_wordnet_are_concepts(loaded: Study, tmp_path: Path) -> None:
    concept_set = opened(loaded, wordnet(tmp_path / "wn"))
    named = dict(concept_set.concepts.select("name", "genre").iter_rows())
    assert named == {
        "adj.all": "adj",
        "adv.all": "adv",
        "noun.animal": "noun",
        "noun.food": "noun",
        "verb.motion": "verb",
        "verb.weather": "verb",
    }
    positive, negative, _ = everything(concept_set, concept_set.number_of("noun.animal"))
    assert positive == [f'gloss 5 number {n} tells it; "a use of it"' for n in range(6)]
    assert len(set(negative)) == 12
    assert not any(text.startswith("gloss 5 ") for text in negative)
    assert set(concept_set.tokens.documents["title"]) == {
        "odd noun",
        "odd verb",
        "odd adj",
        "odd adv",
    }
    assert concept_set.dropped == NOTHING | {"too_few": 1}


def test_the_domains_are_numbered_as_wordnet_does() -> None:
    assert len(set(DOMAINS)) == 45
    names = {0: "adj.all", 3: "noun.Tops", 18: "noun.person", 28: "noun.time", 29: "verb.body"}
    assert {number: DOMAINS[number] for number in names} == names
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
    sets = {
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
    for name, (rows, words) in sets.items():
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
    before = concept_sources.resolve(ref)
    assert before == concept_sources.resolve(ref) == concept_sources.resolve(before)
    table(tmp_path / "a.csv", rows_of({"1": 5, "0": 4}))
    assert concept_sources.resolve(ref).digest != before.digest
    assert concept_sources.resolve(ConceptRef("topics")) == ConceptRef("topics")


def test_sets_in_a_folder_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concept_wordnet, "FOLDER", tmp_path / "nowhere")
    topics = ConceptRef("topics")  # of the study's corpus, which is always there
    assert concept_sources.available(tmp_path / "nowhere") == [topics]
    inside = bench(tmp_path / "bench")
    mine = table(tmp_path / "mine.csv", rows_of({"1": 4}))
    (tmp_path / "notes.txt").write_text("not a table")
    assert concept_sources.available(tmp_path) == [ConceptRef("axbench", str(inside)), mine, topics]
    assert concept_sources.available(inside) == [ConceptRef("axbench", str(inside)), topics]
    monkeypatch.setattr(concept_wordnet, "FOLDER", Path(wordnet(tmp_path / "wn").path))
    assert concept_sources.available(tmp_path)[-2:] == [ConceptRef("wordnet"), topics]


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
    concept_set = opened(loaded, concept_choices.choose("blocks"))
    assert concept_set.concepts["name"].to_list() == ["toy"]
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(CorpusError, match="does not exist"):
        concept_choices.choose(str(empty))
