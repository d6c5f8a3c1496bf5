"""What pages show: the answers of `backend.queries`, frozen dataclasses and polars tables.

Every table's columns are given beside it. Token rows count the tokens of the corpus from 0,
BOS left out. Regions and features are numbered from 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

from backend.schema import Job, Plan, Thresholds, TierSpec


@dataclass(frozen=True)
class Provenance:
    """How a result came about: what "how was this computed?" shows."""

    function: str
    digest: str
    arguments: str  # JSON
    libraries: tuple[tuple[str, str], ...]
    device: str
    seconds: float
    created: float  # Unix seconds
    command: str  # repeats it


@dataclass(frozen=True)
class Passage:
    """Consecutive tokens of one document with a number each."""

    document: int
    title: str
    topic: str
    first: int  # token row of the first piece
    pieces: tuple[str, ...]  # text of each token, as the document spells it
    values: tuple[float, ...]  # activation, or distance to the nearest exemplar
    focus: int = -1  # index into pieces of the token that is meant; -1: none
    regions: tuple[int, ...] = ()  # region of each token, where regions are shown


@dataclass(frozen=True)
class Member:
    """A token of a region, in its context."""

    token: int  # token row
    distance: float  # to the exemplar
    margin: float  # how much farther the runner-up is
    runner_up: int  # the region that is second nearest; -1: there is only one
    passage: Passage


@dataclass(frozen=True)
class Example:
    """A context in which a feature fires or, with an activation of 0, does not."""

    token: int  # token row of the peak
    activation: float  # at the peak
    passage: Passage  # the whole context, valued by the feature


@dataclass(frozen=True)
class Draw:
    """A sample and how it was drawn, in words, with the number it was drawn from."""

    how: str
    of: int
    items: tuple[Member, ...] | tuple[Example, ...]


@dataclass(frozen=True)
class StudyCard:
    """A study as the picker and the header show it; `problem` is set where its file is bad."""

    name: str
    title: str
    model: str
    site: str
    corpus: str
    sae: str
    embedder: str
    revisions: tuple[tuple[str, str], ...]  # (what, revision)
    device: str
    dtype: str
    p: float
    k: float
    p_stops: tuple[float, ...]
    k_stops: tuple[float, ...]
    notes: str
    problem: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class RegionMap:
    """All regions of a partition.

    `table`: region, x, y, size, gray, share, coherence, mean_distance, radius (median distance),
    radius_90, margin (median), overlap (mean L0), isolation (distance to the nearest other
    exemplar), token (text of the exemplar), before, after, document, topic (of highest lift),
    lift, lift_low, lift_high, token_driven (bool), token_share, token_null, top_token,
    feature (best match, -1: none), f1.
    """

    table: pl.DataFrame
    layout: str  # "umap", or "pca" while UMAP is not ready
    p: float
    k: float
    theta: float
    tokens: int  # points in the partition
    corpus_tokens: int  # points there will be; more than `tokens` for a preview
    gray: float  # share of points with θ < d ≤ kθ
    uncovered: float  # share of points with d > kθ
    overlap: float  # mean number of exemplars within θ
    ambiguous: float  # share of points within θ of more than one exemplar
    saturated: bool
    provenance: Provenance
    pending: Job | None = None  # what is still being computed: the whole corpus, or UMAP


@dataclass(frozen=True)
class RegionView:
    """Everything about one region but its members, which are drawn by `members`."""

    region: int
    row: dict[str, object]  # its row of RegionMap.table
    theta: float
    exemplar: Member
    tokens: pl.DataFrame  # text, count, share: what the members' tokens are
    next_tokens: pl.DataFrame  # text, count, share
    topics: pl.DataFrame  # topic, count, share, prior, lift, low, high (Wilson, over prior)
    explained: pl.DataFrame  # what, share, null, explained, value: how much is just a token ...
    bands: pl.DataFrame  # band, low, high, count: quarters of the distance range
    distances: tuple[float, ...]  # of a sample of members, for the histogram
    margins: tuple[float, ...]
    competitors: pl.DataFrame  # region, token, count, share, margin: runner-up regions
    promoted: pl.DataFrame  # text, logit
    suppressed: pl.DataFrame  # text, logit
    features: pl.DataFrame  # feature, f1, precision, recall, top_token; empty without an SAE
    provenance: Provenance
    pending: Job | None = None  # logits or features still being computed


@dataclass(frozen=True)
class FeatureTable:
    """All features of the SAE.

    `table`: feature, density (share of tokens), active (tokens), documents, max, mean,
    top_token, top_token_share, topic, lift, region (best match, -1: none), f1, promoted (text).
    """

    table: pl.DataFrame
    tokens: int
    l0: float
    fvu: float
    dead: int
    provenance: Provenance
    pending: Job | None = None  # what reads their logits


@dataclass(frozen=True)
class FeatureView:
    """Everything about one feature but its examples, which are drawn by `examples`."""

    feature: int
    row: dict[str, object]  # its row of FeatureTable.table
    histogram: pl.DataFrame  # low, high, count: of the non-zero activations
    quantiles: pl.DataFrame  # band, low, high, count: ten quantiles of the non-zero activations
    promoted: pl.DataFrame  # text, logit
    suppressed: pl.DataFrame  # text, logit
    logit_histogram: pl.DataFrame  # low, high, count: over the vocabulary
    tokens: pl.DataFrame  # text, count, share, mean: where it fires
    topics: pl.DataFrame  # topic, count, share, prior, lift, low, high
    documents: pl.DataFrame  # document, title, topic, count, max
    nearest: pl.DataFrame  # feature, cosine, top_token: by decoder direction
    cofiring: pl.DataFrame  # feature, count, jaccard, lift, top_token
    regions: pl.DataFrame  # region, f1, precision, recall, token
    provenance: Provenance
    pending: Job | None = None  # logits or regions still being computed


@dataclass(frozen=True)
class Labels:
    """Labels of one feature or region, and what they were made from."""

    number: int
    # method, text, detail (why, or why there is none), n (excerpts), known (False: not written yet)
    labels: pl.DataFrame
    evidence: str  # how train, test and negatives were drawn
    writer: str  # the model that is asked
    # context, real, random, other: texts of the verbalizer at peaks, and of controls; may be empty
    verbalizations: pl.DataFrame = field(default_factory=pl.DataFrame)


@dataclass(frozen=True)
class LabelScores:
    """How well labels tell held-out contexts from others, beside their controls."""

    number: int
    scores: pl.DataFrame  # of (label, shuffled, empty), label, and the columns of a score
    provenance: Provenance


@dataclass(frozen=True)
class Quote:
    """What a run asks for at most; `cost` in the currency of the prices, None where unknown."""

    features: int
    calls: int
    prompt_tokens: int
    reply_tokens: int
    cost: float | None
    how: str


@dataclass(frozen=True)
class Run:
    """An experiment that was started: its name in links, and what it is."""

    run: str
    plan: Plan
    writer: str
    judge: str
    created: float  # Unix seconds
    done: bool = False


@dataclass(frozen=True)
class Experiment:
    """What a labelling experiment came to.

    `labels`: feature, method, writer, text, detail, failed (why there is none), n, seconds.
    `scores`: of (label, shuffled, empty), label, and the columns of a score. `means`: over
    features, by of, method, scorer, with mean, low, high, features, unscored, n, failures, chance.
    `differences`: method − other over the same features, with low, high, sd, smallest (that so
    many features could show). `gains`: the same of each method's labels less those given to other
    features. `distances`: feature, method, other, text, other_text, distance.
    `controls`: of the verbalizer: control, features, n, share, low, high, ties; empty where
    none spoke. `known`: of the judge where the answer is known (does a text hold a word?):
    scorer, mean, low, high, words, n, failures.
    """

    run: str
    plan: Plan
    writer: str
    judge: str
    labels: pl.DataFrame
    scores: pl.DataFrame
    means: pl.DataFrame
    differences: pl.DataFrame
    gains: pl.DataFrame
    distances: pl.DataFrame
    controls: pl.DataFrame
    known: pl.DataFrame
    provenance: Provenance


@dataclass(frozen=True)
class Imported:
    """An experiment taken from a file: its name, what could not be read, what to know."""

    run: str
    problems: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Judgement:
    """A held-out excerpt, and what the judge said of it for each label."""

    pieces: tuple[str, ...]
    values: tuple[float, ...]  # the feature's activations, as far as shown
    text: str  # as the judge saw it
    fires: bool  # what is true
    answers: tuple[int | None, ...]  # of each method: 1 it fits, 0 not, None failed
    probabilities: tuple[float | None, ...]


@dataclass(frozen=True)
class Comparison:
    """One feature's labels side by side on the same held-out excerpts."""

    feature: int
    scorer: str
    labels: pl.DataFrame  # of Experiment.labels, this feature's
    methods: tuple[str, ...]  # whose labels did not fail, in the order of `answers`
    items: tuple[Judgement, ...]
    scores: pl.DataFrame  # of Experiment.scores, this feature's labels and the empty one
    maximum: float  # the feature's strongest activation
    train: str  # how the evidence was drawn
    human: pl.DataFrame = field(default_factory=pl.DataFrame)  # writer, text, failed: by hand


