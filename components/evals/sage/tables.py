"""Tables of SAGE, as HTML."""

from __future__ import annotations

import polars as pl

from backend.evals.sage.views import Sage, SagePrompt, SageTask
from components.evals.sage.charts import KINDS, MEASURES, NAMES, named
from components.shell import markup, numbers, palette
from components.shell.links import anchor
from components.shell.lists import Column, frame_html
from components.shell.markup import escape, unbroken

TASKS = {
    "ioi": "indirect object",
    "induction": "induction",
    "agreement": "subject–verb agreement",
    "capital": "capital of a country",
}
CONTROLLED = ("means", "squares", "sae", "random", "shuffled", "none")
SMALL = 0.2  # opacity of the ground under a role


def gates_html(view: Sage) -> str:
    """All tasks, hardest first."""

    def name(task: str) -> str:
        return f"<b>{unbroken(TASKS[task])}</b>" if task == view.task else unbroken(TASKS[task])

    def outcome(solved: bool, problem: str) -> str:
        return "solved" if solved else f"not solved: {escape(problem)}"

    columns = (
        ("task", "t", name, "task"),
        ("", "t", outcome, "solved", "problem"),
        ("LD", "n", markup.interval, "ld", "low", "high"),
        _ended("accuracy", "accuracy"),
        _ended("LD of counterfactuals", "corrupted"),
        ("keep answer", "n", numbers.percent, "kept"),
        ("n", "n", numbers.count, "n"),
        ("words", "t", unbroken, "words"),
    )
    note = (
        "LD is the logit of the answer less that of its rival. Solved: its interval lies above 0 "
        "and accuracy (the likelier of the two) is .70 or more; otherwise nothing is reported. A "
        "counterfactual should get the other answer. Words: those that are one token. The model "
        f"runs in float32 here; the study is in {view.dtype}. Seed {view.seed}."
    )
    return frame_html(view.gates, columns, note)


def _ended(head: str, name: str) -> Column:
    """A column of a value with the ends of its interval."""
    return head, "n", markup.interval, name, f"{name}_low", f"{name}_high"


def prompt_html(prompt: SagePrompt) -> str:
    """A prompt with its roles marked, and what may follow."""
    colours = palette.current()
    parts = []
    for position, piece in enumerate(prompt.pieces):
        if role := prompt.roles.get(position):
            ground = palette.fade(colours.accent, SMALL)
            parts.append(
                f'<span class="t" style="background:{ground}">{escape(piece)}</span>'
                f"<i><sub> {escape(role)}</sub></i>"
            )
        else:
            parts.append(escape(piece))
    return (
        f'<p class="passage">{"".join(parts)} → <b>{escape(prompt.answer)}</b>, not '
        f"{escape(prompt.rival)}</p>"
    )


def agreement_html(results: SageTask) -> str:
    """Is the guess any good?"""
    words = {"first": "put first by the guess", "random": "others at random", "all": "both"}
    columns = (
        ("sites", "t", words.__getitem__, "drawn"),
        ("n", "n", numbers.count, "n"),
        ("Spearman's ρ", "n", markup.interval, "spearman", "low", "high"),
        _ended("same sign", "same"),
        ("of", "n", "{} of {}".format, "signed", "n"),
    )
    note = (
        "Attribution patching is a first-order guess, (a' − a)·∇LD; rings are sites that were also "
        "patched for real, on the same train prompts. 'Attention' and 'MLP' are what they add to "
        "the residual stream, after a norm of their own where the model has one. Agreement over "
        "sites; 95% intervals by Fisher and Wilson. A sign counts where the interval of the real "
        "effect leaves out 0."
    )
    return frame_html(results.agreement, columns, note)


