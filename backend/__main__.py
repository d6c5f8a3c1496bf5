"""The command line: what a page shows, a terminal can show.

python -m backend --help                        every query, a line of help each
python -m backend regions --help                one of them, with its options
python -m backend regions --study demo          a table; --json for everything
python -m backend prepare --study demo          compute what the pages of a study show first
python -m backend cache list                    the results on disk, and what can be done with them
"""

from __future__ import annotations

import inspect
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from itertools import chain
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter

from backend import output, queries, query, settings
from backend.schema import Job, NotFoundError, StudyError, TesseraError
from backend.store import memo, upkeep
from backend.store import worker as workers
from backend.store.entry import verify as verify_entries
from backend.store.queue import Lane

app = App(
    name="python -m backend",
    help="Ask Tessera in a terminal. A query that is not computed yet is computed and waited for.",
    help_format="plaintext",
    version_flags=(),
    default_parameter=Parameter(name_transform=str),  # options are named as arguments are
)
cache = App(name="cache", help="The results on disk: list, show, verify, pin, unpin, evict.")
app.command(cache)


def main(arguments: list[str] | None = None) -> int:
    try:
        return app(
            sys.argv[1:] if arguments is None else arguments,
            exit_on_error=False,
            result_action="return_int_as_exit_code_else_zero",
        )
    except CycloptsError:
        return 2  # it has been said what is wrong, and the nearest name
    except TesseraError as error:
        print(f"{error.problem}\n{error.remedy}", file=sys.stderr)
        return 1


# ---------------------------------------------------------------- queries


def commands() -> dict[str, query.Entry]:
    """What the registry holds but for actions, which keep what a person says or start work."""
    return {name: entry for name, entry in query.registered().items() if entry.kind != "action"}


def _command(entry: query.Entry) -> Callable[..., None]:
    """A function with an option for each argument of a query."""

    def ask(*, json: bool = False, look: bool = False, **options: Any) -> None:
        answer = _answer(entry, look, options)
        if isinstance(answer, bytes):
            sys.stdout.buffer.write(answer)
        else:
            print(output.json_text(answer) if json else output.text(answer))

    flags = dict(inspect.signature(ask).parameters)
    del flags["options"]
    if entry.kind != "query":
        del flags["look"]
    kinds = _option_types(entry, set(flags))
    own = [
        _option(parameter, kinds[name]) for name, parameter in entry.signature.parameters.items()
    ]
    parameters = [*own, *(flag.replace(annotation=bool) for flag in flags.values())]
    ask.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    ask.__annotations__ = {each.name: each.annotation for each in parameters}
    look_help = "\n\nWith --look only what is there; nothing is computed."
    ask.__name__ = entry.name
    ask.__doc__ = entry.help + look_help * (entry.kind == "query")
    return ask


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


def _answer(entry: query.Entry, look: bool, options: dict[str, Any]) -> Any:
    ask = query.callables()[entry.name]
    if not isinstance(ask, query.Query):
        return ask(**options)
    if not look:
        answer = ask(**options)
        if isinstance(answer, Job) and answer.state in ("failed", "cancelled"):
            queries.retry(answer.id)  # who asks again in a terminal wants it tried again
        return queries.wait(lambda: ask(**options))
    answer = ask.look(**options)
    if answer is None:
        problem = f"What {entry.name!r} answers has not been computed."
        raise NotFoundError(problem, "Leave out --look, and it is.")
    return answer


for _entry in commands().values():
    app.command(_command(_entry), name=_entry.name)


# ---------------------------------------------------------------- system


@app.command
def prepare(*, study: str = "demo") -> None:
    """Compute everything that the pages of a study show first."""

    def whole() -> Any:
        answer = queries.regions(study)
        return answer if isinstance(answer, Job) else answer.pending

    card = queries.study(study)
    if card.problem:
        raise StudyError(card.problem, card.remedy)
    queries.wait(whole)
    if card.sae:
        queries.wait(lambda: queries.features(study))
        queries.wait(whole)
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
def list_entries() -> None:
    """Every result on disk, least recently used first."""
    print(output.table_text(upkeep.entries(), -1))


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
def evict(gigabytes: float | None = None, *, outdated: bool = False) -> None:
    """Delete the least recently used results above a size (TESSERA_CACHE_GB where none is given);
    with --outdated those that an earlier version of Tessera left."""
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


if __name__ == "__main__":
    sys.exit(main())
