"""Methods that give a feature a label, in one registry under one contract.

`token_frequency` and `logit_cascade` count; the others ask a writer. The cascade is in the manner
of Neuronpedia's `np_max-act-logits`, `eleuther_acts` of delphi's default explainer (arXiv
2410.13928), and `baez` reads a verbalizer's texts instead of excerpts; `nla_vector` takes what a
verbalizer says of the feature's direction. A writer that obeys is told what to do, one that only
continues text is shown cases. A method that finds nothing, or whose writer gives no usable reply,
returns a label that says so: a failure to be counted, never an invented label.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from backend.labels import cases, prompts
from backend.labels.contract import Draw, Evidence, Excerpt, Message, Writer
from backend.labels.stems import at_peak, commonest, commonest_word
from backend.schema import LlmError, LlmUnavailableError

Need = Literal["writer", "verbalizer"]
BOTH: tuple[Need, ...] = ("writer", "verbalizer")

HALF = 0.5  # of the excerpts share a word: a pattern
FEWEST = 2  # excerpts below which nothing is shared
TOP_LOGITS, SHARED_LOGITS = 10, 3  # promoted tokens looked at, and how many make a pattern
CASCADE_EXCERPTS = 10  # shown to a writer
BAEZ_EXCERPTS = 5
BAEZ_TEMPERATURE = 0.7
OTHER = "Try a method that reads something else."
REPLY = 600  # tokens: some thoughts and a label
LINE = 32  # tokens: a label alone, and what a writer goes on with that does not stop there
REDRAWN = 0.7  # temperature of the second draw from a writer that does not obey


@dataclass(frozen=True)
class Context:
    """What an explainer may use besides evidence."""

    writer: Writer | None = None
    verbalizations: Callable[[Excerpt], str] | None = None  # of the residual at the peak
    direction: Callable[[], str] | None = None  # what a verbalizer says of the decoder row
    promoted: tuple[tuple[str, float], ...] = ()  # by that row: token and logit, strongest first


@dataclass(frozen=True)
class Label:
    """What a method calls a feature; `text` is empty where it `failed`, for that reason."""

    text: str
    detail: str  # why or how, in a sentence
    n: int  # excerpts used
    failed: str = ""


Method = Callable[[Evidence, Context], Label]


@dataclass(frozen=True)
class Explainer:
    """A method that makes labels, and what it cannot do without."""

    name: str
    help: str
    needs: tuple[Need, ...]
    method: Method
    of_direction: bool = False  # the verbalizer reads the feature's direction, not its excerpts

    def explain(self, evidence: Evidence, context: Context) -> Label:
        """The label, or a failed one where the writer or the evidence gives none.

        Raises:
            LlmUnavailableError: the writer cannot be asked now.
        """
        try:
            return self.method(evidence, context)
        except LlmUnavailableError:  # no failure of the method
            raise
        except LlmError as error:
            return Label("", "", 0, str(error))


# ---------------------------------------------------------------- methods that count

Place = tuple[int, str, str]  # tokens from the peak, the label of one, what it is

UP_TO_PEAK: tuple[Place, ...] = (
    (0, 'token "{}"', "token at the peak"),
    (-1, 'after "{}"', "token before the peak"),
)
AFTER_PEAK: tuple[Place, ...] = ((1, 'say "{}"', "token after the peak"),)


def token_frequency(
    evidence: Evidence,
    _: Context,
    places: Sequence[Place] = (*UP_TO_PEAK, *AFTER_PEAK),
    least: int = 1,
) -> Label:
    """Of some places the one whose commonest stem has the highest share; of equals the first: the
    peak, then the token before it. `least`: excerpts that must share it."""
    train = evidence.train
    counts = [(commonest(at_peak(train, offset)), text, name) for offset, text, name in places]
    best, text, name = max(counts, key=lambda one: one[0].count)  # of equals the first
    if best.count < least:
        shares = f"Fewer than {least} excerpts share" if best.count else "No excerpt has"
        names = " or a ".join(name for _, _, name in places)
        raise LlmError(f"{shares} a {names}.", OTHER)
    detail = f'"{best.word}" is the commonest {name}: {best}.'
    return Label(text.format(best.word), detail, len(train))


def logit_cascade(evidence: Evidence, context: Context) -> Label:
    """The first list with a pattern: peak tokens, tokens after, promoted tokens, words."""
    train = evidence.train
    logits = [token for token, _ in context.promoted[:TOP_LOGITS]]
    stages = (
        ('token "{}"', "excerpts' peaks", commonest(at_peak(train, 0)), None),
        ('say "{}"', "excerpts' next tokens", commonest(at_peak(train, 1)), None),
        ('say "{}"', "promoted tokens", commonest(logits), SHARED_LOGITS),
        ('text with "{}"', "excerpts' words", commonest_word(train), None),
    )
    for text, name, count, least in stages:
        if count.count >= (least or max(FEWEST, HALF * count.total)):
            detail = f'The first list with a pattern is the {name}: "{count.word}" in {count}.'
            return Label(text.format(count.word), detail, len(train))
    raise LlmError("No list of the cascade has a pattern.", OTHER)


# ---------------------------------------------------------------- methods that ask a writer


def logit_cascade_llm(evidence: Evidence, context: Context) -> Label:
    """All lists of the cascade, for the writer to choose from."""
    excerpts = _some(evidence)[:CASCADE_EXCERPTS]
    peaks, after = at_peak(excerpts, 0), at_peak(excerpts, 1)
    promoted = context.promoted[:TOP_LOGITS]
    lists = {
        "Strongest tokens": [prompts.visible(piece) for piece in peaks],
        "Tokens that follow": [prompts.visible(piece) for piece in after],
        "Tokens made more likely": [
            f"{prompts.visible(token)} ({logit:+.2f})" for token, logit in promoted
        ],
        "Excerpts": [prompts.marked(one) for one in excerpts],
    }
    messages = prompts.of_lists(lists)
    continued = cases.of_lists(peaks, after, [token for token, _ in promoted])
    return _ask(context, messages, continued, f"lists from {len(excerpts)} excerpts", len(excerpts))


def acts(evidence: Evidence, context: Context, top: int) -> Label:
    """The strongest excerpts, with marks and strengths."""
    excerpts = _some(evidence)[:top]
    messages = prompts.of_excerpts(excerpts, evidence.maximum)
    n = len(excerpts)
    return _ask(context, messages, cases.of_excerpts(excerpts), f"{n} excerpts", n)


def baez(evidence: Evidence, context: Context, keep: Callable[[str], str] = str.strip) -> Label:
    """What a verbalizer says at the strongest peaks, of each text the part that `keep` returns."""
    assert context.verbalizations  # as it `needs`
    excerpts = _some(evidence)[:BAEZ_EXCERPTS]
    parts = [(keep(context.verbalizations(one)), one.strength) for one in excerpts]
    texts = [(text, prompts.strength(peak, evidence.maximum)) for text, peak in parts if text]
    if not texts:
        raise LlmError(f"The verbalizer said nothing at any of {len(excerpts)} peaks.", OTHER)
    messages, continued = prompts.of_verbalizations(texts), cases.of_verbalizations(texts)
    what = f"{len(texts)} verbalized peaks"
    return _ask(context, messages, continued, what, len(texts), BAEZ_TEMPERATURE)


def nla_vector(_: Evidence, context: Context) -> Label:
    """The first sentence of what a verbalizer says of the feature's direction; where that is too
    long, a writer's label of the whole."""
    assert context.direction  # as it `needs`
    text = context.direction().strip()
    if not text:
        raise LlmError("The verbalizer said nothing of the feature's direction.", OTHER)
    try:
        label = prompts.label(prompts.first_sentence(text))
    except LlmError:
        if context.writer is None:
            raise
        messages, continued = prompts.of_direction(text), cases.of_verbalizations([(text, 10)])
        return _ask(context, messages, continued, "a text of the direction", 0)
    return Label(label, "What the verbalizer says of the feature's direction.", 0)


