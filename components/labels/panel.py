"""Labels of one feature or region: each text once with the methods that gave it, and what it has
over a label that knows nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl
import streamlit as st

from backend.labels import words
from backend.labels.views import ADVANTAGES, Labels, LabelScores
from backend.labels.words import LabelRequest
from backend.schema import Job
from components.experiments.results import name, scorers
from components.shell import address, markup, numbers, terms
from components.shell.lists import frame_html
from components.shell.markup import escape
from components.shell.status import Desk, render_estimate, waiting

HUMAN = "human"
LONGEST = 48  # characters before a peak


@dataclass(frozen=True)
class Known:
    """What is known of a feature's or region's labels; `view` is the job where that waits."""

    request: LabelRequest
    view: Labels | Job
    advantages: pl.DataFrame  # ADVANTAGES
    is_complete: bool = False  # all that can be scored is
    best: tuple[str, str] = ("", "")  # the label that lists show, and its method

    @property
    def missing(self) -> list[str]:
        """Methods whose labels no model has written yet."""
        assert not isinstance(self.view, Job)
        return self.view.labels.filter(~pl.col("known"))["method"].to_list()

    @property
    def written(self) -> pl.DataFrame:
        """Labels by methods that gave one."""
        assert not isinstance(self.view, Job)
        return self.view.labels.filter((pl.col("text") != "") & (pl.col("method") != HUMAN))

    @property
    def unscored(self) -> list[str]:
        """Labels that some judge has not read yet, or not their control."""
        if self.is_complete:
            return []
        rows = self.advantages.filter(pl.col("control").is_not_null())
        pairs = {(label, words.base(scorer)) for label, scorer in rows["label", "scorer"].rows()}
        texts = self.written["text"].unique(maintain_order=True)
        return [t for t in texts if any((t, s) not in pairs for s in words.scorer_names())]


def known_labels(desk: Desk, study: str, number: int, *kind: str | float) -> Known:
    """What is known of a feature, or of a region where `kind` is "region", p and k; nothing is
    asked of a model."""
    return _known(desk, study, LabelRequest(number, *kind))  # type: ignore[arg-type]


def _known(desk: Desk, study: str, request: LabelRequest) -> Known:
    view: Labels | Job = desk.labels(study, request)
    if isinstance(view, Job) or not len(view.labels):
        return Known(request, view, pl.DataFrame(schema=ADVANTAGES))
    labels = desk.best_labels(study, request.kind, request.p, request.k, request.number)
    best = next(labels.filter(number=request.number).select("label", "method").iter_rows(), None)
    known = Known(request, view, desk.label_advantages(study, request), best=best or ("", ""))
    if not len(known.advantages):
        return known
    methods = ",".join(known.written["method"])
    scores = desk.label_scores.look(study, request, methods)
    return replace(known, is_complete=scores is not None)


# ---------------------------------------------------------------- the one that is read first


def best_html(known: Known) -> str:
    """The label that stands on top of the table, and what it is worth."""
    if isinstance(known.view, Job):
        return ""
    groups = grouped(known)
    if not groups:
        none = known.view.evidence if not len(known.view.labels) else "No method found a label."
        return f'<p class="note">{escape(none)}</p>'
    best = groups[0]
    return (
        f'<p class="best"><b>{markup.label(best.text)}</b> '
        f"<small>{', '.join(map(name, best.methods))} · {escape(worth(best))}</small></p>"
    )


def worth(group: Group) -> str:
    """What the scores of a label say of it, in a few words."""
    if HUMAN in group.methods:
        return "by a person"
    if not group.scores:
        return "not scored"
    if not has_control(group):
        return "scored, but its control is not"
    beats = [words.title(scorer) for scorer, row in group.scores.items() if beats_control(row)]
    if beats:
        return f"beats its control by {' and '.join(beats)}"
    return "not told from its control"


def has_control(group: Group) -> bool:
    """Whether anything is known of a label's control."""
    return any(row["control"] is not None for row in group.scores.values())


def beats_control(row: dict[str, object]) -> bool:
    """Whether the interval of a label's score less its control's lies above 0."""
    return (numbers.known(row["difference_low"]) or 0.0) > 0


# ---------------------------------------------------------------- the table


@dataclass(frozen=True)
class Group:
    """A text, the methods that gave it, and its row of `ADVANTAGES` by scorer."""

    text: str
    methods: tuple[str, ...]
    scores: dict[str, dict[str, object]]


