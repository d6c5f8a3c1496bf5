"""Where texts come from: every kind of file, the packages, the hub, and what cannot be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub
import numpy as np
import polars as pl
import pytest

from backend.corpus import sources
from backend.schema import CorpusError, SourceRef

WORDS = ["boat", "came", "harbour", "before", "storm", "gull", "bread", "captain"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for texts."""
    return tmp_path


def files(path: Path, **fields: str) -> SourceRef:
    return SourceRef("files", str(path), **fields)


def texts(path: Path, **fields: str) -> list[str]:
    return [text for _, _, text in sources.read(files(path, **fields), 0)]


def refused(path: Path, **fields: str) -> CorpusError:
    with pytest.raises(CorpusError) as caught:
        texts(path, **fields)
    assert caught.value.remedy
    return caught.value


def story(number: int, words: int = 40) -> str:
    rng = np.random.default_rng(number)
    return " ".join(rng.choice(WORDS, words))


# ---------------------------------------------------------------- files of every kind


def test_text_files_take_their_folder_as_topic(folder: Path) -> None:
    (folder / "news" / "deep").mkdir(parents=True)
    for path in ("top.txt", "news/one.md", "news/deep/two.TXT"):
        (folder / path).write_text(story(len(path)))
    (folder / "news" / "picture.png").write_bytes(b"\x89PNG")
    documents = {title: topic for topic, title, _ in sources.read(files(folder), 0)}
    assert documents == {"top": "all", "one": "news", "two": "deep"}


def test_a_single_file_is_a_corpus(folder: Path) -> None:
    (folder / "one.txt").write_text("a text")
    assert list(sources.read(files(folder / "one.txt"), 0)) == [("all", "one", "a text")]


def test_tables_give_a_document_per_row(folder: Path) -> None:
    rows = [
        {"body": 'first,\r\n"quoted" text', "kind": "a"},
        {"body": "second\x85 with\u2028 odd line ends", "kind": ""},
        {"body": "third", "kind": "b"},
    ]
    lines = "\n".join(json.dumps(row) for row in rows)
    (folder / "t.jsonl").write_text(f"{lines}\n\n", encoding="utf-8")
    table = pl.DataFrame(rows)
    table.write_csv(folder / "t.csv")
    table.write_parquet(folder / "t.parquet")
    for name in ("t.jsonl", "t.csv", "t.parquet"):
        ref = files(folder / name, text_field="body", topic_field="kind")
        assert list(sources.read(ref, 0)) == [
            ("a", "t 1", rows[0]["body"]),
            ("all", "t 2", rows[1]["body"]),
            ("b", "t 3", "third"),
        ]


def test_a_numeric_topic_of_zero_is_a_topic(folder: Path) -> None:
    (folder / "t.jsonl").write_text('{"text": "x", "label": 0}\n{"text": "y", "label": null}')
    ref = files(folder, topic_field="label")
    assert [topic for topic, _, _ in sources.read(ref, 0)] == ["0", "all"]


def test_byte_order_marks_are_no_text(folder: Path) -> None:
    (folder / "a.txt").write_bytes(b"\xef\xbb\xbfhello")
    (folder / "b.csv").write_bytes(b"\xef\xbb\xbftext\r\nworld\r\n")
    assert texts(folder) == ["hello", "world"]


def test_a_line_of_ten_megabytes_is_cut_into_parts(folder: Path) -> None:
    line = ("a line without an end, " * 500_000)[:10_000_000]
    (folder / "long.jsonl").write_text(json.dumps({"text": line}))
    parts = list(sources.read(files(folder), 0))
    assert "".join(text for _, _, text in parts) == line
    assert max(len(text) for _, _, text in parts) <= sources.LONGEST
    assert (parts[0][1], parts[-1][1]) == ("long 1 (1)", "long 1 (100)")


# ---------------------------------------------------------------- what cannot be read


@pytest.mark.parametrize(
    ("raw", "encoding"),
    [("café".encode("latin-1"), "LATIN1"), ("café".encode("utf-16"), "UTF-16")],
)
@pytest.mark.parametrize("name", ["odd.txt", "odd.csv", "odd.jsonl"])
def test_another_encoding_names_the_file_and_the_command(
    folder: Path, raw: bytes, encoding: str, name: str
) -> None:
    (folder / name).write_bytes(raw)
    error = refused(folder)
    assert name in error.problem
    assert "not UTF-8" in error.problem
    assert f"iconv -f {encoding} -t UTF-8 {name}" in error.remedy


@pytest.mark.parametrize("line", ["{'text': 'x'}", '{"text": ', "[" * 100_000])
def test_a_bad_jsonl_line_is_named(folder: Path, line: str) -> None:
    (folder / "t.jsonl").write_text(f'{{"text": "good"}}\n\n{line}\n')
    error = refused(folder)
    assert "t.jsonl, line 3, is not JSON" in error.problem


@pytest.mark.parametrize("line", ['{"body": "x"}', '{"text": 3}', '"text"', "[]", "null"])
def test_a_row_without_the_text_field_is_named(folder: Path, line: str) -> None:
    (folder / "t.jsonl").write_text(f'{{"text": "good"}}\n{line}\n')
    error = refused(folder)
    assert "t.jsonl, row 2, has no text in the field 'text'" in error.problem
    assert "text_field" in error.remedy


