"""Who labels and judges, as keys of results hold it: references, from which the tools are loaded
(`writers.load`, `judges.load`, `verbalizers.load`) where they are needed."""

from __future__ import annotations

from dataclasses import dataclass

from backend.schema import EmbedderRef, ModelRef, NotFoundError, VerbalizerRef

OWN, SERVER = "own", "server"
BETWEEN = " at "  # between a server's model and its host


@dataclass(frozen=True)
class WriterRef:
    """A language model that writes. `kind` is own (a study's `model`), or server (the one that is
    `served` there at `host`); it never holds a key, nor more of an address than its host."""

    kind: str
    model: ModelRef | None = None
    served: str = ""
    host: str = ""

    @property
    def name(self) -> str:
        """What exactly answers, for tables and provenance."""
        if self.model is not None:
            return f"{self.model.source}@{self.model.revision} in {self.model.dtype}"
        return f"{self.served}{BETWEEN}{self.host}" if self.host else self.served

    @property
    def who(self) -> str:
        """What names it among the arguments of a query: no other process takes it for another."""
        return OWN if self.kind == OWN else self.name


def read_writer(who: str) -> WriterRef:
    """The server's model that `WriterRef.who` names.

    Raises:
        NotFoundError: it names none.
    """
    served, between, host = who.rpartition(BETWEEN)
    if not (served and between and host):
        raise NotFoundError(
            f"There is no writer {who!r}.", 'Use "own", "server", or "<model> at <host>".'
        )
    return WriterRef(SERVER, served=served, host=host)


LIKELIHOOD, REPLIES = "likelihood", "replies"
MEDIAN = ", label likelier than the median"  # ends the name of a judge by likelihood


@dataclass(frozen=True)
class JudgeRef:
    """A writer as judge. `kind` is likelihood (read from how likely it finds a label) or replies
    (from what it writes)."""

    kind: str
    writer: WriterRef

    @property
    def name(self) -> str:
        """What exactly judges, for tables and provenance."""
        return self.writer.name + (MEDIAN if self.kind == LIKELIHOOD else "")


def judge_of(writer: WriterRef) -> JudgeRef:
    """A writer as judge: a base model, which follows no instructions, by its likelihoods."""
    return JudgeRef(LIKELIHOOD if writer.kind == OWN else REPLIES, writer)


@dataclass(frozen=True)
class Models:
    """Who takes part in labelling."""

    writer: WriterRef
    judge: JudgeRef
    verbalizer: VerbalizerRef
    embedder: EmbedderRef
