"""The rules of the house that no linter knows: what pages may do, what nobody may do, pins."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from backend import settings

ROOT = settings.ROOT
OURS = ("app", "backend", "benchmarks", "components", "pages", "scripts", "tests")
SOURCES = [
    ROOT / "app.py",
    *(path for folder in OURS for path in sorted((ROOT / folder).rglob("*.py"))),
]
SHIPPED = [path for path in SOURCES if path.relative_to(ROOT).parts[0] != "tests"]
PAGES = [path for path in SOURCES if path.parent == ROOT / "pages"]
COMPONENTS = [path for path in SOURCES if ROOT / "components" in path.parents]


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def imports(path: Path) -> set[str]:
    """Dotted names of the modules that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


# ---------------------------------------------------------------- evaluations


@pytest.mark.parametrize("side", ["backend", "components"])
def test_evaluations_know_nothing_of_each_other(side: str) -> None:
    folders = [
        path for path in (ROOT / side / "evals").iterdir() if (path / "__init__.py").exists()
    ]
    assert len(folders) >= 3
    for folder in folders:
        others = tuple(f"{side}.evals.{other.name}." for other in folders if other != folder)
        for path in folder.rglob("*.py"):
            assert not [name for name in imports(path) if f"{name}.".startswith(others)], path


# ---------------------------------------------------------------- pages


@pytest.mark.parametrize("script", PAGES, ids=relative)
def test_a_page_asks_queries_and_renders_components(script: Path) -> None:
    allowed = re.compile(
        r"__future__\.|(streamlit|polars|components)\b|backend\.(queries$|(schema|(\w+\.)+(views|words))\.)"
    )
    others = {name for name in imports(script) if not allowed.match(name)}
    assert {name for name in others if name.split(".")[0] not in sys.stdlib_module_names} == set()


@pytest.mark.parametrize("script", PAGES, ids=relative)
def test_a_page_is_short_and_begins_with_the_frame(script: Path) -> None:
    assert len(script.read_text(encoding="utf-8").splitlines()) <= 80
    calls = [
        node.func.id
        for node in nodes(script)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    assert "frame" in calls


# ---------------------------------------------------------------- components


@pytest.mark.parametrize("path", COMPONENTS, ids=relative)
def test_a_component_knows_views_and_words_alone(path: Path) -> None:
    """Of the backend it imports what both sides share; and it computes nothing: no torch."""
    shared = re.compile(r"backend\.(schema|evals\.evaluation|(\w+\.)+(views|words))\b")
    parts = {name for name in imports(path) if name.startswith("backend.")}
    assert {name for name in parts if not shared.match(name)} == set()
    assert {"torch", "transformers"} & {name.split(".")[0] for name in imports(path)} == set()


# ---------------------------------------------------------------- everywhere


@pytest.mark.parametrize("path", SHIPPED, ids=relative)
def test_nothing_foreign_is_executed(path: Path) -> None:
    """No pickle, no eval, no code from a model repository."""
    roots = {name.split(".")[0] for name in imports(path)}
    assert roots & {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"} == set()
    for node in nodes(path):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        assert name not in ("eval", "exec", "torch.load", "compile", "os.system"), name
        for keyword in node.keywords:
            value = ast.unparse(keyword.value)
            assert (keyword.arg, value) != ("allow_pickle", "True")
            assert (keyword.arg, value) != ("shell", "True")
            assert keyword.arg != "trust_remote_code"


@pytest.mark.parametrize("path", SHIPPED, ids=relative)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


# ---------------------------------------------------------------- what is installed


def pins(name: str) -> dict[str, str]:
    """Package to version of a requirements file; fails where a line is not an exact pin."""
    names = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        requirement = line.partition("#")[0].strip()
        if requirement:
            package, _, version = requirement.partition("==")
            assert version, f"{name}: {line}"
            names[plain(package)] = version
    return names


def plain(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def test_every_version_is_pinned_once() -> None:
    lock = pins("constraints.txt")
    for name in ("requirements.txt", "requirements-dev.txt"):
        requirement = pins(name)
        assert requirement == {package: lock.get(package) for package in requirement}


def test_what_is_imported_is_required() -> None:
    offered = packages_distributions()
    app = pins("requirements.txt")
    everything = app | pins("requirements-dev.txt")
    for path in SOURCES:
        allowed_packages = (
            everything if path not in SHIPPED or path.parent == ROOT / "benchmarks" else app
        )
        for module in {name.split(".")[0] for name in imports(path)}:
            if module in sys.stdlib_module_names or module in OURS:
                continue
            packages = {plain(package) for package in offered.get(module, [module])}
            packages |= {"pydantic"} if module == "pydantic_core" else set()
            assert packages & allowed_packages.keys(), f"{relative(path)} imports {module}"