def test_a_csv_without_the_column_names_those_it_has(folder: Path) -> None:
    (folder / "t.csv").write_text("title,body\na,b\n")
    assert "title, body" in refused(folder).remedy


def test_a_broken_csv_is_named(folder: Path) -> None:
    (folder / "t.csv").write_bytes(b"text\ngood\nbad\rline\n")
    assert texts(folder) == ["good", "bad", "line"]
    (folder / "t.parquet").write_bytes(b"PAR1 but not really")
    assert "t.parquet is not Parquet" in refused(folder).problem


@pytest.mark.parametrize("make", ["missing", "empty", "pictures"])
def test_a_path_without_texts_is_named(folder: Path, make: str) -> None:
    path = folder / make
    if make != "missing":
        path.mkdir()
    if make == "pictures":
        (path / "a.png").write_bytes(b"")
    with pytest.raises(CorpusError, match=make) as caught:
        sources.resolve(files(path))
    assert "`path`" in caught.value.remedy


def test_a_file_that_cannot_be_opened_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "secret.txt").write_text("x")

    def denied(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", denied)
    with pytest.raises(CorpusError, match=r"secret\.txt cannot be read \(Permission denied\)"):
        sources.resolve(files(folder))


def test_an_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(CorpusError, match="bbc-news, encyclopedia, files, hub"):
        sources.resolve(SourceRef("newsgroups"))


@pytest.mark.parametrize("kind", ["bbc-news", "encyclopedia"])
def test_a_corpus_package_that_is_missing_names_the_command(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sources.PACKAGES, kind, "no-such-package")
    with pytest.raises(CorpusError, match=f"carries the {kind} texts") as caught:
        sources.resolve(SourceRef(kind))
    assert "make env" in caught.value.remedy


# ---------------------------------------------------------------- digests


def test_the_digest_follows_contents_and_places(folder: Path) -> None:
    def digest() -> str:
        return sources.resolve(files(folder)).digest

    (folder / "a").mkdir()
    (folder / "a" / "x.txt").write_text("one")
    before = digest()
    assert digest() == before
    (folder / "a" / "x.txt").write_text("two")
    changed = digest()
    (folder / "b").mkdir()
    (folder / "a" / "x.txt").rename(folder / "b" / "x.txt")
    assert len({before, changed, digest()}) == 3


# ---------------------------------------------------------------- the hub, played by stand-ins


def hub(monkeypatch: pytest.MonkeyPatch, rows: list[dict[str, Any]]) -> list[int]:
    """Plays a dataset of these rows; the list gains the number of each row that is taken."""
    numbers: list[int] = []

    def stream(*_: Any, **options: Any) -> Any:
        assert options["streaming"]
        for number, row in enumerate(rows):
            numbers.append(number)
            yield row

    monkeypatch.setattr(datasets, "load_dataset", stream)
    return numbers


def test_a_stream_is_read_only_as_far_as_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = hub(monkeypatch, [{"text": story(n)} for n in range(100)])
    source = SourceRef("hub", "some/texts", digest="commit")
    documents = list(sources.read(source, 1000))
    assert sum(len(text) for _, _, text in documents) >= 1000
    assert len(numbers) == len(documents) < 10


def test_a_stream_without_the_text_field_names_its_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    hub(monkeypatch, [{"content": "x", "url": "y"}])
    with pytest.raises(CorpusError, match=r"some/texts, row 0, has no text") as caught:
        list(sources.read(SourceRef("hub", "some/texts", digest="commit"), 100))
    assert "content, url" in caught.value.remedy


def test_a_hub_that_cannot_be_reached_is_a_corpus_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: Any, **__: Any) -> Any:
        raise ConnectionError("name or service not known")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", unreachable)
    with pytest.raises(CorpusError, match="some/texts cannot be reached") as caught:
        sources.resolve(SourceRef("hub", "some/texts:part"))
    assert "HF_TOKEN" in caught.value.remedy
    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(CorpusError, match="some/texts cannot be reached"):
        list(sources.read(SourceRef("hub", "some/texts", digest="commit"), 100))


# ---------------------------------------------------------------- the packaged texts


@pytest.mark.real
def test_the_packaged_news_is_whole_and_its_odd_file_is_decoded() -> None:
    documents = list(sources.read(SourceRef("bbc-news"), 0))
    assert len(documents) == 2225
    assert {topic for topic, _, _ in documents} == {
        "business",
        "entertainment",
        "politics",
        "sports",
        "tech",
    }
    assert not any("\ufffd" in text for _, _, text in documents)


@pytest.mark.real
def test_the_packaged_encyclopedia_is_prose() -> None:
    documents = list(sources.read(SourceRef("encyclopedia"), 0))
    assert len(documents) > 400
    titles = [title for _, title, _ in documents]
    assert any(title.startswith("Anarchism · ") for title in titles)
    assert not any(title.endswith(("· References", "· External links")) for title in titles)
    assert sum("[[" in text or "'''" in text for _, _, text in documents) < 0.02 * len(documents)
