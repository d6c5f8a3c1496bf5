"""Texts in, tokens and contexts out: nothing lost, nothing altered, nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import GPT2Config, PreTrainedTokenizerFast

from backend.corpus import sources
from backend.corpus.contexts import Tokens, _documents, tokenize
from backend.corpus.repeats import Deduplicator
from backend.models import language_model
from backend.schema import (
    CorpusError,
    CorpusRef,
    ModelRef,
    NotFoundError,
    SourceRef,
)

LINES = [
    "the boat came into the harbour before the storm",
    "the kettle sang while the butter melted on the bread",
    "a gull took the bread and the captain laughed",
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelRef:
    """A byte-level tokenizer, as GPT-2's: one character may be several tokens."""
    folder = tmp_path_factory.mktemp("model")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<bos>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(LINES, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<bos>")
    fast.save_pretrained(folder)
    GPT2Config(vocab_size=400, n_layer=1, n_embd=8, n_head=1).save_pretrained(folder)
    source = f"folder:{folder}"
    return ModelRef(source, language_model.resolve(source), "float32")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for texts, and an empty cache."""
    monkeypatch.setenv("TESSERA_CACHE", str(tmp_path / "cache"))
    texts = tmp_path / "texts"
    texts.mkdir()
    return texts


def files(path: Path, **fields: str) -> SourceRef:
    return SourceRef("files", str(path), **fields)


def cut(model: ModelRef, path: Path, tokens: int = 0, length: int = 16, **fields: str) -> Tokens:
    corpus = CorpusRef((sources.resolve(files(path, **fields)),), tokens, length)
    return Tokens(tokenize(model, corpus))


def story(number: int, words: int = 40) -> str:
    rng = np.random.default_rng(number)
    return " ".join(rng.choice(" ".join(LINES).split(), words)) + f" {number}"


# ---------------------------------------------------------------- tokens and their text

ODD = {
    "emoji": "a 🙂 and a family 👩‍👩‍👧 and a flag 🇪🇪",
    "rare script": "𒀀𒀁 cuneiform, 𓂀 hieroglyph",
    "right to left": "שלום עולם and مرحبا بالعالم",
    "combining": "e\u0301 is not é",
    "line ends": "one\r\ntwo\rthree\n\n\nfour",
    "markup": "<script>alert('x')</script> & &amp; </td>",
    "control characters": "bell \x07 null \x00 escape \x1b[31m end",
    "separators": "line\u2028paragraph\u2029next\x85line\x0bvertical\x0cpage",
    "leading and trailing space": "  \t two before, two after  \n",
    "one token": "a",
    "only emoji": "🙂",
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
def test_the_pieces_of_a_document_join_to_its_text(
    model: ModelRef, folder: Path, text: str
) -> None:
    (folder / "odd.txt").write_bytes(text.encode())
    tokens = cut(model, folder)
    assert tokens.documents["text"].to_list() == [text]
    assert "".join(tokens.pieces(0, len(tokens))) == text


def test_a_space_that_offsets_leave_out_belongs_to_the_token_after_it(
    model: ModelRef, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trimming = Tokenizer.from_file(f"{model.source.removeprefix('folder:')}/tokenizer.json")
    trimming.post_processor = processors.ByteLevel(trim_offsets=True)
    fast = PreTrainedTokenizerFast(tokenizer_object=trimming, bos_token="<bos>")
    monkeypatch.setattr("backend.corpus.contexts.tokenizer", lambda _: fast)
    (folder / "one.txt").write_text(" the boat the storm")
    tokens = cut(model, folder)
    assert tokens.starts.tolist() == [0, 5, 10, 14]
    assert list(tokens.pieces(0, 4)) == [" the", " boat", " the", " storm"]
    assert list(tokens.pieces(2, 4)) == [" the", " storm"]


@hypothesis_settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text(min_size=1, max_size=40), position=st.integers(0, 200))
def test_pieces_join_wherever_the_text_is_parted(
    model: ModelRef, folder: Path, text: str, position: int
) -> None:
    if not text.strip():
        return
    (folder / "odd.txt").write_bytes(text.encode())
    tokens = cut(model, folder)
    position = min(position, len(tokens))
    parted = [*tokens.pieces(0, position), *tokens.pieces(position, len(tokens))]
    assert len(parted) == len(tokens)
    assert "".join(parted) == text


def test_a_character_of_several_tokens_is_shown_once(model: ModelRef, folder: Path) -> None:
    (folder / "odd.txt").write_text("🙂 a", encoding="utf-8")
    tokens = cut(model, folder)
    pieces = [piece for piece in tokens.pieces(0, len(tokens)) if piece]
    assert len(pieces) < len(tokens)
    assert pieces[0] == "🙂"
    assert "".join(pieces) == "🙂 a"


def test_contexts_cover_every_token_once_and_leave_room_for_the_bos(
    model: ModelRef, folder: Path
) -> None:
    for number in range(5):
        (folder / f"{number}.txt").write_text(story(number))
    tokens = cut(model, folder, length=16)
    table = tokens.contexts
    assert table["length"].max() == 15
    assert table["length"].sum() == len(tokens) == tokens.documents["tokens"].sum()
    assert table["first_token"].to_list() == [0, *table["length"].cum_sum().to_list()[:-1]]
    for document in range(5):
        first, last = tokens.document_span(document)
        assert (tokens.document_of[first:last] == document).all()
        assert "".join(tokens.pieces(first, last)) == tokens.documents["text"][document]


def test_a_document_that_does_not_exist_is_an_error(model: ModelRef, folder: Path) -> None:
    (folder / "one.txt").write_text("only one")
    with pytest.raises(NotFoundError, match="documents 0 to 0"):
        cut(model, folder).document_span(1)


def test_the_budget_cuts_exactly_and_a_larger_corpus_begins_with_the_smaller(
    model: ModelRef, folder: Path
) -> None:
    for number in range(12):
        (folder / f"{number}.txt").write_text(story(number, 20 + 5 * number))
    small, large, whole = (cut(model, folder, tokens) for tokens in (150, 400, 0))
    assert (len(small), len(large)) == (150, 400)
    assert np.array_equal(small.ids, large.ids[:150])
    assert np.array_equal(large.ids, whole.ids[:400])
    assert (
        small.documents["title"].to_list()
        == whole.documents["title"].to_list()[: len(small.documents)]
    )
    first, last = small.document_span(len(small.documents) - 1)
    assert small.documents["text"][-1].startswith("".join(small.pieces(first, last)))


def test_every_prefix_has_the_topics_of_the_whole(folder: Path) -> None:
    for topic, count in (("news", 30), ("sport", 10)):
        (folder / topic).mkdir()
        for number in range(count):
            (folder / topic / f"{number}.txt").write_text(story(number + 1000 * (topic == "news")))
    documents, _ = _documents(CorpusRef((files(folder),), 0))
    topics = [topic for _, topic, _, _ in documents]
    assert len(topics) == 40
    for size in (8, 16, 24, 32):
        assert abs(topics[:size].count("sport") - size / 4) <= 1
    assert [d[3] for d in documents] != sorted(d[3] for d in documents)


def test_the_seed_changes_the_order_and_nothing_else(folder: Path) -> None:
    for number in range(12):
        (folder / f"{number}.txt").write_text(story(number))
    first, second, other = (
        _documents(CorpusRef((files(folder),), 0, seed=s))[0] for s in (0, 0, 1)
    )
    assert first == second
    assert first != other
    assert sorted(first) == sorted(other)


# ---------------------------------------------------------------- the same text twice


def test_repeats_are_dropped_and_counted(model: ModelRef, folder: Path) -> None:
    original = story(1, 200)
    (folder / "1.txt").write_text(original)
    (folder / "2.txt").write_text(original)
    (folder / "3.txt").write_text(original.upper() + "\n")
    (folder / "4.txt").write_text(original.replace("boat", "ship", 1))
    (folder / "5.txt").write_text(story(2, 200))
    tokens = cut(model, folder)
    assert len(tokens.documents) == 2
    assert tokens.entry.value("repeats") == 3


def test_texts_that_share_a_passage_are_both_kept() -> None:
    deduplicator = Deduplicator()
    shared = story(1, 50)
    assert not deduplicator.is_repeat(f"{shared} {story(2, 150)}")
    assert not deduplicator.is_repeat(f"{shared} {story(3, 150)}")


@pytest.mark.parametrize("text", ["a", "!!!", "🙂", "…" * 5000])
def test_texts_without_words_are_compared_whole(text: str) -> None:
    deduplicator = Deduplicator()
    assert not deduplicator.is_repeat(text)
    assert deduplicator.is_repeat(text)
    assert not deduplicator.is_repeat(text + "?b")


# ---------------------------------------------------------------- texts that hold little or nothing


def test_a_corpus_without_text_says_so(model: ModelRef, folder: Path) -> None:
    (folder / "empty.txt").write_text("")
    (folder / "blank.txt").write_text(" \n\t ")
    (folder / "none.csv").write_text("text\n")
    with pytest.raises(CorpusError, match="holds no text"):
        cut(model, folder)


def test_empty_files_beside_full_ones_do_no_harm(model: ModelRef, folder: Path) -> None:
    (folder / "empty.txt").write_text("")
    (folder / "full.txt").write_text("a text")
    assert cut(model, folder).documents["title"].to_list() == ["full"]


def test_a_tokenizer_that_drops_a_text_drops_the_document(
    model: ModelRef, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = language_model.tokenizer(model)

    def forgetful(batch: list[str], **options: Any) -> Any:
        return whole(["" if "lost" in text else text for text in batch], **options)

    monkeypatch.setattr("backend.corpus.contexts.tokenizer", lambda _: forgetful)
    (folder / "1.txt").write_text("lost words")
    (folder / "2.txt").write_text("kept words")
    assert cut(model, folder).documents["title"].to_list() == ["2"]
    (folder / "2.txt").write_text("lost too")
    with pytest.raises(CorpusError, match="holds no tokens"):
        cut(model, folder)


def test_half_a_surrogate_pair_becomes_the_replacement_character(
    model: ModelRef, folder: Path
) -> None:
    (folder / "t.jsonl").write_text(r'{"text": "half \ud83d, whole \ud83d\ude42"}')
    tokens = cut(model, folder)
    assert tokens.documents["text"].to_list() == ["half \ufffd, whole 🙂"]


def test_more_of_a_stream_begins_with_the_same_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"text": story(n), "label": f"topic {n % 3}"} for n in range(60)]

    def stream(*_: Any, **__: Any) -> Iterator[dict[str, str]]:
        yield from rows

    monkeypatch.setattr(datasets, "load_dataset", stream)
    source = SourceRef("hub", "some/texts", topic_field="label", digest="commit")
    small, large = (_documents(CorpusRef((source,), tokens))[0] for tokens in (50, 300))
    assert len(small) < len(large)
    assert small == large[: len(small)]
    assert large[4] == ("hub", "topic 1", "some/texts 4", rows[4]["text"])
