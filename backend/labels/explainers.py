"""Methods that give a feature a label, in one registry under one contract.

`token_frequency` and `logit_cascade` count; the others ask a writer. The cascade is in the manner
of Neuronpedia's `np_max-act-logits`, `eleuther_acts` of delphi's default explainer (arXiv
2410.13928), and `baez` reads a verbalizer's texts instead of excerpts. A method that finds nothing,
or whose writer gives no usable reply, returns a label that says so: a failure to be counted, never
an invented label.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from backend.intervals import wilson
from backend.labels import prompts
from backend.labels.contract import Evidence, Excerpt, Message, Writer
from backend.labels.prompts import normalise, stem
from backend.schema import LlmError, NotFoundError

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
STOP_WORDS = frozenset(
    "a about after again all also am an and any are as at be because been before being but by can "
    "could did do does for from had has have he her here him his how i if in into is it its just "
    "like me more most my no not now of on one only or other our out over said she should so some "
    "such than that the their them then there these they this those to two up us was we were what "
    "when where which while who will with would you your".split()
)


@dataclass(frozen=True)
class Context:
    """What an explainer may use besides evidence."""

    writer: Writer | None = None
    verbalizations: Callable[[Excerpt], str] | None = None  # of the residual at the peak
    promoted: tuple[tuple[str, float], ...] = ()  # by the decoder row: token and logit
    suppressed: tuple[tuple[str, float], ...] = ()  # both strongest first


@dataclass(frozen=True)
class Label:
    """What a method says of a feature; `text` is empty where it `failed`, for that reason."""

    feature: int
    method: str
    text: str
    detail: str  # why or how, in a sentence
    failed: str
    n: int  # excerpts used


@dataclass(frozen=True)
class Finding:
    """What a method came to: a label's text, why, and from how many excerpts."""

    text: str
    detail: str
    n: int


Method = Callable[[Evidence, Context], Finding]


@dataclass(frozen=True)
class Explainer:
    """A method that makes labels, and what it cannot do without."""

    name: str
    help: str
    needs: tuple[Need, ...]
    method: Method

    def explain(self, evidence: Evidence, context: Context) -> Label:
        """The label, or a failed one where the writer or the evidence gives none.

        Raises:
            LlmError: `context` lacks what this explainer needs.
        """
        self._check(context)
        try:
            found = self.method(evidence, context)
        except LlmError as error:
            return Label(evidence.feature, self.name, "", "", str(error), 0)
        return Label(evidence.feature, self.name, found.text, found.detail, "", found.n)

    def _check(self, context: Context) -> None:
        given = {"writer": context.writer, "verbalizer": context.verbalizations}
        missing = " and a ".join(need for need in self.needs if given[need] is None)
        if missing:
            free = ", ".join(one.name for one in EXPLAINERS.values() if not one.needs)
            raise LlmError(
                f"The explainer {self.name} needs a {missing}, which is not set up.",
                f"Set up a {missing}, or choose one that needs nothing: {free}.",
            )


# ---------------------------------------------------------------- words


@dataclass(frozen=True)
class Count:
    """How many of some words share the commonest stem; `word` is its commonest form."""

    word: str
    count: int
    of: int

    @property
    def share(self) -> float:
        return self.count / self.of if self.of else 0.0

    def __str__(self) -> str:
        low, high = wilson(self.count, self.of)
        return f"{self.count} of {self.of} ({self.share:.0%}; 95% interval {low:.0%} to {high:.0%})"


def commonest(pieces: Sequence[str]) -> Count:
    """The stem that most pieces share, of equals the first met; empty pieces share nothing, but
    count among all."""
    words = [word for word in map(normalise, pieces) if word]
    stems = Counter(map(stem, words)).most_common(1)
    if not stems:
        return Count("", 0, len(pieces))
    best, count = stems[0]
    forms = Counter(word for word in words if stem(word) == best)
    return Count(forms.most_common(1)[0][0], count, len(pieces))


def at_peak(excerpts: Sequence[Excerpt], offset: int) -> list[str]:
    """The piece `offset` tokens from each peak, empty beyond the excerpt's edge."""
    return [dict(enumerate(one.pieces)).get(one.peak + offset, "") for one in excerpts]


# ---------------------------------------------------------------- methods that count

_PLACES = (
    (0, 'token "{}"', "token at the peak"),
    (-1, 'after "{}"', "token before the peak"),
    (1, 'say "{}"', "token after the peak"),
)


def token_frequency(evidence: Evidence, _: Context) -> Finding:
    """Of three places the one whose commonest stem has the highest share; of equals the peak
    first, then the token before it."""
    train = evidence.train
    found = [(commonest(at_peak(train, by)), text, name) for by, text, name in _PLACES]
    best, text, name = max(found, key=lambda one: one[0].count)  # of equals the first
    if not best.count:
        raise LlmError("No excerpt has a token at its peak or beside it.", OTHER)
    detail = f'"{best.word}" is the commonest {name}: {best}.'
    return Finding(text.format(best.word), detail, len(train))


def logit_cascade(evidence: Evidence, context: Context) -> Finding:
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
        if count.count >= (least or max(FEWEST, HALF * count.of)):
            detail = f'The first list with a pattern is the {name}: "{count.word}" in {count}.'
            return Finding(text.format(count.word), detail, len(train))
    raise LlmError("No list of the cascade has a pattern.", OTHER)


