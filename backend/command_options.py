"""What each option of the command line means, said once: an option of one name means the same in
every query but for those in `OF_QUERY`."""

from __future__ import annotations

from collections.abc import Iterable

from backend.annotations.formats import FORMATS as DECISION_FORMATS
from backend.concepts.ranked_units import CONTRASTS
from backend.evals.ce_bench import DEFINITIONS
from backend.evals.expert_lens import SOURCES, UNITS
from backend.evals.sage import TASKS
from backend.experiments.words import FORMATS
from backend.labels.evidence import NEGATIVES, SPLITS
from backend.labels.explainers import EXPLAINERS
from backend.labels.kinds import SCORERS
from backend.queue.words import ORDERS
from backend.tiers.words import TIERS


def _one_of(names: Iterable[str]) -> str:
    return f"One of: {', '.join(names)}."


WHO = "Who writes and judges: own (the study's model) or server (that of TESSERA_LLM_URL)."

FLAGS = {
    "json": "Print everything as JSON.",
    "csv": "Print a table whole, as CSV.",
    "table": "Which table of the answer to print, by the name that stands before it.",
    "columns": "Which columns of a table to print, with commas between.",
    "look": "Print only what is there; compute nothing.",
    "preview": "Print the first answer that there is, such as a map of the beginning of the "
    "corpus, rather than wait for the whole.",
    "quiet": "Do not tell on stderr how far the work is.",
}

OPTIONS = {
    "after": "Items that come before it; say the option again for each.",
    "calls": "How many calls of a language model this may take; 0: no limit.",
    "concept": "A concept of the set; empty: its first.",
    "concepts": "Names of concepts, with commas between; empty: those that the benchmark finds.",
    "contrast": f"What positive texts are told from. {_one_of(CONTRASTS)}",
    "cost": "How much this may cost, in the currency of TESSERA_LLM_PRICE_IN; 0: no limit.",
    "count": "How many to draw.",
    "definition": f"How CE-Bench's scores are defined. {_one_of(DEFINITIONS)}",
    "document": "Number of a document of the corpus.",
    "draw": "What to draw. One of: top, random, silent, 'quantile 1' (the weakest) to "
    "'quantile 10'.",
    "each": "How many features of each tier.",
    "feature": "Number of a feature of the SAE.",
    "features": "Numbers of features; say the option again for each.",
    "history": "With the person's last decisions.",
    "id": "Number of a job, as `jobs` lists it.",
    "k": "Gray-zone factor of the partition; one of the study's stops, by default the study's own.",
    "kind": "What is labelled: feature or region.",
    "limit": "How many at most, newest first.",
    "methods": f"Methods that make labels, with commas between. {_one_of(EXPLAINERS)}",
    "most": "How many features at most; 0: all.",
    "name": "A concept set, as `concept_sets` lists them.",
    "number": "Number of the feature or region.",
    "other": "A concept set whose texts are placed instead; empty: the concept's own test texts.",
    "p": "Percentile of the partition; one of the study's stops, by default the study's own.",
    "pairs": "Contrastive pairs: empty for Tessera's own, a file, or a dataset of the hub.",
    "person": "Whose labels or answers, by the name given on the page.",
    "prompt": "The text that is continued.",
    "region": "Number of a region.",
    "role": "A role of the task's tokens; empty: where the residual stream matters most.",
    "run": "An experiment, by the name that `experiments` lists.",
    "sae_block": "Regular expression that an SAE's id matches as a whole.",
    "sae_regex": "Regular expression that a release of SAELens' registry matches as a whole.",
    "saes": "SAEs as <source>@<revision>; say the option again for each. By default the study's.",
    "scorer": f"By which scores labels are compared. {_one_of(SCORERS)}",
    "seed": "Number that a random draw begins from.",
    "sentences": f"Where sentences come from. {_one_of(SOURCES)}",
    "strength": "How far features are shifted: 1 is the difference that the subject makes.",
    "study": "Name of a study: its file in TESSERA_STUDIES without `.toml`.",
    "subject": "A subject of CE-Bench's stories; empty, where that is allowed: the first.",
    "task": f"{_one_of(TASKS)} Empty: the hardest that the model solves.",
    "text": "The text to look for, or to read.",
    "token": "Number of a token of the corpus.",
    "topic": "Only texts of this topic of the corpus.",
    "units": f"What may be an expert. {_one_of(UNITS)}",
    "who": WHO,
    # fields of what several options say together
    "among": "Features to draw from; say the option again for each. By default all.",
    "cross": "Tokens on each side of the peak in the cross window; 0: the whole context.",
    "input": "Tokens before the peak in the input window.",
    "marks": "Which tokens of negatives fuzzing marks: matched (as many as in positives) or post "
    "(as in the post that the score is from).",
    "negatives": f"Which contexts the negatives are. {_one_of(NEGATIVES)}",
    "only": "Numbers of features, with commas between, instead of a tier.",
    "order": f"In which order features are queued. {_one_of(ORDERS)}",
    "output": "Tokens after the peak in the output window.",
    "scorers": f"Scores; say the option again for each. {_one_of(SCORERS)}",
    "split": f"How excerpts are parted into train and test. {_one_of(SPLITS)}",
    "tier": f"Which features are queued. {_one_of(TIERS)}",
    "weighted": "Weight examples by their activation.",
    "window": "Tokens on either side of the peak that a judge is shown.",
}

OF_QUERY = {
    ("ce_subject", "feature"): "Feature whose values the stories show; -1: the first.",
    ("experts_between", "other"): "Name of the study to compare with.",
    ("export_decisions", "format"): _one_of(DECISION_FORMATS),
    ("export_experiment", "format"): _one_of(FORMATS),
    ("document", "feature"): "Feature that values the tokens; by default their regions.",
    ("probe", "feature"): "Feature that values the tokens; by default their regions.",
    ("region_members", "kind"): "What to draw. One of: closest, farthest, random, 'band 1' and on.",
    ("route", "most"): "How many features of tier 2 are labelled at most; 0: all.",
    ("run_experiment", "features"): "How many features are labelled.",
    ("estimate_cost", "features"): "How many features are labelled.",
    ("estimate_cost", "methods"): f"Say the option again for each. {_one_of(EXPLAINERS)}",
    ("run_experiment", "methods"): f"Say the option again for each. {_one_of(EXPLAINERS)}",
    ("search_labels", "kind"): "What to search: feature or region.",
}

OF_ARGUMENT = {
    "spec.count": "How many of a feature's strongest examples its scores stand on.",
    "thresholds.input": "ρ from which the input window counts as shared.",
    "thresholds.output": "ρ from which the output window counts as shared.",
    "thresholds.cross": "ρ from which the cross window counts as shared.",
}


def words_of(query: str, option: str) -> str:
    """What an option of a query means; `option` with its argument, such as `thresholds.input`."""
    name = option.rpartition(".")[2]
    special = OF_ARGUMENT.get(option) or OF_QUERY.get((query, name))
    return special or OPTIONS.get(name, "")
