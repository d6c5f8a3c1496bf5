"""The examples of `docs/extending.md`, tried on a copy of Tessera.

An example is a section of the document; each of its code blocks is a step, and the line before the
block says where it goes: a new file, or above or below a line of a file that is there. A step is
applied as written, so what the document shows is what is tested.

`tests.helpers.extensions` holds the checks that an example must pass within the copy.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from backend import settings

DOCUMENT = settings.ROOT / "docs" / "extending.md"
SECTION = re.compile(r"^## (?P<title>.+)$", re.MULTILINE)
STEP = re.compile(
    r"^(?:New file \*\*(?P<new>[^*]+)\*\*|"
    r"In \*\*(?P<old>[^*]+)\*\*, (?P<side>above|below) `(?P<line>[^`]+)`):\n+"
    r"```\w*\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Step:
    """One code block: the file that it creates; or the lines that it adds to one, on a `side`
    (above, below) of the only line that reads as `line`, its indentation aside."""

    path: str
    code: str
    side: str = ""
    line: str = ""

    def apply(self, root: Path) -> None:
        """Write it to the copy at `root`.

        Raises:
            FileExistsError: a new file is there already.
            ValueError: the line is not in the file, or is there more than once.
        """
        path = root / self.path
        if not self.side:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(self.code)
            return
        listing = path.read_text(encoding="utf-8").splitlines(keepends=True)
        places = [number for number, text in enumerate(listing) if text.strip() == self.line]
        if len(places) != 1:
            raise ValueError(f"{self.path} has {len(places)} lines that read {self.line!r}")
        listing.insert(places[0] + (self.side == "below"), self.code)
        path.write_text("".join(listing), encoding="utf-8")


@dataclass(frozen=True)
class Example:
    """One section: its `name` is the last words of its heading, joined (`concept_source`)."""

    name: str
    steps: tuple[Step, ...]

    @property
    def files(self) -> list[str]:
        """Every file that is created or changed, once."""
        return sorted({step.path for step in self.steps})

    def apply(self, root: Path) -> None:
        """All steps in order, in the copy at `root`; raises as `Step.apply`."""
        for step in self.steps:
            step.apply(root)


def examples() -> dict[str, Example]:
    """The examples of the document by name; sections without a code block are none."""
    _, *parts = SECTION.split(DOCUMENT.read_text(encoding="utf-8"))
    sections = zip(parts[::2], parts[1::2], strict=True)
    return {
        example.name: example
        for title, text in sections
        if (example := Example(_name(title), tuple(map(_step, STEP.finditer(text))))).steps
    }


def _name(title: str) -> str:
    return re.sub(r"^an? ", "", title.strip().lower()).replace(" ", "_")


def _step(match: re.Match[str]) -> Step:
    if match["new"]:
        return Step(match["new"], match["code"])
    return Step(match["old"], match["code"], match["side"], match["line"])


# ---------------------------------------------------------------- the copy


def copy_project(root: Path) -> None:
    """Copy every file that git lists or would add to the new folder `root`."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(
        command, cwd=settings.ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    for name in filter(None, listing.stdout.split("\0")):
        source, target = settings.ROOT / name, root / name
        if source.is_file():  # git still lists what was deleted and not committed
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def check_example(example: Example, root: Path) -> None:
    """Apply an example to a copy of the project at `root` and check there that it appears. Studies
    and cache are those of the environment: the small world of the tests, computed.

    Raises:
        ValueError: it does not fit the project, or does not appear; with what the check printed.
    """
    copy_project(root)
    example.apply(root)
    command = [sys.executable, "-m", "tests.helpers.extensions", example.name]
    check = subprocess.run(
        command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if check.returncode:
        raise ValueError(f"the example {example.name} does not work:\n{check.stdout[-4000:]}")
