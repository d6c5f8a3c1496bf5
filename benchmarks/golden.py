"""Whether answers are still the same, to the bit, and if not, by how much.

    python -m benchmarks.golden --keep FILE [--study demo] [--questions regions,tiers]
    python -m benchmarks.golden --against FILE [--questions regions,tiers] [--json]

`--keep` asks the questions of `golden_questions`, waits for what has to be computed, and writes a
digest of every part of every answer to FILE, and numbers that a difference can be measured by to
FILE with `.npz` added; a group that is in FILE already is replaced, others stay. `--against` asks
the questions that FILE holds again and prints every part that differs, or is missing, with the
size of the difference; it ends with 1 where any does. From an empty cache the demo takes about
half an hour on two cores.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from backend import queries
from backend.schema import TesseraError
from benchmarks.golden_leaves import Difference, Leaf, difference, leaves
from benchmarks.golden_questions import GROUPS, STEPS, Question, wait_for_answer

# What was renamed since a file was kept, old name to new. A query's argument is written
# "query.argument" to "argument". A field's path begins with its query's new name, and leaves out
# what stands in brackets: "ce_bench.held.median". It stands for all paths that begin with it.
QUERY_RENAMES: dict[str, str] = {
    "again": "robustness",
    "any_region": "concept_aurocs",
    "examples": "feature_examples",
    "gathering": "new_text_membership",
    "members": "region_members",
    "over_concepts": "mean_aurocs",
    "spread": "purity_coverage",
    "stable": "stable_regions",
}
ARGUMENT_RENAMES: dict[str, str] = {
    "label_scores.of": "kind",
    "labels.of": "kind",
    "written_labels.of": "kind",
}
FIELD_RENAMES: dict[str, str] = {
    "ce_bench.held": "ce_bench.held_out",
    "ce_bench.said": "ce_bench.source",
    "feature_examples.of": "feature_examples.population",
    "labels.said": "labels.verbalizations",
    "region_members.of": "region_members.population",
    "sage.found": "sage.results",
    "written_labels.said": "written_labels.verbalizations",
}


@dataclasses.dataclass
class Record:
    """What a file holds: by question its query, arguments and leaves, and the leaves' values."""

    study: str
    questions: dict[str, dict[str, Any]]
    values: dict[str, np.ndarray]

    def store(self, question: Question, parts: Iterable[Leaf]) -> None:
        """Keeps an answer in the place of what was kept of that question."""
        self.drop(question.name)
        rows = {}
        for leaf in parts:
            rows[leaf.path] = leaf.as_json()
            self.values[values_key(question.name, leaf.path)] = leaf.values
        row = {"query": question.query, "arguments": question.arguments, "leaves": rows}
        self.questions[question.name] = row

    def drop(self, name: str) -> None:
        """Forgets a question, where it is kept."""
        for path in self.questions.pop(name, {"leaves": ()})["leaves"]:
            del self.values[values_key(name, path)]


def values_key(question: str, path: str) -> str:
    """The name of a leaf's values in the `.npz`, where a slash would make folders."""
    return f"{question}|{path}".replace("/", "|")


# ---------------------------------------------------------------- the file


def read(file: Path) -> Record:
    """Reads both files."""
    text = json.loads(file.read_text(encoding="utf-8"))
    with np.load(_values_file(file)) as arrays:
        return Record(text["study"], text["questions"], dict(arrays))


def write(file: Path, record: Record) -> None:
    """Writes both files."""
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(_values_file(file), **record.values)  # type: ignore[arg-type]
    text = {"study": record.study, "questions": record.questions}
    file.write_text(json.dumps(text, ensure_ascii=False, indent=1), encoding="utf-8")


def _values_file(file: Path) -> Path:
    return file.with_name(f"{file.name}.npz")


# ---------------------------------------------------------------- asking


def answer(study: str, question: Question) -> list[Leaf]:
    """The leaves of an answer, waited for.

    Raises:
        TesseraError: it cannot be had.
        AttributeError: there is no such query; `QUERY_RENAMES` has to name it.
    """
    name = QUERY_RENAMES.get(question.query, question.query)
    arguments = {
        ARGUMENT_RENAMES.get(f"{question.query}.{argument}", argument): value
        for argument, value in question.arguments.items()
    }
    ask = STEPS.get(name) or getattr(queries, name)
    return list(leaves(wait_for_answer(lambda: ask(study, **arguments))))


