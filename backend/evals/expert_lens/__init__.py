"""ExpertLens: units that know a concept, by average precision."""

from __future__ import annotations

from backend.evals.evaluation import Evaluation, Parameter

UNITS = ("maps", "features")  # all linear maps of the model; the features of the study's SAE
SOURCES = ("corpus", "templates")  # of sentences

EVALUATION = Evaluation(
    name="expert_lens",
    title="ExpertLens",
    hint="Which units know a concept, and are concepts alike to them as to people?",
    cost="Not computed yet: the model reads some thousand sentences, and every unit is ranked for "
    "every concept. Up to ten minutes; what is done is kept if you stop.",
    parameters={
        "units": Parameter("maps or features", "maps", options=UNITS),
        "sentences": Parameter("corpus or templates", "corpus", options=SOURCES),
        "concepts": Parameter("concepts", ""),
        "concept": Parameter("a concept", ""),
        "tau": Parameter("a share from 0 to 1", 0.5, "share"),
    },
)
