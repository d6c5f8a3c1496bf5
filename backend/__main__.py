"""The command line: what a page shows, a terminal can show.

python -m backend --help                        every query, a line of help each
python -m backend regions --help                one of them, with its options
python -m backend regions --study demo          a table; --json for everything, --csv for a program
python -m backend prepare --study demo          compute what the pages of a study show first
python -m backend cache list                    the results on disk, and what can be done with them
"""

from __future__ import annotations

import inspect
import math
import os
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from itertools import chain
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter
from cyclopts.validators import Number

from backend import command_options, output, queries, query, settings, terminal
from backend.overview.jobs import UnansweredError
from backend.schema import NotFoundError, StudyError, TesseraError
from backend.store import memo, upkeep
from backend.store import worker as workers
from backend.store.entry import verify as verify_entries
from backend.store.queue import Lane

app = App(
    name="python -m backend",
    help="Ask Tessera in a terminal. A query that is not computed yet is computed and waited for.",
    help_format="plaintext",
    version=settings.VERSION,
    suppress_keyboard_interrupt=False,
    # options are named as arguments are
    default_parameter=Parameter(name_transform=str, negative_iterable=()),
)
cache = App(name="cache", help="The results on disk: list, show, verify, pin, unpin, evict.")
app.command(cache)