def commonest_word(excerpts: Sequence[Excerpt]) -> Count:
    """The stem of a word, no stop word, that is found in most excerpts; of equals the first met."""
    words: list[str] = []
    for one in excerpts:
        found = re.findall(r"[^\W\d_]{2,}", one.text.casefold())
        words += {stem(word): word for word in found if word not in STOP_WORDS}.values()
    best = commonest(words)
    return Count(best.word, best.count, len(excerpts))


# ---------------------------------------------------------------- methods that ask a writer


def logit_cascade_llm(evidence: Evidence, context: Context) -> Finding:
    """All lists of the cascade, for the writer to choose from."""
    shown = _some(evidence)[:CASCADE_EXCERPTS]
    lists = {
        "Strongest tokens": [prompts.visible(piece) for piece in at_peak(shown, 0)],
        "Tokens that follow": [prompts.visible(piece) for piece in at_peak(shown, 1)],
        "Tokens made more likely": [
            f"{prompts.visible(token)} ({logit:+.2f})"
            for token, logit in context.promoted[:TOP_LOGITS]
        ],
        "Excerpts": [prompts.marked(one) for one in shown],
    }
    return _ask(context, prompts.of_lists(lists), "excerpts and promoted tokens", len(shown))


def acts(evidence: Evidence, context: Context, top: int) -> Finding:
    """The strongest excerpts, with marks and strengths."""
    shown = _some(evidence)[:top]
    return _ask(context, prompts.of_excerpts(shown, evidence.maximum), "excerpts", len(shown))


def baez(evidence: Evidence, context: Context, keep: Callable[[str], str]) -> Finding:
    """What a verbalizer says at the strongest peaks, of each text the part that `keep` returns."""
    assert context.verbalizations  # `explain` has checked
    shown = _some(evidence)[:BAEZ_EXCERPTS]
    kept = [(keep(context.verbalizations(one)), one.strength) for one in shown]
    texts = [(text, prompts.strength(at, evidence.maximum)) for text, at in kept if text]
    if not texts:
        raise LlmError(f"The verbalizer said nothing at any of {len(shown)} peaks.", OTHER)
    messages = prompts.of_verbalizations(texts)
    return _ask(context, messages, "verbalized peaks", len(texts), BAEZ_TEMPERATURE)


def whole(text: str) -> str:
    return text.strip()


def last_paragraph(text: str) -> str:
    """The part after the last blank line: what the post says that it kept."""
    return re.split(r"\n\s*\n", text.strip())[-1].strip()


def from_final_token(text: str) -> str:
    """From the last line that begins "Final token", else all: what the post's code kept."""
    lines = text.split("\n")
    begins = [at for at, line in enumerate(lines) if line.lstrip().startswith("Final token")]
    return "\n".join(lines[begins[-1] :] if begins else lines).strip()


def _some(evidence: Evidence) -> tuple[Excerpt, ...]:
    if not evidence.train:
        raise LlmError("There is no excerpt to read.", OTHER)
    return evidence.train


def _ask(
    context: Context, messages: Sequence[Message], what: str, n: int, temperature: float = 0.0
) -> Finding:
    """The writer's label; a reply without one is answered once with what was wrong about it."""
    assert context.writer  # `explain` has checked
    detail = f"{context.writer.name} read {n} {what}."
    write = partial(context.writer.write, temperature=temperature, limit=REPLY)
    reply = write(messages)
    try:
        return Finding(prompts.parse(reply), detail, n)
    except LlmError as error:
        reply = write(prompts.again(messages, reply, error))
    return Finding(prompts.parse(reply), f"{detail} It took a second attempt.", n)


# ---------------------------------------------------------------- the registry

_METHODS: tuple[tuple[str, str, tuple[Need, ...], Method], ...] = (
    ("token_frequency", "The commonest token at or beside the peak.", (), token_frequency),
    ("logit_cascade", "The first pattern of four lists.", (), logit_cascade),
    ("logit_cascade_llm", "A writer reads the same lists.", ("writer",), logit_cascade_llm),
    ("eleuther_acts_top5", "A writer reads 5 excerpts.", ("writer",), partial(acts, top=5)),
    ("eleuther_acts_top20", "A writer reads 20 excerpts.", ("writer",), partial(acts, top=20)),
    ("baez", "A writer reads what a verbalizer says at 5 peaks.", BOTH, partial(baez, keep=whole)),
    ("baez_last_post", "Of that, last paragraphs.", BOTH, partial(baez, keep=last_paragraph)),
    ("baez_last_code", 'Of that, "Final token" on.', BOTH, partial(baez, keep=from_final_token)),
)
EXPLAINERS: dict[str, Explainer] = {row[0]: Explainer(*row) for row in _METHODS}
ALIASES = {"delphi": "eleuther_acts_top5"}


def find(name: str) -> Explainer:
    """An explainer by name or alias.

    Raises:
        NotFoundError: there is none of that name.
    """
    found = EXPLAINERS.get(ALIASES.get(name, name))
    if found is None:
        raise NotFoundError(f"There is no explainer {name!r}.", f"Choose {', '.join(EXPLAINERS)}.")
    return found
