"""The words everybody shares: frozen dataclasses, table schemas and the error tree.

Nothing here imports torch, Streamlit or another Tessera module, so any layer may import it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import polars as pl

# ---------------------------------------------------------------- errors


class TesseraError(Exception):
    """Something a person can act on: `problem` says what is wrong, `remedy` what to do."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem} {remedy}")
        self.problem = problem
        self.remedy = remedy


class StudyError(TesseraError):
    """A study file is invalid, or names what does not exist."""


class CorpusError(TesseraError):
    """A text source cannot be read, or holds nothing to read."""


class ModelError(TesseraError):
    """A model, SAE or embedder cannot be loaded or does not fit the study."""


class LlmError(TesseraError):
    """A language model that labels or judges cannot be asked, or gives no usable answer."""


class LlmUnavailableError(LlmError):
    """The server cannot be asked now, or a cap is reached: a run stops and can go on later. A
    reply that is no use is a plain `LlmError`, a failure to be counted."""


class NotFiniteError(TesseraError):
    """Activations hold NaN or infinity."""


class StoreError(TesseraError):
    """The cache cannot be written (disk full, read-only) or read."""


class NotFoundError(TesseraError):
    """A region, feature, document or job of that name does not exist."""


class Cancelled(Exception):
    """A person cancelled the job; not an error."""


def check_number(number: int, count: int, kind: str, holder: str) -> None:
    """Raises NotFoundError unless `holder` has a `kind` (feature, token …) of that number: they
    are counted from 0 to `count` - 1."""
    if not 0 <= number < count:
        remedy = f"{holder} has {kind}s 0 to {count - 1}."
        raise NotFoundError(f"There is no {kind} {number}.", remedy)


# ---------------------------------------------------------------- what is looked at

Dtype = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class ModelRef:
    """A language model. `source` is `package:<name>`, `hub:<repo>` or `folder:<path>`.

    `revision` is resolved to a commit hash or a file digest before it is used in a key.
    """

    source: str
    revision: str
    dtype: Dtype


@dataclass(frozen=True)
class SaeRef:
    """A sparse autoencoder: `folder:<path>` in SAELens' format, or `saelens:<release>/<id>`."""

    source: str
    revision: str


@dataclass(frozen=True)
class EmbedderRef:
    """A sentence embedder; `source` as in `ModelRef`."""

    source: str
    revision: str


@dataclass(frozen=True)
class VerbalizerRef:
    """What turns residual vectors into text. `kind` is `patchscope` (the study's own model, no
    `source`), `nla` (a checkpoint; `source` as in `ModelRef`) or `neuronpedia` (its API; `source`
    is the model's name there)."""

    kind: Literal["patchscope", "nla", "neuronpedia"] = "patchscope"
    source: str = ""
    revision: str = ""


@dataclass(frozen=True)
class Site:
    """Where in the model: the residual stream after block `layer` (counted from 0)."""

    layer: int
    kind: Literal["resid_post"] = "resid_post"


@dataclass(frozen=True)
class SourceRef:
    """One text source of a corpus. `kind` is bbc-news, encyclopedia, files or hub; the
    others are the arguments of that kind. `digest` fingerprints the files read."""

    kind: str
    path: str = ""
    split: str = ""
    text_field: str = "text"
    topic_field: str = ""
    digest: str = ""


@dataclass(frozen=True)
class CorpusRef:
    """Text sources, cut into contexts of `context_length` tokens, the BOS included.

    Documents are interleaved over topics by `seed`; `tokens` bounds how many tokens of that
    stream are read (0: all), so a smaller corpus is a prefix of a larger one.
    """

    sources: tuple[SourceRef, ...]
    tokens: int
    context_length: int = 128
    seed: int = 0


@dataclass(frozen=True)
class ConceptRef:
    """A labelled set of texts. `kind` is axbench (a folder), file (JSONL, CSV or Parquet), topics
    (of the study's corpus) or wordnet (its domains; `path` where its files are not Debian's).

    `digest` fingerprints what is read; `seed` splits texts where the set does not, and draws.
    """

    kind: str
    path: str = ""
    seed: int = 0
    digest: str = ""


@dataclass(frozen=True)
class PairsRef:
    """Contrastive stories. `kind` is own (those that come with Tessera), file (JSONL, CSV or
    Parquet) or hub (`<owner>/<name>[:<config>]`); `revision` or `digest` says which version; `seed`
    draws."""

    kind: str = "own"
    path: str = ""
    revision: str = ""
    digest: str = ""
    seed: int = 0


@dataclass(frozen=True)
class PartitionSpec:
    """`p` is the percentile of pairwise distance that gives the threshold, `k` the gray-zone
    factor (1: plain exemplar partitioning)."""

    p: float = 4.0
    k: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class Reading:
    """The activations that everything else stands on: of a model, at a site, over a corpus."""

    model: ModelRef
    site: Site
    corpus: CorpusRef


@dataclass(frozen=True)
class Partition:
    """The points of a reading, partitioned by a spec."""

    reading: Reading
    spec: PartitionSpec


@dataclass(frozen=True)
class Window:
    """Tokens from `first` to `last`, counted from a feature's peak; `whole`: its context."""

    first: int = 0
    last: int = 0
    whole: bool = False

    @property
    def words(self) -> str:
        return "of whole contexts" if self.whole else f"[{self.first:+d}, {self.last:+d}]"


