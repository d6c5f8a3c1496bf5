"""How much has to be touched to extend Tessera, and how tangled its code is.

    python -m benchmarks.house [--json]

- `…_files`: files that are created or changed for a scorer, an explainer, an importer, an
  evaluation with its tab, a page. Each is the example of `docs/extending.md`, written into a copy
  of the project, where it must appear in registry, command line and page;
- `circles`: groups of modules that import each other, imports within functions included;
- `layer_breaks`: broken contracts of import-linter, and imports that they are told to ignore;
- `code_lines`: lines of `.py`, `.js` and `.css` in `app.py`, `backend`, `components` and `pages`,
  blank lines and comments included; `longest_file` and `longest_function` are in lines too;
- `most_parameters`: of one function, `self` and `cls` left out.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import grimp
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from backend import settings
from benchmarks.extending import Example, check_example, examples
from benchmarks.report import Figure, main
from tests import conftest

EXTENSIONS = {"scorer": 2, "explainer": 1, "importer": 2, "evaluation": 5, "page": 3}  # at most
FOLDERS = ("backend", "components", "pages")
ENDINGS = (".py", ".js", ".css")
LONGEST_FILE, MOST_PARAMETERS = 400, 6
CONTRACTS = re.compile(r"Contracts: \d+ kept, (\d+) broken")


# ---------------------------------------------------------------- extensions


def files_of(example: Example) -> int:
    """Files that an example creates or changes; raises ValueError where it does not work."""
    with tempfile.TemporaryDirectory() as folder:
        check_example(example, Path(folder) / "copy")
    return len(example.files)


def extensions() -> list[Figure]:
    """The counts of all examples, in a small world that is computed once."""
    with tempfile.TemporaryDirectory() as folder:
        root, example_files = Path(folder), examples()
        conftest.write_world(root)
        with conftest.environment(root):
            conftest.compute("small", {"p": 10.0})
            counts = {name: files_of(example_files[name]) for name in EXTENSIONS}
    return [
        Figure(f"{name}_files", counts[name], "", most, counts[name] <= most)
        for name, most in EXTENSIONS.items()
    ]


# ---------------------------------------------------------------- imports


def circles() -> int:
    """Strongly connected groups of more than one module among all imports."""
    graph = grimp.build_graph(
        "backend", "components", exclude_type_checking_imports=True, cache_dir=None
    )
    number = {name: index for index, name in enumerate(sorted(graph.modules))}
    pairs = [
        (number[module], number[other])
        for module in number
        for other in graph.find_modules_directly_imported_by(module)
    ]
    rows, columns = np.array(pairs).T
    edges = coo_array((np.ones(len(pairs)), (rows, columns)), shape=(len(number), len(number)))
    _, group = connected_components(edges, connection="strong")
    return int((np.bincount(group) > 1).sum())


def layer_breaks() -> int:
    """Contracts that are broken, and imports that contracts are told to ignore."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    environment = os.environ | {"PYTHONPATH": str(settings.ROOT)}
    ended = subprocess.run(
        command, cwd=settings.ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    broken = CONTRACTS.search(ended.stdout)
    if broken is None:
        raise ValueError(f"lint-imports checked no contract:\n{ended.stdout}")
    linter = tomllib.loads((settings.ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    ignored = [line for each in linter["contracts"] for line in each.get("ignore_imports", ())]
    return int(broken[1]) + len(ignored)


# ---------------------------------------------------------------- sizes


def sources() -> list[Path]:
    """The files whose lines are counted."""
    paths = [settings.ROOT / "app.py"]
    for folder in FOLDERS:
        inside = sorted((settings.ROOT / folder).rglob("*"))
        paths += [path for path in inside if path.suffix in ENDINGS]
    return paths


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method of a Python file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def line_count(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the end."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def parameter_count(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Parameters that a caller gives, `*args` and `**kwargs` counted as one each."""
    arguments = function.args
    names = [each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    positional = [name for name in names if name not in ("self", "cls")]
    return len(positional) + (arguments.vararg is not None) + (arguments.kwarg is not None)


def sizes() -> list[Figure]:
    """Lines and parameters; see the module."""
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in sources()}
    defined = [each for path in lines if path.suffix == ".py" for each in functions(path)]
    longest, most = max(lines.values()), max(map(parameter_count, defined))
    return [
        Figure("code_lines", sum(lines.values()), "", None, None),
        Figure("longest_file", longest, "", LONGEST_FILE, longest <= LONGEST_FILE),
        Figure("longest_function", max(map(line_count, defined)), "", None, None),
        Figure("most_parameters", most, "", MOST_PARAMETERS, most <= MOST_PARAMETERS),
    ]


def measure(full: bool) -> tuple[int, list[Figure]]:
    del full  # there is one size
    loops, breaks = circles(), layer_breaks()
    return len(sources()), [
        *extensions(),
        Figure("circles", loops, "", 0, loops == 0),
        Figure("layer_breaks", breaks, "", 0, breaks == 0),
        *sizes(),
    ]


if __name__ == "__main__":
    main("house", measure)