def _some(evidence: Evidence) -> tuple[Excerpt, ...]:
    if not evidence.train:
        raise LlmError("There is no excerpt to read.", OTHER)
    return evidence.train


def _ask(
    context: Context,
    messages: Sequence[Message],
    continued: str,
    what: str,
    n: int,
    temperature: float = 0.0,
) -> Label:
    """The writer's label: a reply to `messages`, or what it goes on with after `continued`."""
    writer = context.writer
    assert writer  # as it `needs`
    label, retried = _written_label(writer, messages, continued, temperature)
    second = " It took a second attempt." if retried else ""
    return Label(label, f"The writer read {what}.{second}", n)


def _written_label(
    writer: Writer, messages: Sequence[Message], continued: str, temperature: float
) -> tuple[str, bool]:
    """A label, and whether it took a second attempt: from the reply to `messages` of a writer that
    obeys, or the line that one that does not goes on with after `continued`.

    Raises:
        LlmUnavailableError: it cannot be asked now.
        LlmError: neither attempt gave a label.
    """
    if not writer.obeys:
        return _continuation(writer, continued, temperature)
    draw = Draw(temperature, REPLY)
    reply = writer.write(messages, draw)
    try:
        return prompts.parse(reply), False
    except LlmError as error:  # answered with what was wrong about it
        reply = writer.write(prompts.retry_messages(messages, reply, error), draw)
    return prompts.parse(reply), True