def grouped(known: Known) -> list[Group]:
    """Labels as they are listed: that of the lists first, then people's, then by how many scorers
    tell a label from its control, then by its lead over the control; those without a score last,
    and of these at the end those that name no word."""
    assert not isinstance(known.view, Job)
    labelled = known.view.labels.filter(pl.col("text") != "")
    columns = scored_by(known)
    groups = []
    for (text,), part in labelled.group_by("text", maintain_order=True):
        rows = known.advantages.filter(pl.col("label") == text).iter_rows(named=True)
        by_scorer = {row["scorer"]: row for row in rows}
        scores = {scorer: by_scorer[scorer] for scorer in columns if scorer in by_scorer}
        groups.append(Group(str(text), tuple(part["method"]), scores))
    text, method = known.best
    if text and text not in labelled["text"]:  # counted on one side, or by another writer
        groups.append(Group(text, (method,), {}))
    return sorted(groups, key=lambda group: (group.text != text, *_rank(group)))


def _rank(group: Group) -> tuple[bool, int, float, bool]:
    beats = sum(map(beats_control, group.scores.values()))
    leads = [numbers.known(row["difference"]) for row in group.scores.values()]
    lead = next((each for each in leads if each is not None), float("-inf"))
    return HUMAN not in group.methods, -beats, -lead, bool(words.mark_named(group.text))


def scored_by(known: Known) -> list[str]:
    """The numbers that are shown, those of a judge last."""
    by_model = words.judged_names()
    return sorted(scorers(known.advantages, "auroc"), key=lambda s: words.base(s) in by_model)


def labels_html(known: Known, helps: dict[str, str]) -> str:
    """One row a label: its text, who gave it, and by each scorer what it has over its control."""
    columns = scored_by(known)
    rows = []
    for group in grouped(known):
        cells = [_score_html(group.scores.get(scorer)) for scorer in columns]
        names = ", ".join(_method_html(method, helps) for method in group.methods)
        rows.append([f"<b>{markup.label(group.text)}</b>", f"<small>{names}</small>", *cells])
    heads = ("label", "by", *map(words.title, columns))
    table = markup.table(heads, rows, "tt" + "t" * len(columns), reading(known))
    key = terms.key("AUROC") if columns else ""
    return f'<p class="answer">{escape(answer(known))}</p><div class="scored">{table}</div>{key}'


def answer(known: Known) -> str:
    """What the scores say of the labels, in a sentence."""
    scored = [group for group in grouped(known) if has_control(group)]
    beat = sum(any(map(beats_control, group.scores.values())) for group in scored)
    if not scored:
        return "No label is scored beside its control: whether one fits is not known."
    if not beat:
        one = len(scored) == 1
        which = "The scored label is not" if one else f"None of the {len(scored)} scored labels is"
        return f"{which} told from its control."
    verb = "beats its" if beat == 1 else "beat their"
    return f"{beat} of {len(scored)} scored labels {verb} control by one scorer or more."


def _method_html(method: str, helps: dict[str, str]) -> str:
    return f'<span title="{escape(helps.get(method, ""))}">{name(method)}</span>'


def _score_html(row: dict[str, object] | None) -> str:
    """Label less control with its interval; below, the two of which it is the difference. Grey
    where they are not told apart."""
    if row is None:
        return numbers.MISSING
    own = markup.interval(row["value"], row["low"], row["high"])
    if row["control"] is None:
        return f'<span class="alike">{own}<br><small>no control</small></span>'
    ends = f"{numbers.signed(row['difference_low'])} to {numbers.signed(row['difference_high'])}"
    both = f"{numbers.fraction(row['value'])} against {numbers.fraction(row['control_value'])}"
    title = f"label {_plain(row, '')}; control “{row['control'] or '–'}” {_plain(row, 'control_')}"
    kind = "apart" if beats_control(row) else "alike"
    return (
        f'<span class="{kind}" title="{escape(title)}"><b>{numbers.signed(row["difference"])}</b> '
        f"<small>{ends}<br>{both}</small></span>"
    )