def main(arguments: list[str] | None = None) -> int:
    words = sys.argv[1:] if arguments is None else arguments
    repeat = f"{app.name[0]} {shlex.join(words)}"
    try:
        code = app(words, exit_on_error=False, result_action="return_int_as_exit_code_else_zero")
        sys.stdout.flush()
        return code
    except CycloptsError:
        return 2  # it has been said what is wrong, and the nearest name
    except UnansweredError as error:
        print(f"{error.problem}\nMend what it names, then run again: {repeat}", file=sys.stderr)
        return 1
    except TesseraError as error:
        print(f"{error.problem}\n{error.remedy}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nNo longer waiting; the worker goes on. To wait again: {repeat}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever reads has enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


# ---------------------------------------------------------------- queries


def commands() -> dict[str, query.Entry]:
    """What the registry holds but for actions, which keep what a person says or start work."""
    return {name: entry for name, entry in query.registered().items() if entry.kind != "action"}


@dataclass(frozen=True)
class Flags:
    """How a query is asked in a terminal and how its answer is printed: options of each command."""

    json: bool = False
    csv: bool = False
    table: str = ""
    columns: str = ""
    look: bool = False
    preview: bool = False
    quiet: bool = False


ASKING = ("look", "preview", "quiet")  # flags of what may have to be computed


def _command(entry: query.Entry) -> Callable[..., None]:
    """A function with an option for each argument of a query, and one for each flag."""
    names = [f.name for f in fields(Flags) if entry.kind == "query" or f.name not in ASKING]

    def ask(**options: Any) -> None:
        flags = Flags(**{name: options.pop(name) for name in names if name in options})
        _print(_answer(entry, flags, options), flags)

    kinds = _option_types(entry, set(names))
    own = [
        _option(parameter, kinds[name]) for name, parameter in entry.signature.parameters.items()
    ]
    only = inspect.Parameter.KEYWORD_ONLY
    extra = [
        inspect.Parameter(name, only, default=getattr(Flags, name), annotation=_flag_type(name))
        for name in names
    ]
    parameters = [*own, *extra]
    ask.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    ask.__annotations__ = {each.name: each.annotation for each in parameters}
    ask.__name__ = entry.name
    ask.__doc__ = _help(entry, names)
    return ask


def _flag_type(name: str) -> Any:
    """A switch of how to print cannot be refused: it is off unless it is given."""
    kind = type(getattr(Flags, name))
    negative = () if kind is bool else None
    return Annotated[kind, Parameter(negative=negative, group="Output", show_default=False)]


def _help(entry: query.Entry, flags: list[str]) -> str:
    """The query's own words, a paragraph a line, and what each option means."""
    paragraphs = entry.help.partition("\n\nRaises:")[0].split("\n\n")
    lines = [f"    {name}: {words}" for name, words in meanings(entry, flags)]
    return (
        "\n\n".join([*(" ".join(p.split()) for p in paragraphs), "Args:"]) + "\n" + "\n".join(lines)
    )


def meanings(entry: query.Entry, flags: list[str]) -> Iterator[tuple[str, str]]:
    """What each option of a query and each flag means, by its name."""
    for name in entry.signature.parameters:
        inside = _fields_of(entry.hints[name]) if name != "study" else ()
        for option in [f"{name}.{part}" for part in inside] or [name]:
            yield option, command_options.words_of(entry.name, option)
    for name in flags:
        yield name, command_options.FLAGS[name]


def _fields_of(kind: Any) -> list[str]:
    """The fields of a dataclass, one that may be left out too."""
    classes = [each for each in (kind, *getattr(kind, "__args__", ())) if is_dataclass(each)]
    return [field.name for each in classes for field in fields(each)]


def _option(parameter: inspect.Parameter, kind: Any) -> inspect.Parameter:
    """An argument as an option. A dataclass whose fields all have a default has one itself."""
    default: Any = parameter.default
    plain: Any = getattr(kind, "__origin__", kind)
    parts = fields(plain) if isinstance(plain, type) and is_dataclass(plain) else ()
    if default is parameter.empty and parts and all(p.default is not MISSING for p in parts):
        default = plain()
    return parameter.replace(kind=parameter.KEYWORD_ONLY, annotation=kind, default=default)


def _option_types(entry: query.Entry, flags: set[str]) -> dict[str, Any]:
    """What each argument is. The fields of a dataclass are options under their own names, or behind
    the argument's where another option has one of them."""
    kinds: dict[str, Any] = {name: entry.hints[name] for name in entry.signature.parameters}
    kinds |= {"study": str} if "study" in kinds else {}
    inside = {
        name: [field.name for field in fields(kind)]
        for name, kind in kinds.items()
        if is_dataclass(kind)
    }
    often = Counter([*flags, *(kinds.keys() - inside), *chain(*inside.values())])
    for name, names in inside.items():
        if all(often[each] == 1 for each in names):
            kinds[name] = Annotated[kinds[name], Parameter(name="*")]
    return kinds


def _answer(entry: query.Entry, flags: Flags, options: dict[str, Any]) -> Any:
    ask = query.callables()[entry.name]
    if not isinstance(ask, query.Query):
        return ask(**options)
    if not flags.look:
        return _whole(lambda: ask(**options), flags)
    answer = ask.look(**options)
    if answer is None:
        problem = f"What {entry.name!r} answers has not been computed."
        raise NotFoundError(problem, "Leave out --look, and it is.")
    return answer


def _whole(ask: Callable[[], Any], flags: Flags) -> Any:
    """An answer that is waited for: the whole of it, or the first that there is."""
    with terminal.Follower(flags.quiet) as follow:
        if not flags.preview:
            return queries.wait(terminal.whole(ask), math.inf, follow)
        answer = queries.wait(ask, math.inf, follow)
    if job := terminal.unfinished(answer):
        follow.say(f"A preview. Without --preview it is waited for: {terminal.progress_line(job)}")
    return answer


def _print(answer: Any, flags: Flags) -> None:
    if isinstance(answer, bytes):
        sys.stdout.buffer.write(answer)
    elif flags.json:
        print(output.json_text(answer))
    elif flags.csv or flags.table or flags.columns:
        table = output.select(output.table_of(answer, flags.table), flags.columns)
        print(output.csv_text(table) if flags.csv else output.text(table))
    else:
        print(output.text(answer))


for _entry in commands().values():
    app.command(_command(_entry), name=_entry.name)


# ---------------------------------------------------------------- system


@app.command
def prepare(*, study: str, quiet: bool = False) -> None:
    """Compute everything that the pages of a study show first.

    Args:
        study: Name of a study: its file in TESSERA_STUDIES without `.toml`.
        quiet: Do not tell on stderr how far the work is.
    """
    card = queries.study(study)
    if card.problem:
        raise StudyError(card.problem, card.remedy)
    flags = Flags(quiet=quiet)
    _whole(lambda: queries.regions(study), flags)
    if card.sae:
        _whole(lambda: queries.features(study), flags)
        _whole(lambda: queries.regions(study), flags)
    print(f"{study} is ready.")


@app.command
def worker(*, device: str, light: bool = False) -> None:
    """Work on the jobs of a device until there are none. The app starts it by itself. With --light
    only on short ones, beside another worker."""
    workers.run(Lane(device, light), query.compute, query.warm)


@app.command
def completion(*, shell: str = "bash") -> None:
    """Print what makes a shell (bash, zsh or fish) complete the commands of scripts/tessera."""
    print(app.generate_completion(prog_name="tessera", shell=shell))  # type: ignore[arg-type]


@cache.command(name="list")
def list_entries(*, csv: bool = False) -> None:
    """The results on disk: a total per function first, then each, most recently used first.

    Args:
        csv: Print every result as CSV.
    """
    entries = upkeep.entries().sort("used", descending=True)
    if csv:
        print(output.csv_text(entries))
        return
    print(output.table_text(upkeep.totals(entries), -1))
    print(output.table_text(entries))


@cache.command
def show(digest: str) -> None:
    """How a result was computed; the beginning of its digest is enough."""
    print((upkeep.entry_folder(digest) / "recipe.json").read_text())


@cache.command
def verify() -> None:
    """Read every byte; damaged results are set aside."""
    damaged = [f"damaged, set aside: {digest}" for digest in verify_entries()]
    print("\n".join(damaged) or "All entries are whole.")


@cache.command
def evict(
    gigabytes: Annotated[float | None, Parameter(validator=Number(gte=0, lt=math.inf))] = None,
    *,
    outdated: bool = False,
) -> None:
    """Delete the least recently used results above a size.

    Args:
        gigabytes: How much may stay; TESSERA_CACHE_GB where it is left out.
        outdated: Delete only what an earlier version of Tessera left.
    """
    if outdated:
        print(f"{len(upkeep.delete(memo.outdated()))} entries deleted.")
        return
    limit = settings.current().cache_gb if gigabytes is None else gigabytes
    print(f"{len(upkeep.evict(limit))} entries deleted.")


@cache.command
def pin(digest: str) -> None:
    """Keep a result whatever the size of the cache."""
    upkeep.pin(digest)


@cache.command
def unpin(digest: str) -> None:
    """Let a pinned result be evicted again."""
    upkeep.pin(digest, pinned=False)


def run() -> None:
    """The program `tessera`."""
    sys.exit(main())


if __name__ == "__main__":
    run()
