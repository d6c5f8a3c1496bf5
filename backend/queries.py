"""The door to the backend, for pages, notebooks and the command line.

A query takes a study by name and answers from what is computed. Where a result is not there yet the
answer is the `Job` that computes it: wait for it (`wait`) or ask again. What is listed here is what
`backend.query` registers; the answers' shapes are in the views of each subject, and errors are
`TesseraError`, with a problem and a remedy.

    from backend import queries
    regions = queries.wait(lambda: queries.regions("demo"))
    regions.table.sort("coherence")
"""

# what is imported here is asked from elsewhere
# ruff: noqa: F401
# pyright: reportUnusedImport=false

from backend.annotations.hand_label_files import (
    decision_formats,
    export_decisions,
    import_decisions,
)
from backend.annotations.hand_labels import decide, human_labels
from backend.concepts.answers import gray_zone, membership, new_text_membership, purity_coverage
from backend.concepts.choices import concept_sets, concepts_folder, keep_concept
from backend.concepts.reader_answers import concept_aurocs, mean_aurocs
from backend.concepts.results import concept_set
from backend.concepts.stability_answers import robustness, stable_regions
from backend.evals.ce_bench.answers import ce_bench, ce_steer, ce_subject
from backend.evals.ce_bench.sweep import ce_bench_releases, ce_bench_sweep, ce_sweep
from backend.evals.expert_lens.answers import expert_concept, expert_lens, experts_between
from backend.evals.sage.answers import sage
from backend.evals.words import EVALUATIONS
from backend.experiments.answers import comparison, experiment, experiment_so_far, experiments
from backend.experiments.blind_judging import (
    answer_detection,
    answer_verbalization,
    detection_scores,
    detection_task,
    verbalization_scores,
    verbalization_task,
    vote,
    votes,
)
from backend.experiments.cost_estimates import estimate_cost
from backend.experiments.exchange import export_experiment, import_experiment
from backend.experiments.label_advantages import label_advantages
from backend.experiments.runs import run_experiment, start_experiment
from backend.experiments.single_labels import label_scores, labels, write_labels
from backend.features.answers import feature_examples, feature_statistics, search_features
from backend.features.occlusion_answers import why
from backend.labels.answers import label_methods, server
from backend.labels.label_search import count_labels, search_labels
from backend.overview.answers import overview, studies, study
from backend.overview.finding import best_labels, find_features, find_regions
from backend.overview.jobs import (
    cancel,
    job,
    jobs,
    live_jobs,
    outdated_results,
    pause,
    resume,
    retry,
    run_next,
    wait,
)
from backend.query import callables
from backend.queue.answers import queue, queue_hints, queue_items
from backend.queue.self_agreement import agreement
from backend.regions.answers import (
    document,
    region,
    region_members,
    region_of,
    regions,
    search_regions,
    stops,
)
from backend.regions.feature_answers import feature, features
from backend.regions.own_text import probe
from backend.tiers.answers import tier_evidence, tier_profile, tiers
from backend.tiers.check import (
    labels_by_tier,
    plan_by_tier,
    start_experiment_by_tier,
    tier_check,
)
from backend.tiers.routing import estimate_route_cost, route, tier_labels

for _evaluation in EVALUATIONS.values():
    _evaluation.answers  # noqa: B018 - registers its queries
globals().update({name: ask for name, ask in callables().items() if name not in globals()})