def scores_html(results: SageTask, role: str) -> str:
    """Every dictionary at every kind of place."""
    at_role = results.scores.filter(pl.col("role") == role)
    cells = {(r["kind"], r["dictionary"], r["measure"]): r for r in at_role.iter_rows(named=True)}
    rows = []
    for kind, words in KINDS.items():
        for name in NAMES:
            if (kind, name, "relative") not in cells:
                continue
            parts = [cells[kind, name, measure] for measure in ("sufficiency", *MEASURES)]
            intervals = [
                markup.interval(part["value"], part["low"], part["high"])
                if part["low"] is not None else numbers.fraction(part["value"]) for part in parts
            ]  # fmt: skip
            label = "our projection" if name == "sae" and kind != "resid" else NAMES[name]
            dot = named(name).replace(NAMES[name], label)
            rows.append([unbroken(words), dot, *intervals])
    note = (
        "Arrows: farther than the chart goes. Sufficiency: LD with the reconstruction in place, of "
        "clean LD; and of what mean ablation "
        "takes away. Necessity: 1 − |LD(removed) − LD(mean)| / |LD(clean) − LD(mean)|, the mean "
        "left in. Ratios of means, bootstrap over prompts; – where mean ablation changes LD "
        "by less than 5%, so that nothing can be said. The SAE reads the residual stream of this "
        "block only; for attention and MLP, our projection takes the features active there and "
        "fits the contribution with their decoder rows (the paper's own step could not be read). "
        "Random dictionary: as many of as many unit vectors, chosen by how much they project."
    )
    heads = ("at", "dictionary", "sufficiency", "over mean ablation", "necessity", "explained")
    return markup.table(heads, rows, "ttnnnn", note)


def control_html(results: SageTask) -> str:
    """The largest edit of each dictionary."""
    rows = []
    for (kind, edit), part in results.control.group_by("kind", "edit", maintain_order=True):
        place = unbroken(KINDS[str(kind)]), unbroken(escape(edit))
        for name in CONTROLLED:
            mine = part.filter(pl.col("dictionary") == name).sort("k")
            for row in mine.tail(1).iter_rows(named=True):
                flips = f"{row['turned_same']} of {row['turned']}" if row["turned"] else "–"
                rows.append(
                    [
                        *place, named(name), numbers.count(row["k"]),
                        markup.interval(row["value"], row["low"], row["high"]),
                        f"{row['same']} of {row['of']}", flips, numbers.fraction(row["size"]),
                    ]
                )  # fmt: skip
    note = (
        "Share: of the change of LD that the counterfactual's own activation makes. Same answer: "
        "as under that patch; turned: among prompts whose answer it turns, so that no edit gets 0. "
        "Size: ‖edit‖ over ‖counterfactual − prompt‖. Supervised edits know only the values; SAE "
        "and random edits choose greedily, with the counterfactual's activation known. Where the "
        "true patch changes less than 5% of LD, or its interval holds 0, nothing is edited."
    )
    heads = ("at", "edit", "dictionary", "features", "share", "same answer", "turned", "size")
    return markup.table(heads, rows, "tttnnnnn", note)


def _feature(number: int) -> str:
    return anchor(str(number), "features", feature=number)


_ATTRIBUTE: Column = ("attribute", "t", escape, "attribute")


def unions_html(results: SageTask) -> str:
    """For each attribute, the feature that reads some of its values best."""
    columns = (
        _ATTRIBUTE,
        ("feature", "t", _feature, "feature"),
        ("values", "t", lambda values: escape(", ".join(values)), "values"),
        ("train", "n", numbers.fraction, "train"),
        ("test", "n", numbers.fraction, "test"),
        ("always yes", "n", numbers.fraction, "base"),
    )
    note = (
        "One feature for a union of values: the pair that is most above always saying yes on "
        "train. Left: one feature a value; the greedy union of up to 8; the nearest supervised "
        "mean, which shows what can be read; features chosen under shuffled values; always yes."
    )
    return frame_html(results.read.filter(value=""), columns, note)


def causal_html(results: SageTask) -> str:
    """Does taking the feature away do what taking u away does?"""
    means = {"feature": "sae", "u": "means", "share": "share"}
    columns = [_ATTRIBUTE, *(_ended(head, name) for head, name in means.items())]
    note = (
        "Change of LD when the feature that reads the prompt's value is taken away, and when u of "
        "that value is; – where the second is nothing."
    )
    return frame_html(results.causal, columns, note)


def read_html(results: SageTask) -> str:
    """The features chosen for each value."""
    columns = (
        _ATTRIBUTE,
        ("value", "t", escape, "value"),
        ("feature", "t", _feature, "feature"),
        ("train", "n", numbers.fraction, "train"),
        ("test", "n", numbers.fraction, "test"),
        ("union", "t", lambda union: " ".join(map(_feature, union)), "union"),
        ("its test", "n", numbers.fraction, "union_test"),
        ("positives", "n", numbers.count, "positives"),
    )
    return frame_html(results.read.filter(pl.col("value") != ""), columns)
