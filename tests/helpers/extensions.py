"""What each example of `docs/extending.md` must do once it is in a copy of Tessera.

    python -m tests.helpers.extensions scorer

is run in the copy, on the study `small` of the environment, computed. Ends with a traceback where
the example does not appear in its registry, on the command line or on its page.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
from streamlit.testing.v1 import AppTest

from backend import queries
from backend.__main__ import main as command_line
from tests.helpers.pages import opened, text_of

STUDY = "small"


def printed(*arguments: str) -> Any:
    """What a command prints as JSON."""
    with contextlib.redirect_stdout(io.StringIO()) as output:
        assert command_line([*arguments, "--json"]) == 0
    return json.loads(output.getvalue())


def options(app: AppTest, kind: str, label: str) -> list[str]:
    """What the element of a label offers."""
    return next(each for each in app.get(kind) if each.label == label).options


# ---------------------------------------------------------------- the examples


class Affirmative:
    """A writer that finds every excerpt fitting."""

    name = "affirmative"
    obeys = True

    def write(self, messages: Sequence[Any], _draw: Any = None) -> str:
        from backend.labels.judges import PER_PROMPT

        assert "random order" in messages[0].content
        return json.dumps([1] * PER_PROMPT)


def check_scorer() -> None:
    from backend.labels.judges import WriterJudge
    from backend.labels.trials import trial
    from benchmarks.scoring import judge_all, planted

    (score,) = judge_all([trial("bag_of_words", "numbers", planted(0))], WriterJudge(Affirmative()))
    assert (score.scorer, score.value, score.chance) == ("bag_of_words", 0.5, 0.5)
    plan = ["--methods", "token_frequency", "--features", "3"]
    estimate = ["estimate_cost", "--study", STUDY, *plan, "--scorers"]
    assert printed(*estimate, "bag_of_words") == printed(*estimate, "detection")
    app = opened("experiment", study=STUDY, scorers="bag_of_words")
    assert "bag_of_words" in options(app, "multiselect", "Judged by")


def check_explainer() -> None:
    from backend.labels.explainers import EXPLAINERS, Context
    from benchmarks.scoring import planted

    evidence = planted(0)  # of random words: no pair is shared
    assert EXPLAINERS["token_pair"].explain(evidence, Context()).failed
    pair = replace(evidence.train[0], pieces=(" hot", " dog", "s"), values=(0.0, 1.0, 0.0), peak=1)
    shared = replace(evidence, train=(pair, pair, *evidence.train))
    assert EXPLAINERS["token_pair"].explain(shared, Context()).text == 'text "hot dog"'
    assert "token_pair" in [row["method"] for row in printed("label_methods")]
    app = opened("experiment", study=STUDY, methods="token_pair")
    assert "token_pair" in options(app, "multiselect", "Methods")


def check_importer() -> None:
    data = b"feature\ttext\n3\tnames of boats\n5\t\n"
    receipt = queries.import_decisions(STUDY, "ann", data, "tab_separated", "labels.tsv")
    assert (receipt.kept, len(receipt.problems)) == (1, 1)  # a row without text is no label
    exported = queries.export_decisions(STUDY, "tab_separated")
    assert exported == b"feature\ttext\n3\tnames of boats\n"
    assert queries.import_decisions(STUDY, "ann", exported, "tab_separated").known == 1
    assert "tab_separated" in [row["name"] for row in printed("decision_formats")]
    app = opened("queue", study=STUDY, person="ann", tier="all")
    titles = [button.label for button in app.get("download_button")]
    assert "current labels, tab-separated" in titles


def check_concept_source() -> None:
    from backend.corpus.concept_sources import at_path, source_of

    folder = Path(os.environ["TESSERA_ANNOTATIONS"]) / "concepts" / "boats"
    folder.mkdir(parents=True)
    for kind, word in (("positive", "boat"), ("negative", "oven")):
        lines = [f"The {word} is {number} years old." for number in range(8)]
        (folder / f"{kind}.txt").write_text("\n".join(lines))
    ref = at_path(folder)
    rows = source_of(ref).read(ref, pl.DataFrame).rows
    assert rows.group_by("kind").len().sort("kind").rows() == [("negative", 8), ("positive", 8)]
    assert "boats" in [row["name"] for row in printed("concept_sets")]
    app = opened("concepts", study=STUDY, set="boats")
    assert any("boats" in option for option in options(app, "selectbox", "Concept set"))


def check_evaluation() -> None:
    view = printed("density", "--study", STUDY, "--dense", "0.5")
    table = queries.features(STUDY).table
    counts = {row["measure"]: row["count"] for row in view["shares"]}
    assert counts["never fire"] == (table["density"] == 0).sum()
    assert counts["dense"] == (table["density"] > 0.5).sum()
    app = opened("benchmarks", study=STUDY, which="density", dense=0.5, started=1)
    assert "Density" in app.get("button_group")[0].options
    assert f"never fire {counts['never fire']}" in text_of(app)


def check_page() -> None:
    app = opened("densities", study=STUDY)
    bands = queries.features(STUDY).table["density"].cut([0.0]).value_counts()
    never = dict(bands.iter_rows()).get("(-inf, 0]", 0)
    assert f"never {never} up to" in text_of(app)
    linked = [link.proto.page for link in app.get("page_link")]
    assert "densities" in linked


CHECKS = {
    "scorer": check_scorer,
    "explainer": check_explainer,
    "importer": check_importer,
    "concept_source": check_concept_source,
    "evaluation": check_evaluation,
    "page": check_page,
}

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as annotations:
        os.environ["TESSERA_ANNOTATIONS"] = annotations
        CHECKS[sys.argv[1]]()