def _continuation(writer: Writer, text: str, temperature: float) -> tuple[str, bool]:
    """Where the first draw is no label there is another: what continues text does not listen."""
    try:
        return _line(writer, text, Draw(temperature, LINE)), False
    except LlmUnavailableError:
        raise
    except LlmError:
        return _line(writer, text, Draw(REDRAWN, LINE, attempt=1)), True


def _line(writer: Writer, text: str, draw: Draw) -> str:
    reply = writer.write([Message("user", text)], draw)
    # the cases hold lists, so it may begin one
    return prompts.label(reply.split("\n")[0].strip().removeprefix("- "))


# ---------------------------------------------------------------- the registry

_METHODS: list[tuple[Any, ...]] = [  # the fields of `Explainer`
    ("token_frequency", "The commonest token at or beside the peak.", (), token_frequency),
    ("logit_cascade", "The first pattern of four lists.", (), logit_cascade),
    ("logit_cascade_llm", "A writer reads the same lists.", ("writer",), logit_cascade_llm),
    ("eleuther_acts_top5", "A writer reads 5 excerpts.", ("writer",), partial(acts, top=5)),
    ("eleuther_acts_top20", "A writer reads 20 excerpts.", ("writer",), partial(acts, top=20)),
    ("baez", "A writer reads what a verbalizer says at 5 peaks.", BOTH, baez),
    (
        "baez_last_post",
        "Of that, last paragraphs.",
        BOTH,
        partial(baez, keep=prompts.last_paragraph),
    ),
    (
        "baez_last_code",
        'Of that, "Final token" on.',
        BOTH,
        partial(baez, keep=prompts.from_final_token),
    ),
    (
        "nla_vector",
        "What a verbalizer says of the feature's direction.",
        ("verbalizer",),
        nla_vector,
        True,
    ),
]
EXPLAINERS: dict[str, Explainer] = {row[0]: Explainer(*row) for row in _METHODS}

# of tier 1, which says on which side of the peak to count; no choice of a form
COUNTERS: dict[str, Explainer] = {
    "input": Explainer(
        "token_frequency_input",
        "The commonest token at the peak or before it.",
        (),
        partial(token_frequency, places=UP_TO_PEAK, least=FEWEST),
    ),
    "output": Explainer(
        "token_frequency_output",
        "The commonest token after the peak.",
        (),
        partial(token_frequency, places=AFTER_PEAK, least=FEWEST),
    ),
}
