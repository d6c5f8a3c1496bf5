"""Names say what a value is: a noun, never a bare participle or preposition."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend import settings

ROOT = settings.ROOT
FOLDERS = ("backend", "benchmarks", "components", "pages", "scripts", "tests")
FILES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
NO_NAMES = frozenset(
    "again anew asked at beside beyond by drawn found given got held judged kept made meant of "
    "once said seen spent taken to told upon wanted".split()
)


def names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of everything that a file gives a name: values, parameters, functions,
    classes, modules under another name. Fields of a class are left out: what is stored, keyed or
    exchanged keeps its name."""
    fields = {
        node.target
        for each in ast.walk(tree)
        if isinstance(each, ast.ClassDef)
        for node in each.body
        if isinstance(node, ast.AnnAssign)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            if node not in fields:
                yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.alias) and node.asname:
            yield node.lineno or 0, node.asname


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_name_says_what_a_value_is(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert [(line, name) for line, name in names(tree) if name.strip("_").lower() in NO_NAMES] == []


@pytest.mark.parametrize(
    "code", ["found = 1", "def f(of): ...", "class _Held: ...", "import a as at"]
)
def test_a_bare_participle_is_no_name(code: str) -> None:
    assert {name.strip("_").lower() for _, name in names(ast.parse(code))} & NO_NAMES


def test_no_class_of_the_style_is_one_that_means_something_else_elsewhere() -> None:
    """A rule for `.line` alone also styled the lines of a chart's text, and one for `.pair` the
    blind questions that a script drew."""
    style = (ROOT / "components" / "shell" / "style.css").read_text(encoding="utf-8")
    alone = set(re.findall(r"(?:^|[},]\s*)\.([\w-]+)(?=\s*[{,])", style, re.MULTILINE))
    assert {"note", "dot"} <= alone, "rules are found"
    scripts = [path.read_text(encoding="utf-8") for path in (ROOT / "components").rglob("*.js")]
    set_by_scripts = {
        name
        for text in scripts
        for name in re.findall(r'classList\.(?:add|remove|toggle)\("([\w-]+)"', text)
    }
    assert not alone & (set_by_scripts | {"line", "main-svg", "point", "trace", "bg"})