@dataclass(frozen=True)
class Task:
    """A label to judge excerpts by, blind; `item` is empty where a round is done."""

    item: str
    label: str
    texts: tuple[str, ...]
    done: int
    of: int


@dataclass(frozen=True)
class Guess:
    """A text up to a token, and two texts of which one was said of the activation there."""

    item: str
    context: str
    texts: tuple[str, str]
    done: int
    of: int


@dataclass(frozen=True)
class TierTable:
    """All features by tier. `table`: feature, top_token, density, input, output, cross (ρ),
    examples, cut (windows that a context's end cuts), tier (`Tier`), margin (to the nearest τ).
    `nulls`: window, null (random, shuffled), mean, p5, median, p95, p99,
    draws."""

    spec: TierSpec
    thresholds: Thresholds
    table: pl.DataFrame
    counts: list[int]  # of each Tier
    nulls: pl.DataFrame
    provenance: Provenance


@dataclass(frozen=True)
class WindowText:
    """One window around a peak."""

    token: int  # the peak's token row
    text: str
    cut: bool  # by the end of the context
    peak: str  # the token


@dataclass(frozen=True)
class TierEvidence:
    """What a feature's ρ stand on. `rho`: window, rho, below (share of random sets below it);
    `examples`: of each, its windows of input, output and cross; `strengths`, its activation."""

    feature: int
    rho: pl.DataFrame
    examples: tuple[tuple[WindowText, ...], ...]
    strengths: tuple[float, ...]


