"""The registry of queries: what pages, the command line, notebooks and the worker may ask.

A query is one function of a study. Asked by a page it looks: where a result is missing, the answer
is the job that computes the same query with the same arguments; where only parts are missing that
it is useful without, it comes with that job as `pending`. The worker evaluates the same function in
the computing mood, so nothing says twice what an answer depends on.

    @query("One feature", priority=queue.SHORT)
    def feature(study: Study, feature: int) -> FeatureView: ...

    feature("demo", 17)          # FeatureView | Job
    feature.look("demo", 17)     # FeatureView | None: asks for nothing
    feature.live("demo", 17)     # FeatureView | Job | None: nor does this
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import functools
import hashlib
import inspect
import json
import shlex
import typing
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, replace
from typing import Any, Concatenate, Generic, Literal, ParamSpec, TypeVar, overload

from pydantic import TypeAdapter, ValidationError

from backend import run
from backend.corpus import activations
from backend.models import language_model
from backend.models.device import has_room, pick_device
from backend.schema import Job, NotFoundError, Progress, Study, TesseraError
from backend.store import jobs, rates
from backend.store.executor import LOCAL
from backend.store.jobs import Request
from backend.store.memo import canonical, place
from backend.store.rates import Part
from backend.store.views import Estimate
from backend.study import loading as studies

P = ParamSpec("P")
R = TypeVar("R")
Kind = Literal["query", "lookup", "action"]
Title = str | Callable[[dict[str, Any]], str]
Work = Callable[..., Iterable[Part]]  # of the study and the arguments


@dataclass(frozen=True)
class Entry:
    """What the registry knows of one function. `kind`: a query may answer with a job, a lookup
    always answers at once, an action keeps or starts something."""

    name: str
    kind: Kind
    function: Callable[..., Any]
    title: Title = ""
    work: Work | None = None

    def parts(self, study: Study, **arguments: Any) -> Iterable[Part]:
        """What of it is still to be computed; by default all of it, of whatever kind."""
        return self.work(study, **arguments) if self.work else [Part(self.name)]

    def seconds(self, study: Study, arguments: dict[str, Any], device: str) -> float | None:
        """How long what is left will take; None where that is not known."""
        try:
            with run.looking(device):
                return rates.seconds_of(self.parts(study, **arguments), study.name, device)
        except (run.Missing, NotFoundError):  # what it is to be made of is not there
            return None

    @functools.cached_property
    def signature(self) -> inspect.Signature:
        return inspect.signature(self.function)

    @functools.cached_property
    def hints(self) -> dict[str, Any]:
        return typing.get_type_hints(self.function)

    @property
    def of_study(self) -> bool:
        """Whether its first argument is a study."""
        return next(iter(self.signature.parameters), "") == "study"

    @property
    def help(self) -> str:
        return inspect.cleandoc(self.function.__doc__ or "")

    def bound(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The arguments after the study, by name, defaults included."""
        bound = self.signature.bind(None, *args, **kwargs)
        bound.apply_defaults()
        return {name: value for name, value in bound.arguments.items() if name != "study"}

    def decode(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Arguments as a job keeps them, checked and of their types.

        Raises:
            TesseraError: they are not those of this query.
        """
        try:
            self.signature.bind(None, **arguments)
            return {n: _adapter(self.hints[n]).validate_python(v) for n, v in arguments.items()}
        except (TypeError, ValidationError) as error:
            raise TesseraError(
                f"The query {self.name} does not take these arguments: {error}",
                "They were given by another version of Tessera: ask for it again on its page.",
            ) from error


_registry: dict[str, Entry] = {}
_callables: dict[str, Callable[..., Any]] = {}


def registered() -> dict[str, Entry]:
    """Everything that can be asked, by name."""
    return dict(_registry)


def callables() -> dict[str, Callable[..., Any]]:
    """Every registered function as it is asked: by the name of a study."""
    return dict(_callables)


def find(name: str) -> Entry:
    """The entry of a name.

    Raises:
        NotFoundError: there is none; the nearest names are said.
    """
    if name in _registry:
        return _registry[name]
    near = " or ".join(difflib.get_close_matches(name, _registry, 3))
    remedy = f"Did you mean {near}?" if near else "`python -m backend --help` names them all."
    raise NotFoundError(f"There is no query {name!r}.", remedy)


def _register(entry: Entry) -> Entry:
    other = _registry.setdefault(entry.name, entry)
    if place(other.function) != place(entry.function):
        places = f"{place(other.function)} and {place(entry.function)}"
        raise ValueError(f"two queries are named {entry.name}: {places}")
    return entry


@functools.cache
def _adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint)


def command_of(query: str, study: Study, **options: str | float) -> str:
    """The command line that asks for the same again; options that are empty are left out."""
    values = {"study": study.name} | {name: value for name, value in options.items() if value != ""}
    texts = {
        name: value if isinstance(value, str) else f"{value:g}" for name, value in values.items()
    }
    return " ".join([query, *(f"--{name} {shlex.quote(text)}" for name, text in texts.items())])


# ---------------------------------------------------------------- queries


class Query(Generic[P, R]):
    """A query as it is asked: by the name of a study."""

    def __init__(
        self, entry: Entry, priority: int | Callable[[dict[str, Any]], int], key: Callable[..., str]
    ) -> None:
        functools.update_wrapper(self, entry.function)
        self.entry = entry
        self._priority = priority
        self._key = key

    def __call__(self, study: str, *args: P.args, **kwargs: P.kwargs) -> R | Job:
        """The answer; or the job that computes it, submitted where there is none."""
        loaded = studies.load(study)
        arguments = self.entry.bound(*args, **kwargs)
        if run.current().is_job:
            return self.entry.function(loaded, **arguments)
        with run.looking(pick_device(loaded.device)) as look:
            try:
                answer = self.entry.function(loaded, **arguments)
            except run.Missing as missing:
                return (missing.ask or self._asks(loaded, arguments)).submit()
        if look.gaps and hasattr(answer, "pending"):
            ask = look.gaps[0].ask or self._asks(loaded, arguments)
            return dataclasses.replace(answer, pending=ask.submit())
        return answer

    def live(self, study: str, *args: P.args, **kwargs: P.kwargs) -> R | Job | None:
        """The answer; or the job that is under way for it; None where nobody asked yet. Nothing is
        asked for."""
        loaded = studies.load(study)
        asks = self._asks(loaded, self.entry.bound(*args, **kwargs))
        with run.looking(pick_device(loaded.device)) as look:
            try:
                answer = self.entry.function(loaded, *args, **kwargs)
            except run.Missing as missing:
                return asks.live() or (missing.ask or asks).live()
        if look.gaps and hasattr(answer, "pending"):
            job = asks.live() or (look.gaps[0].ask or asks).live()
            return dataclasses.replace(answer, pending=job)
        return answer

    def part(self, study: Study, *args: P.args, **kwargs: P.kwargs) -> R:
        """The answer as a part of another one.

        Raises:
            Missing: it is not there, and this query's job makes it.
        """
        with self.asking(study, *args, **kwargs):
            return self.entry.function(study, *args, **kwargs)

    @contextlib.contextmanager
    def asking(self, study: Study, *args: P.args, **kwargs: P.kwargs) -> Generator[None]:
        """What a look misses within is made by this query's job, which all share that need it."""
        ask = self._asks(study, self.entry.bound(*args, **kwargs))
        gaps = run.current().gaps
        before = len(gaps or ())
        try:
            yield
        except run.Missing as missing:
            raise run.Missing(missing.name, missing.ask or ask) from missing
        finally:
            for gap in (gaps or ())[before:]:
                gap.ask = gap.ask or ask

    def look(self, study: str, *args: P.args, **kwargs: P.kwargs) -> R | None:
        """The answer if it is there; nothing is asked for."""
        loaded = studies.load(study)
        with run.looking(pick_device(loaded.device)):
            try:
                return self.entry.function(loaded, **self.entry.bound(*args, **kwargs))
            except run.Missing:
                return None

    def estimate(self, study: str, *args: P.args, **kwargs: P.kwargs) -> Estimate:
        """How long the answer would take if it were asked for, from what was measured here."""
        loaded = studies.load(study)
        arguments, device = self.entry.bound(*args, **kwargs), pick_device(loaded.device)
        seconds = self.entry.seconds(loaded, arguments, device)
        return Estimate(seconds, jobs.before(self._rank(arguments), device))

    def start(self, study: Study, *args: P.args, **kwargs: P.kwargs) -> Job:
        """The job of this query, a new one where the last one failed: a person wants it, perhaps
        with arguments that are no part of its key."""
        request = self._request(study, self.entry.bound(*args, **kwargs))
        return LOCAL.submit(replace(request, restart=True), pick_device(study.device))

    def _asks(self, study: Study, arguments: dict[str, Any]) -> run.Ask:
        """How the job of this query is asked for."""
        return run.Ask(
            lambda: LOCAL.submit(self._request(study, arguments), pick_device(study.device)),
            lambda: LOCAL.live(self._name(study, arguments)),
        )

    def _rank(self, arguments: dict[str, Any]) -> int:
        priority = self._priority
        return priority if isinstance(priority, int) else priority(arguments)

    def _name(self, study: Study, arguments: dict[str, Any]) -> str:
        """The key of the job, which all share that ask for the same."""
        return f"{self.entry.name}:{self._key(study, **arguments)}"

    def _request(self, study: Study, arguments: dict[str, Any]) -> Request:
        entry = self.entry
        return Request(
            estimate=lambda: entry.seconds(study, arguments, pick_device(study.device)),
            query=entry.name,
            study=study.name,
            arguments=_adapter(Any).dump_python(arguments, mode="json"),
            key=self._name(study, arguments),
            priority=self._rank(arguments),
            title=entry.title if isinstance(entry.title, str) else entry.title(arguments),
        )


def key_of(study: Study, **arguments: Any) -> str:
    """32 hex digits: the same for the same study, as it is resolved now, and arguments."""
    text = json.dumps(canonical({"study": study, "arguments": arguments}), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def query(
    title: Title,
    priority: int | Callable[[dict[str, Any]], int] = 0,
    key: Callable[..., str] = key_of,
    work: Work | None = None,
) -> Callable[[Callable[Concatenate[Study, P], R]], Query[P, R]]:
    """Register a function of a study whose answer may have to be computed first.

    `title` says on the job what is computed; of two waiting jobs that of higher `priority` runs
    first (`store.queue`: what is SHORT overtakes all, what is LONG gives way to all); requests
    with one `key` share a job. `work` says what is left to compute, so that it can be said how long
    that takes; by default it is as long as the last time.
    """

    def decorate(function: Callable[Concatenate[Study, P], R]) -> Query[P, R]:
        entry = _register(Entry(function.__name__, "query", function, title, work))
        ask: Query[P, R] = Query(entry, priority, key)
        _callables[entry.name] = ask
        return ask

    return decorate


# ---------------------------------------------------------------- what answers at once


class AtOnce:
    """Registers functions that answer at once, to be asked by the name of a study."""

    def __init__(self, kind: Kind) -> None:
        self._kind: Kind = kind

    @overload
    def __call__(
        self, function: Callable[Concatenate[Study, P], R]
    ) -> Callable[Concatenate[str, P], R]: ...
    @overload
    def __call__(self, function: Callable[P, R]) -> Callable[P, R]: ...
    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        entry = _register(Entry(function.__name__, self._kind, function))

        @functools.wraps(function)
        def ask(*args: Any, **kwargs: Any) -> Any:
            if entry.of_study:
                study, *rest = (kwargs.pop("study"), *args) if "study" in kwargs else args
                args = (studies.load(study), *rest)
            with run.looking(pick_device(args[0].device) if entry.of_study else None):
                return function(*args, **kwargs)

        _callables[entry.name] = ask
        return ask


lookup = AtOnce("lookup")  # from what is there
action = AtOnce("action")  # keeps what a person says, or starts work; not a command


# ---------------------------------------------------------------- the worker


def warm(study: str, device: str) -> bool:
    """Loads the models that short questions about a study ask; False where the device has no room
    for them beside what is there. What is wrong with a study is for its jobs to say."""
    from backend.models import embedder, sae

    if not has_room(device):
        return False
    with contextlib.suppress(TesseraError):
        loaded = studies.load(study)
        language_model.load(loaded.model, device)
        if loaded.sae:
            sae.load(loaded.sae, device)
        embedder.load(loaded.embedder, device)
    return True


def _calibrate(study: Study, device: str) -> None:
    """Measures, a few times, how fast the model of a job that asked it reads: what takes as long as
    so much reading has an estimate from then on."""
    if not rates.is_settled(rates.CHUNK, study.name, device):
        reading = study.reading
        length = study.corpus.context_length
        seconds = activations.measure_chunk(reading.model, reading.site, length)
        run.current().progress.computed(rates.CHUNK, seconds)


def compute(
    name: str, study: str, arguments: dict[str, Any], device: str, progress: Progress
) -> None:
    """What a job does: evaluates its query until nothing is missing.

    Raises:
        TesseraError: there is no such query, it takes other arguments, or its answer is still
            missing though everything was computed.
    """
    entry = find(name)
    values = entry.decode(arguments)
    loaded = studies.load(study)
    studies.check(loaded)
    loads = language_model.load.cache_info()
    with run.computing(device, progress, LOCAL.each):
        entry.function(loaded, **values)
        if language_model.load.cache_info() != loads:
            _calibrate(loaded, device)
    with run.looking(device):
        try:
            entry.function(loaded, **values)
        except run.Missing as missing:
            raise TesseraError(
                f"{missing.name} is missing though {name} was computed.",
                "Look whether the cache is smaller than one answer (TESSERA_CACHE_GB), then retry.",
            ) from missing
