"""Every example of `docs/extending.md` works as it is written there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.extending import DOCUMENT, Step, check_example, copy_project, examples
from tests.helpers.extensions import CHECKS

EXAMPLES = examples()


def test_every_code_block_is_a_step_of_an_example_and_every_example_is_checked() -> None:
    blocks = DOCUMENT.read_text(encoding="utf-8").count("```python\n")
    assert blocks == sum(len(example.steps) for example in EXAMPLES.values())
    assert EXAMPLES.keys() == CHECKS.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_appears_in_registry_command_line_and_page(
    name: str, ready: str, tmp_path: Path
) -> None:
    check_example(EXAMPLES[name], tmp_path / "copy")


@pytest.mark.slow
def test_an_example_that_does_not_work_is_told(ready: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not work"):
        check_example(type(EXAMPLES["page"])("page", ()), tmp_path / "copy")


def test_all_examples_fit_into_one_copy_and_are_written_as_its_code(tmp_path: Path) -> None:
    root = tmp_path / "copy"
    copy_project(root)
    for example in EXAMPLES.values():
        example.apply(root)
    files = [file for example in EXAMPLES.values() for file in example.files]
    ruff = str(Path(sys.executable).with_name("ruff"))
    for command in (["check", "--no-cache"], ["format", "--check", "--no-cache"]):
        assert subprocess.run([ruff, *command, *files], cwd=root, check=False).returncode == 0


def test_a_step_goes_where_its_line_is_and_nowhere_else(tmp_path: Path) -> None:
    file = tmp_path / "names.py"
    file.write_text("A = [\n    1,\n    2,\n    2,\n]\n")
    Step("names.py", "    0,\n", "above", "1,").apply(tmp_path)
    Step("names.py", "    1.5,\n", "below", "1,").apply(tmp_path)
    assert file.read_text() == "A = [\n    0,\n    1,\n    1.5,\n    2,\n    2,\n]\n"
    for line in ("2,", "3,"):
        with pytest.raises(ValueError, match="lines that read"):
            Step("names.py", "    9,\n", "below", line).apply(tmp_path)
    with pytest.raises(FileExistsError):
        Step("names.py", "A = []\n").apply(tmp_path)