def _plain(row: dict[str, object], whose: str) -> str:
    value, low, high = (numbers.fraction(row[f"{whose}{end}"]) for end in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def reading(known: Known) -> str:
    """How the scores are read; empty where there are none."""
    columns = scored_by(known)
    if not columns:
        return ""
    rows = known.advantages.filter(pl.col("scorer").is_in(columns))
    chances = sorted(set(rows["chance"]))
    chance = " or ".join(map(numbers.fraction, chances))
    failed = int(rows["failures"].sum())
    return (
        f"Label less control with its 95% interval, below both scores, on {rows['n'][0]} held-out "
        "contexts, half of them negatives. Control: the label that the same method gave another. "
        f"Grey: not told apart. Chance: {chance}."
        + (f" {failed} answers failed." if failed else "")
    )


# ---------------------------------------------------------------- how they came about


def details_html(known: Known, helps: dict[str, str]) -> str:
    """What each method does and why it says so; how its evidence was drawn."""
    assert not isinstance(known.view, Job)
    columns = (
        ("method", "t", name, "method"),
        ("what it does", "t", lambda method: escape(helps.get(method, "–")), "method"),
        ("why it says so", "t", escape, "detail"),
    )
    labelled = known.view.labels.filter(pl.col("known"))
    judges = known.advantages.filter(~pl.col("scorer").str.starts_with("embedding"))["judge"]
    judge = f" Judged by {judges[0]}." if len(judges) else ""
    table = frame_html(labelled, columns, f"Evidence: {known.view.evidence}.{judge}")
    return f"<details><summary>How each label was made</summary>{table}</details>"


def verbalizations_html(view: Labels) -> str:
    """The texts of the verbalizer at the peaks that `baez` stands on, its controls beside them."""
    if not len(view.verbalizations):
        return ""
    texts = {"said of it": "real", "of another's peak": "other", "of a random vector": "random"}
    columns = (
        ("up to the peak", "t", lambda context: f"…{escape(context[-LONGEST:])}", "context"),
        *((head, "t", lambda text: escape(text or "–"), field) for head, field in texts.items()),
    )
    note = "What reads alike in all columns tells nothing; Experiment measures it."
    table = frame_html(view.verbalizations, columns, note)
    summary = "What the verbalizer said, beside its controls"
    return f"<details><summary>{summary}</summary>{table}</details>"


# ---------------------------------------------------------------- the section of a page


def render_section(desk: Desk, fragment: str, study: str, known: Known) -> None:
    """The labels with their scores; asks the model, and judges, when a person wants it."""
    markup.head("Labels", "what each method calls it, and what that has over a control")
    if waiting(known.view, desk, "known-labels"):
        return
    if not len(known.view.labels):
        return markup.note(known.view.evidence)
    number, jobs = known.request.number, []
    if known.missing and address.get("labelled") == number:
        jobs.append(desk.write_labels(study, known.request, ",".join(known.missing)))
        known = _known(desk, study, known.request)  # written since, perhaps
    methods = known.written["method"].to_list()
    if known.unscored and address.get("scored") == number:
        scores: LabelScores | Job = desk.label_scores(study, known.request, ",".join(methods))
        jobs.append(scores)
        known = _known(desk, study, known.request)
    helps = dict(desk.label_methods().select("method", "help").iter_rows())
    assert not isinstance(known.view, Job)
    details = details_html(known, helps) + verbalizations_html(known.view)
    st.html(labels_html(known, helps) + details)
    waits = [waiting(job, desk, f"labels-{place}") for place, job in enumerate(jobs)]
    if not any(waits):
        _render_buttons(desk, fragment, study, known)


def _render_buttons(desk: Desk, fragment: str, study: str, known: Known) -> None:
    request, number = known.request, known.request.number
    methods = known.written["method"].to_list()
    missing, unscored = known.missing, known.unscored
    scoring = "On contexts that no label was made from, beside labels that know nothing"
    more, score = f"Ask the model for {len(missing)} more", f"Score {_count(len(unscored))}"
    buttons = (
        (missing, "labelled", "ask-labels", more, "By " + ", ".join(missing)),
        (unscored, "scored", "score-labels", score, scoring),
    )
    work = {
        "labelled": (desk.write_labels, missing),
        "scored": (desk.label_scores, methods),
    }
    with st.container(horizontal=True, gap="small", key="label-buttons"):
        for some, field, key, label, hint in buttons:
            if some and address.get(field) != number:
                args = fragment, field, number
                st.button(label, type="tertiary", key=key, help=hint, on_click=_put, args=args)
                query, methods = work[field]
                render_estimate(query, study, request, ",".join(methods))


def _count(labels: int) -> str:
    return "1 label" if labels == 1 else f"{labels} labels"


def _put(fragment: str, field: str, number: int) -> None:
    address.put(**{field: number})
    st.rerun([fragment])
