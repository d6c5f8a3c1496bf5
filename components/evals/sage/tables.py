"""Tables of SAGE, as HTML."""

from __future__ import annotations

import polars as pl

from backend.evals.sage.views import Sage, SagePrompt, SageTask
from components.evals.sage.charts import KINDS, MEASURES, NAMES, named
from components.shell import markup, numbers, palette
from components.shell.links import anchor
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
    rows = []
    for row in view.gates.iter_rows(named=True):
        name = TASKS[row["task"]]
        rows.append(
            [
                f"<b>{unbroken(name)}</b>" if row["task"] == view.task else unbroken(name),
                "solved" if row["solved"] else f"not solved: {escape(row['problem'])}",
                markup.interval(row["ld"], row["low"], row["high"]),
                markup.interval(row["accuracy"], row["accuracy_low"], row["accuracy_high"]),
                markup.interval(row["corrupted"], row["corrupted_low"], row["corrupted_high"]),
                numbers.percent(row["kept"]),
                numbers.count(row["n"]),
                unbroken(row["words"]),
            ]
        )
    note = (
        "LD is the logit of the answer less that of its rival. Solved: its interval lies above 0 "
        "and accuracy (the likelier of the two) is .70 or more; otherwise nothing is reported. A "
        "counterfactual should get the other answer. Words: those that are one token. The model "
        f"runs in float32 here; the study is in {view.dtype}. Seed {view.seed}."
    )
    heads = ("task", "", "LD", "accuracy", "LD of counterfactuals", "keep answer", "n", "words")
    return markup.table(heads, rows, "ttnnnnnt", note)


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
    rows = [
        [
            words[row["drawn"]], numbers.count(row["n"]),
            markup.interval(row["spearman"], row["low"], row["high"]),
            markup.interval(row["same"], row["same_low"], row["same_high"]),
            f"{row['signed']} of {row['n']}",
        ]
        for row in results.agreement.iter_rows(named=True)
    ]  # fmt: skip
    note = (
        "Attribution patching is a first-order guess, (a' − a)·∇LD; rings are sites that were also "
        "patched for real, on the same train prompts. 'Attention' and 'MLP' are what they add to "
        "the residual stream, after a norm of their own where the model has one. Agreement over "
        "sites; 95% intervals by Fisher and Wilson. A sign counts where the interval of the real "
        "effect leaves out 0."
    )
    return markup.table(("sites", "n", "Spearman's ρ", "same sign", "of"), rows, "tnnnn", note)


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


def unions_html(results: SageTask) -> str:
    """For each attribute, the feature that reads some of its values best."""
    rows = [
        [
            escape(row["attribute"]), _feature(row["feature"]), escape(", ".join(row["values"])),
            numbers.fraction(row["train"]), numbers.fraction(row["test"]),
            numbers.fraction(row["base"]),
        ]
        for row in results.read.filter(pl.col("value") == "").iter_rows(named=True)
    ]  # fmt: skip
    note = (
        "One feature for a union of values: the pair that is most above always saying yes on "
        "train. Left: one feature a value; the greedy union of up to 8; the nearest supervised "
        "mean, which shows what can be read; features chosen under shuffled values; always yes."
    )
    heads = ("attribute", "feature", "values", "train", "test", "always yes")
    return markup.table(heads, rows, "tttnnn", note)


def causal_html(results: SageTask) -> str:
    """Does taking the feature away do what taking u away does?"""
    rows = [
        [escape(row["attribute"])]
        + [
            markup.interval(row[name], row[f"{name}_low"], row[f"{name}_high"])
            for name in ("sae", "means", "share")
        ]
        for row in results.causal.iter_rows(named=True)
    ]
    note = (
        "Change of LD when the feature that reads the prompt's value is taken away, and when u of "
        "that value is; – where the second is nothing."
    )
    return markup.table(("attribute", "feature", "u", "share"), rows, "tnnn", note)


def read_html(results: SageTask) -> str:
    """The features chosen for each value."""
    rows = [
        [
            escape(row["attribute"]), escape(row["value"]), _feature(row["feature"]),
            numbers.fraction(row["train"]), numbers.fraction(row["test"]),
            " ".join(_feature(each) for each in row["union"]), numbers.fraction(row["union_test"]),
            numbers.count(row["positives"]),
        ]
        for row in results.read.filter(pl.col("value") != "").iter_rows(named=True)
    ]  # fmt: skip
    heads = ("attribute", "value", "feature", "train", "test", "union", "its test", "positives")
    return markup.table(heads, rows, "tttnntnn")


def _feature(number: int) -> str:
    return anchor(numbers.count(number), "features", feature=number)
