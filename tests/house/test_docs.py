"""What the documents say is so: links lead somewhere, commands exist, names are explained."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from backend import settings
from backend.__main__ import commands

ROOT = settings.ROOT
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "studies").rglob("*.md")),
]
ROOMS = [init.parent for init in sorted((ROOT / "backend").glob("*/__init__.py"))]
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(#[^)\s]*)?\)")
CODE = re.compile(r"`([^`\n]+)`")


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("document", PAGES, ids=relative)
def test_links_lead_to_files_that_are_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    local = [link for link, _ in LINK.findall(text) if "://" not in link]
    assert [link for link in local if not (document.parent / link).exists()] == []


def test_the_readme_names_only_commands_that_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    names = set()
    for page in PAGES:
        names |= set(re.findall(r"\bmake ([a-z][a-z-]+)\b", _code_of(page)))
    assert {"run", "test"} <= names <= targets


def test_python_commands_in_the_documents_exist() -> None:
    known_commands = {*commands(), "cache", "completion", "prepare", "worker"}
    names, modules = set(), set()
    for page in PAGES:
        code = _code_of(page)
        names |= set(re.findall(r"-m backend ([a-z_]+)", code))
        modules |= set(re.findall(r"-m ((?:benchmarks|scripts)\.[a-z_]+)", code))
    assert names <= known_commands
    assert [name for name in modules if not (ROOT / f"{name.replace('.', '/')}.py").exists()] == []


def test_names_of_code_in_the_architecture_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    names = [name for name in CODE.findall(text) if re.fullmatch(r"[a-z_]+(\.[A-Za-z_]+)+", name)]
    missing = [name for name in names if not _exists(name)]
    assert len(names) > 20
    assert missing == []


def test_files_in_the_documents_exist() -> None:
    folders = "backend|benchmarks|components|docs|pages|scripts|studies|tests"
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        names = re.findall(rf"`((?:{folders})/[\w./-]*)`", text)
        exceptions = ("studies/mine.toml",)
        missing = [name for name in names if name not in exceptions and not (ROOT / name).exists()]
        assert missing == [], relative(page)


def test_the_glossary_explains_the_words_on_screen() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").casefold()
    explained = " ".join(re.findall(r"\*\*([^*]+)\*\*", text))
    words = """site context example exemplar region partition point centre threshold gray uncovered
    overlap margin runner-up isolation coherence token-driven explained null density fvu recovered
    lift wilson co-firing chunk entry recipe stop preview explanation label explainer scorer
    detection fuzzing verbalizer concept expert tier feature activation"""
    assert [word for word in words.split() if word not in explained] == []


def _code_of(page: Path) -> str:
    """What a page sets in code: indented lines, fences, and spans."""
    text = page.read_text(encoding="utf-8")
    lines = re.findall(r"^ {4}.*$", text, re.MULTILINE)
    fences = re.findall(r"^```.*?^```", text, re.MULTILINE | re.DOTALL)
    return "\n".join([*lines, *fences, *CODE.findall(text)])


def _exists(name: str) -> bool:
    """A file, or an attribute of a backend module, as the architecture shortens them."""
    if any((folder / name).exists() for folder in (ROOT, ROOT / "backend", *ROOMS)):
        return True
    if name in ("recipe.json", "regions.parquet"):
        return True  # in the cache
    path, _, attribute = name.rpartition(".")
    for package in ("", *(f"{room.name}." for room in ROOMS)):
        for module, rest in ((f"{package}{path}", attribute), (f"{package}{name}", "")):
            try:
                imported = importlib.import_module(f"backend.{module}")
            except ModuleNotFoundError:
                continue
            if not rest or hasattr(imported, rest):
                return True
    owner, _, member = name.partition(".")
    from backend.store import memo

    return hasattr(getattr(memo, owner, None), member)