class Tier(IntEnum):
    """How a feature is to be labelled, by what its examples share (the baez post's classes)."""

    UNSCORED = 0  # fewer than two examples
    INPUT = 1  # the tokens up to the peak
    OUTPUT = 2  # the tokens after it
    CROSS = 3  # both taken together
    OBSCURE = 4  # nothing that was measured

    @property
    def title(self) -> str:
        """As screens and exports call it: "1 input", after the number of tier that papers use."""
        return f"{('', 1, 1, 2, 3)[self]} {self.name.lower()}".strip()


@dataclass(frozen=True)
class TierSpec:
    """What tiers are made of: `count` examples, and tokens on a side of the peak for each of the
    three windows; `cross` 0: whole contexts. docs/tiers.md says where the numbers come from."""

    count: int = 20
    input: int = 2
    output: int = 2
    cross: int = 0
    weighted: bool = False

    @property
    def windows(self) -> tuple[Window, Window, Window]:
        """Those of input, output and cross."""
        around = Window(-self.cross, self.cross) if self.cross else Window(whole=True)
        return Window(-self.input, 0), Window(1, self.output), around


@dataclass(frozen=True)
class Thresholds:
    """τ: the ρ from which a window counts as shared."""

    input: float = 0.23
    output: float = 0.29
    cross: float = 0.06


@dataclass(frozen=True)
class Find:
    """Something worth a look in a study: the region of a token row, or a feature."""

    words: str
    token: int | None = None
    feature: int | None = None


@dataclass(frozen=True)
class Study:
    """What is looked at. Everything on screen is a function of a study and a few arguments."""

    name: str
    title: str
    model: ModelRef
    site: Site
    corpus: CorpusRef
    partition: PartitionSpec
    embedder: EmbedderRef
    sae: SaeRef | None = None
    saes: tuple[tuple[Site, SaeRef], ...] = ()  # more of them, each at a site of its own
    verbalizer: VerbalizerRef = VerbalizerRef()
    p_stops: tuple[float, ...] = (10.0, 8.0, 4.0, 2.0, 1.0)
    k_stops: tuple[float, ...] = (1.0, 1.1, 1.2)
    device: str = "auto"
    notes: str = ""
    finds: tuple[Find, ...] = ()

    @property
    def reading(self) -> Reading:
        """The activations at its site over its corpus."""
        return Reading(self.model, self.site, self.corpus)

    def require_sae(self) -> SaeRef:
        """The SAE; raises ModelError where the study names none."""
        if self.sae is None:
            raise ModelError(
                f"The study {self.name} names no SAE, so it has no features.",
                "Add an [sae] table to its file, or pick a study with one.",
            )
        return self.sae

    def cut(self, spec: PartitionSpec | None = None) -> Partition:
        """The partition of its points by a spec, its own where none is given."""
        return Partition(self.reading, spec or self.partition)


@dataclass(frozen=True)
class Plan:
    """A labelling experiment: which methods label how many features, and how that is judged."""

    methods: tuple[str, ...] = ("eleuther_acts_top5", "baez", "token_frequency")
    scorers: tuple[str, ...] = ("detection", "fuzzing", "embedding")
    features: int = 40
    split: str = "range"
    negatives: str = "other"
    marks: str = "matched"
    window: int | None = 12  # tokens on either side that a judge is shown; None: all
    seed: int = 0
    among: tuple[int, ...] = ()  # features to draw from; (): all


# ---------------------------------------------------------------- progress


class Progress:
    """Where long work reports to, between chunks. The base class is silent; a job's writes to its
    row, and raises `Cancelled` if the job was cancelled."""

    def report(self, done: float, total: float, message: str, unit: str = "") -> None:
        """Work units done of how many, and what is being done now."""

    def check(self) -> None:
        """Raises `Cancelled` if the job was cancelled, and shows nothing."""

    def milestone(self) -> None:
        """An answer stands that is better than the one before: whoever looks may look again."""

    def began(self) -> None:
        """Something is computed that was not on disk."""

    def computed(self, name: str, seconds: float) -> None:
        """Something was computed, a call of a memoized function or a load, and took so long by
        itself."""

    def skip(self, count: float) -> None:
        """Of the work units that the next report says are done, so many were on disk already."""


@dataclass(frozen=True)
class Job:
    """One row of the job store: a query with its arguments (JSON), and how far it is. Times are in
    Unix seconds; `eta` and `rate` are None until known; `title` says what is computed; `seconds`
    is how long it has run in all, but for the stretch that it is in."""

    id: str
    query: str
    study: str
    arguments: str
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    device: str
    done: float
    total: float
    unit: str
    message: str
    rate: float | None
    eta: float | None
    created: float
    started: float | None
    finished: float | None
    heartbeat: float | None
    attempts: int
    error: str
    traceback: str
    title: str = ""
    milestones: int = 0  # answers that stand so far, each better than the one before
    worker: str = ""  # the process that runs it, or ran it last
    priority: int = 0
    light: bool = False  # short: a light worker may take it
    paused: bool = False  # waits until a person resumes it
    cancel: bool = False  # a person cancelled it: it ends after the block that it is in
    step: int = 0  # of its steps the one that it is at, counted from 1
    seconds: float = 0.0
    expected: float | None = None  # seconds in all, as estimated when it was asked for


def conform(frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """The columns of `schema`, in its order and types.

    Raises:
        ValueError: names the missing columns and those of another type.
    """
    wrong = [
        f"{name} is {frame.schema.get(name, 'missing')}, not {kind}"
        for name, kind in schema.items()
        if frame.schema.get(name) != kind
    ]
    if wrong:
        raise ValueError(f"table does not conform: {'; '.join(wrong)}")
    return frame.select(list(schema))