@dataclass(frozen=True)
class TierCheck:
    """Whether tiers are any good. `spec`, `thresholds`, `f1`: what is best on one planted set; all
    else is of the other. `confusion`: kind, tier, count, of, share, low, high. `kinds`: tier, f1,
    low, high. `separation`: window, count, auroc, low, high (on a topic or at random?).
    `stability`: changed, to, same, kappa, n. `opinion`: tier, features, mean input and output
    score with low and high."""

    spec: TierSpec
    thresholds: Thresholds
    f1: float
    confusion: pl.DataFrame
    kinds: pl.DataFrame
    separation: pl.DataFrame
    stability: pl.DataFrame
    opinion: pl.DataFrame


@dataclass(frozen=True)
class Overview:
    """What a study holds and what is worth a look."""

    documents: int
    contexts: int
    tokens: int
    repeats: int  # documents dropped because they repeat others
    topics: pl.DataFrame  # topic, documents, tokens
    regions: RegionMap | Job
    features: FeatureTable | Job | None  # None: the study has no SAE
    stops: pl.DataFrame  # p, k, theta, regions, gray, overlap, ambiguous; of what is computed


@dataclass(frozen=True)
class Why:
    """Why a feature fires at a token: what the text before it adds. Later tokens cannot matter.

    An effect is the share of the activation that is lost where a token is replaced: 1 where the
    feature falls silent, below 0 where it fires more strongly. A run is the last tokens alone.
    """

    feature: int
    token: int  # token row
    stored: float  # the activation as the corpus was read
    full: float  # as read again from the text up to the token; what shares are of
    agrees: bool  # whether the two differ by no more than rounding
    passage: Passage  # the context up to the token, valued by effect
    tokens: pl.DataFrame  # before (tokens later, to the asked one), text, effect, low, high (range)
    runs: pl.DataFrame  # length, first (text of its first token), activation, share
    shortest: pl.DataFrame  # share, length of the shortest run that gives it, steady (length from
    # which on all runs give it), text (of the shortest)
    stand_ins: tuple[str, ...]  # what tokens were replaced by
    provenance: Provenance


