"""The command line is the registry: every query, every flag, and what it says of mistakes."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest

from backend import command_options, output, queries, query, settings
from backend.__main__ import ASKING, app, commands, main, meanings
from backend.schema import Job, Study
from backend.store import jobs
from tests.helpers.jobs import a_job

QUERIES = sorted(query.registered())


# ---------------------------------------------------------------- every query is everywhere


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_says_what_it_answers_and_stands_in_the_door(name: str) -> None:
    entry = query.find(name)
    assert entry.help, "its docstring is its help"
    assert "return" in entry.hints
    assert getattr(queries, name) is query.callables()[name]
    assert entry.hints.get("study", Study) is Study, "the door turns a study's name into it"
    if entry.kind == "query":
        assert entry.title, "a job says what it computes"


def test_the_documents_list_every_query_as_it_is() -> None:
    text = (settings.ROOT / "docs" / "queries.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+) \|$", text, re.MULTILINE)
    assert [name for name, _, _ in rows] != []
    documented = {name: (kind, words) for name, kind, words in rows}
    assert len(documented) == len(rows)
    registered = {
        name: (entry.kind, entry.help.split("\n\n")[0].replace("\n", " ").replace("|", "\\|"))
        for name, entry in query.registered().items()
    }
    assert documented == registered


def test_help_names_every_query(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    for name in [*commands(), "prepare", "worker", "cache", "completion"]:
        assert f" {name} " in printed


@pytest.mark.parametrize("name", sorted(commands()))
def test_each_command_has_help_and_an_option_for_each_argument(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([name, "--help"]) == 0
    printed = capsys.readouterr().out
    assert query.find(name).help.split()[0] in printed
    plain = " ".join(re.sub(r"--\S+|│", " ", printed).split())
    for option, _, _ in _options(query.find(name)):
        assert f"--{option}" in printed
    for option, meaning in meanings(query.find(name), []):
        assert meaning, option
        words = " ".join(re.sub(r"--\S+", " ", meaning).split())
        assert words in plain, "whole sentences stand in the help"
    assert " ".join(query.find(name).help.partition("\n\n")[0].split()) in plain
    assert "--json" in printed
    for flag in ASKING:
        assert (f"--{flag} " in printed) == (query.find(name).kind == "query")


def test_actions_are_no_commands() -> None:
    kinds = {entry.kind for entry in commands().values()}
    assert kinds == {"query", "lookup"}
    assert "vote" in query.registered()
    assert "vote" not in commands()


# ---------------------------------------------------------------- flags


def _parts(entry: query.Entry, name: str) -> tuple[dataclasses.Field[Any], ...]:
    """The fields of an argument that is a dataclass; none of any other."""
    hint = entry.hints[name]
    return dataclasses.fields(hint) if name != "study" and dataclasses.is_dataclass(hint) else ()


def _prefix(entry: query.Entry, name: str) -> str:
    """What stands before the names of an argument's fields: nothing where no other option of the
    command has one of them."""
    others = [each for each in entry.signature.parameters if each != name]
    names = {*command_options.FLAGS, *others}
    names |= {field.name for each in others for field in _parts(entry, each)}
    return f"{name}." if names & {field.name for field in _parts(entry, name)} else ""


def _options(entry: query.Entry) -> Iterator[tuple[str, str, Any]]:
    """Each option of a command, the path of its value in the arguments, and its default."""
    for each in entry.signature.parameters.values():
        parts = _parts(entry, each.name)
        for field in parts:
            option = f"{_prefix(entry, each.name)}{field.name}"
            yield option, f"{each.name}.{field.name}", field.default
        if not parts:
            yield each.name, each.name, each.default


def _needed(entry: query.Entry) -> list[str]:
    """Words for the options that have no default."""
    missing = (inspect.Parameter.empty, dataclasses.MISSING)
    return [f"--{option}=1" for option, _, default in _options(entry) if default in missing]


def _parsed(entry: query.Entry, words: list[str]) -> dict[str, Any]:
    """The arguments that a command would be called with."""
    _, bound, _ = app.parse_args([entry.name, *words], exit_on_error=False, print_error=False)
    return dict(bound.arguments)


def test_every_flag_can_be_said_either_way_and_takes_no_value(
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags = 0
    for name, entry in commands().items():
        needed = _needed(entry)
        for flag, path, default in _options(entry):
            if not isinstance(default, bool):
                continue
            flags += 1
            part, _, last = flag.rpartition(".")
            refused = f"{part}.no-{last}" if part else f"no-{last}"
            for word, value in ((f"--{flag}", True), (f"--{refused}", False)):
                parsed: Any = _parsed(entry, [*needed, word])
                for step in path.split("."):
                    parsed = parsed[step] if isinstance(parsed, dict) else getattr(parsed, step)
                assert parsed is value, f"{name} {word}"
            assert main([name, *needed, f"--{flag}", "False"]) == 2
    assert flags >= 3
    assert "False" in capsys.readouterr().err


# ---------------------------------------------------------------- mistakes


def test_an_unknown_query_is_told_with_the_nearest_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["region_membres", "--study", "demo"]) == 2
    assert "region_members" in capsys.readouterr().err


def test_an_unknown_argument_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["region", "--study", "demo", "--regio", "3"]) == 2
    message = capsys.readouterr().err
    assert "--regio" in message
    assert "--region" in message


@pytest.mark.parametrize("words", [["--region", "three"], []])
def test_an_argument_that_is_wrong_or_missing_is_named(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["region", "--study", "demo", *words]) == 2
    assert "--region" in capsys.readouterr().err


def test_a_look_starts_nothing(
    small: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "launch", lambda device: None)
    assert main(["regions", "--study", small, "--look"]) == 1
    assert "Leave out --look" in capsys.readouterr().err
    assert jobs.recent() == []
    assert isinstance(queries.regions(small), Job)


def test_what_a_terminal_shows_is_json_on_demand(
    ready: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["features", "--study", ready, "--look", "--json"]) == 0
    answer = queries.features.look(ready)
    assert answer is not None
    assert len(json.loads(capsys.readouterr().out)["table"]) == len(answer.table)


def test_a_terminal_shows_every_column_of_a_table(
    ready: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["features", "--study", ready, "--look"]) == 0
    answer = queries.features.look(ready)
    assert answer is not None
    heads = {name.strip() for name in capsys.readouterr().out.splitlines()[3].split("┆")}
    assert {name.strip("│ ") for name in heads} == set(answer.table.columns)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete_the_commands(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "--shell", shell]) == 0
    assert "search_regions" in capsys.readouterr().out


def test_a_table_is_printed_whole_and_by_column_and_as_csv(
    ready: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = queries.features.look(ready)
    assert answer is not None
    words = ["features", "--study", ready, "--look"]
    assert main([*words, "--csv"]) == 0
    table = pl.read_csv(capsys.readouterr().out.encode())
    assert table["feature"].to_list() == answer.table["feature"].to_list()
    assert main([*words, "--csv", "--columns", "feature, density"]) == 0
    assert capsys.readouterr().out.startswith("feature,density\n")
    assert main([*words, "--columns", "feature,weight"]) == 1
    assert "no column weight" in capsys.readouterr().err
    assert main([*words, "--csv", "--table", "regions"]) == 1
    assert "'regions'" in capsys.readouterr().err


def test_up_to_fifty_rows_are_printed_and_of_more_both_ends() -> None:
    short = output.table_text(pl.DataFrame({"row": range(50)}))
    assert "…" not in short
    assert all(f" {row} " in short for row in range(50))
    long = output.table_text(pl.DataFrame({"row": range(51)}))
    assert "51 rows" in long
    assert "…" in long
    assert "--csv" in long


def test_times_are_said_as_people_say_them() -> None:
    table = pl.DataFrame({"created": [time.time() - 200, None], "name": ["a", "b"]})
    text = output.text(table)
    assert "3 min ago" in text
    assert "null" in text
    job = a_job(state="running", created=time.time() - 7200, started=time.time() - 75)
    assert "asked: 2 h ago" in output.text(job)
    assert "running for: 1 min 15 s" in output.text(job)


def test_a_cache_is_listed_by_function_first(
    ready: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cache", "list"]) == 0
    printed = capsys.readouterr().out
    totals, _, entries = printed.partition("digest")
    assert "│ all " in totals
    assert "regions.partition" in totals
    assert "ago" in entries or "now" in entries


@pytest.mark.parametrize("words", [["evict", "abc"], ["evict", "nan"], ["evict", "-1"], ["show"]])
def test_bad_words_for_the_cache_are_told_and_nothing_else(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cache", *words]) == 2
    assert "Error" in capsys.readouterr().err


@pytest.mark.parametrize("digest", ["", "zzz", "../..", "*"])
def test_a_digest_that_is_none_is_told(
    ready: str, digest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("show", "pin", "unpin"):
        assert main(["cache", command, digest]) == 1
        assert "cache list" in capsys.readouterr().err


def test_a_reader_that_has_enough_ends_the_command_quietly(ready: str) -> None:
    command = [sys.executable, "-m", "backend", "features", "--study", ready, "--look", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == settings.VERSION