def select_groups(names: str) -> list[str]:
    """Groups whose name begins as one of the names between commas; "" is all."""
    prefixes = tuple(part.strip() for part in names.split(",") if part.strip())
    return [group for group in GROUPS if not prefixes or group.startswith(prefixes)]


def keep(file: Path, study: str, groups: Sequence[str]) -> tuple[Record, list[Difference]]:
    """Keeps the answers to the questions of some groups, and writes after each; gives what is kept,
    and the questions that could not be answered.

    Raises:
        TesseraError: the file is of another study.
    """
    record = read(file) if file.exists() else Record(study, {}, {})
    if record.study != study:
        raise TesseraError(f"{file} is of the study {record.study}.", "Name another file.")
    for name in [*record.questions]:
        if name.partition("/")[0] in groups:
            record.drop(name)
    failures = []
    for question in (question for group in groups for question in GROUPS[group](study)):
        started = time.perf_counter()
        try:
            record.store(question, answer(study, question))
        except TesseraError as error:
            failures.append(Difference(question.name, "", "missing", str(error), ""))
        write(file, record)
        print(f"{question.name}: {time.perf_counter() - started:.1f} s", file=sys.stderr)
    return record, failures


# ---------------------------------------------------------------- comparing


def current_path(query: str, path: str) -> str:
    """The path that a kept one has now: the longest prefix that was renamed is replaced. Brackets
    of the part that is not replaced stay."""
    steps = path.split(".")
    for count in range(len(steps), 0, -1):
        head = ".".join(re.sub(r"\[.*", "", step) for step in steps[:count])
        if (new := FIELD_RENAMES.get(f"{query}.{head}")) is not None:
            brackets = re.sub(r"^[^\[]*", "", steps[count - 1])
            return ".".join([new.partition(".")[2] + brackets, *steps[count:]])
    return path


def compare(record: Record, groups: Iterable[str]) -> Iterator[Difference]:
    """Every leaf that is not what was kept, in the order of the file."""
    prefixes = tuple(f"{group}/" for group in groups)
    for name, row in record.questions.items():
        if not name.startswith(prefixes):
            continue
        question = Question(name, row["query"], row["arguments"])
        query = QUERY_RENAMES.get(question.query, question.query)
        try:
            parts = {leaf.path: leaf for leaf in answer(record.study, question)}
        except (TesseraError, AttributeError, TypeError) as error:
            yield Difference(name, "", "missing", str(error), "")
            continue
        for path, old in row["leaves"].items():
            leaf = parts.get(current_path(query, path))
            if item := difference(name, path, old, record.values[values_key(name, path)], leaf):
                yield item


# ---------------------------------------------------------------- command line


def main(arguments: list[str] | None = None) -> int:
    """1 where something differs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.golden")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--keep", type=Path, metavar="FILE", help="write the answers")
    what.add_argument("--against", type=Path, metavar="FILE", help="compare with kept answers")
    parser.add_argument("--study", default="demo", help="that is asked about (--keep)")
    parser.add_argument("--questions", default="", help=f"groups of {', '.join(GROUPS)}")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    groups = select_groups(options.questions)
    if options.keep:
        return print_differences(*keep(options.keep, options.study, groups), options.json)
    record = read(options.against)
    return print_differences(record, list(compare(record, groups)), options.json)


def print_differences(record: Record, differences: list[Difference], as_json: bool) -> int:
    """Prints what differs, numbers first, and gives the exit code."""
    rows = sorted(differences, key=lambda item: item.what == "texts")
    if as_json:
        values = {"name": "golden", "n": len(record.values), "differences": rows}
        print(json.dumps(values, default=dataclasses.asdict))
    else:
        counts = f"{len(record.questions)} questions, {len(record.values):,} leaves"
        print("\n".join([*(item.line for item in rows), f"{counts}: {len(rows)} differ"]))
    return 1 if rows else 0


if __name__ == "__main__":
    sys.exit(main())