@dataclass(frozen=True)
class Probe:
    """One's own text, read by the model."""

    passage: Passage  # valued by the asked feature, or by distance to the nearest exemplar
    top: pl.DataFrame  # position, feature, activation: the strongest features of each token


@dataclass(frozen=True)
class Decision:
    """What a person decided about a feature; `occurrence` 1 is an unannounced repeat."""

    uid: str
    person: str
    made: float  # Unix seconds
    feature: int
    occurrence: int
    action: str  # label, none (no label fits) or skip
    label: str
    tags: tuple[str, ...]
    confidence: str  # low, middle, high, or empty
    notes: str
    evidence: tuple[str, ...]  # texts that were tried
    flagged: bool
    hinted: bool  # hints had been looked at
    seconds: float  # that it took
    old: str  # uid of the decision it replaces, or empty


@dataclass(frozen=True)
class DecisionReceipt:
    """What became of decisions that were sent: uids that are on disk now, and reasons by uid."""

    kept: tuple[str, ...]
    refused: dict[str, str]


@dataclass(frozen=True)
class DecisionImport:
    """What became of a file of decisions: how many were kept, how many were known, and what is
    wrong with the others; `notes` say how some of the rest were understood."""

    kept: int
    known: int
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RepeatAgreement:
    """How many of the features that a person decided twice got the same both times."""

    pairs: int
    same: int
    low: float  # Wilson's 95% interval of the share
    high: float


@dataclass(frozen=True)
class Queue:
    """What a person is to label next, and how far they are."""

    # feature, occurrence of those ahead; uid of its decision where it was skipped and comes again
    slots: tuple[tuple[int, int, str], ...]
    done: int
    skipped: int  # that come again at the end
    of: int
    seconds: float | None  # median of the last decisions
    history: tuple[tuple[Decision, bool], ...]  # the last decisions, and whether undone
    agreement: RepeatAgreement


@dataclass(frozen=True)
class Agreement:
    """Cosine of the labels that a person gave to the same feature twice, and, as a null, of labels
    of different features; None where there are none."""

    pairs: int
    mean: float | None
    low: float | None  # 95% interval of the mean
    high: float | None
    null: float | None
    null_low: float | None  # 5th and 95th percentile
    null_high: float | None


@dataclass(frozen=True)
class QueueItem:
    """What a label is to be made from."""

    feature: int
    contexts: int  # in which it fires
    maximum: float
    strongest: tuple[Example, ...]
    drawn: tuple[Example, ...]  # at random of the others


@dataclass(frozen=True)
class Hint:
    """What a method calls a feature."""

    method: str
    text: str
