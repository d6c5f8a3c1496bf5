"""The door to the backend, for pages, notebooks and the command line.

A query takes a study by name and answers from what is computed. Where a result is not there yet the
answer is the `Job` that computes it: wait for it (`wait`) or ask again. What is listed here is what
`backend.query` registers; the answers' shapes are in the views of each subject, and errors are
`TesseraError`, with a problem and a remedy.

    from backend import queries
    regions = queries.wait(lambda: queries.regions("demo"))
    regions.table.sort("coherence")
"""

from backend.annotations.hand_label_files import decision_formats as decision_formats
from backend.annotations.hand_label_files import export_decisions as export_decisions
from backend.annotations.hand_label_files import import_decisions as import_decisions
from backend.annotations.hand_labels import decide as decide
from backend.annotations.hand_labels import human_labels as human_labels
from backend.concepts.answers import gray_zone as gray_zone
from backend.concepts.answers import membership as membership
from backend.concepts.answers import new_text_membership as new_text_membership
from backend.concepts.answers import purity_coverage as purity_coverage
from backend.concepts.choices import concept_sets as concept_sets
from backend.concepts.choices import keep_concept as keep_concept
from backend.concepts.reader_answers import concept_aurocs as concept_aurocs
from backend.concepts.reader_answers import mean_aurocs as mean_aurocs
from backend.concepts.results import concept_set as concept_set
from backend.concepts.stability_answers import robustness as robustness
from backend.concepts.stability_answers import stable_regions as stable_regions
from backend.evals.ce_bench.answers import ce_bench as ce_bench
from backend.evals.ce_bench.answers import ce_steer as ce_steer
from backend.evals.ce_bench.answers import ce_subject as ce_subject
from backend.evals.ce_bench.sweep import ce_bench_releases as ce_bench_releases
from backend.evals.ce_bench.sweep import ce_bench_sweep as ce_bench_sweep
from backend.evals.ce_bench.sweep import ce_sweep as ce_sweep
from backend.evals.expert_lens.answers import expert_concept as expert_concept
from backend.evals.expert_lens.answers import expert_lens as expert_lens
from backend.evals.expert_lens.answers import experts_between as experts_between
from backend.evals.sage.answers import sage as sage
from backend.evals.words import EVALUATIONS
from backend.experiments.answers import comparison as comparison
from backend.experiments.answers import experiment as experiment
from backend.experiments.answers import experiments as experiments
from backend.experiments.blind_judging import answer_detection as answer_detection
from backend.experiments.blind_judging import answer_verbalization as answer_verbalization
from backend.experiments.blind_judging import detection_scores as detection_scores
from backend.experiments.blind_judging import detection_task as detection_task
from backend.experiments.blind_judging import verbalization_scores as verbalization_scores
from backend.experiments.blind_judging import verbalization_task as verbalization_task
from backend.experiments.blind_judging import vote as vote
from backend.experiments.blind_judging import votes as votes
from backend.experiments.cost_estimates import estimate_cost as estimate_cost
from backend.experiments.exchange import export_experiment as export_experiment
from backend.experiments.exchange import import_experiment as import_experiment
from backend.experiments.runs import run_experiment as run_experiment
from backend.experiments.runs import start_experiment as start_experiment
from backend.experiments.single_labels import label_scores as label_scores
from backend.experiments.single_labels import labels as labels
from backend.experiments.single_labels import write_labels as write_labels
from backend.features.answers import feature_examples as feature_examples
from backend.features.answers import feature_statistics as feature_statistics
from backend.features.answers import search_features as search_features
from backend.features.occlusion_answers import why as why
from backend.labels.answers import label_methods as label_methods
from backend.labels.answers import server as server
from backend.labels.label_search import search_labels as search_labels
from backend.overview.answers import overview as overview
from backend.overview.answers import studies as studies
from backend.overview.answers import study as study
from backend.overview.jobs import cancel as cancel
from backend.overview.jobs import job as job
from backend.overview.jobs import jobs as jobs
from backend.overview.jobs import outdated_results as outdated_results
from backend.overview.jobs import retry as retry
from backend.overview.jobs import wait as wait
from backend.query import callables
from backend.queue.answers import queue as queue
from backend.queue.answers import queue_hints as queue_hints
from backend.queue.answers import queue_items as queue_items
from backend.queue.self_agreement import agreement as agreement
from backend.regions.answers import region as region
from backend.regions.answers import region_members as region_members
from backend.regions.answers import region_of as region_of
from backend.regions.answers import regions as regions
from backend.regions.answers import search_regions as search_regions
from backend.regions.answers import stops as stops
from backend.regions.documents import document as document
from backend.regions.feature_answers import feature as feature
from backend.regions.feature_answers import features as features
from backend.regions.own_text import probe as probe
from backend.tiers.answers import tier_evidence as tier_evidence
from backend.tiers.answers import tier_profile as tier_profile
from backend.tiers.answers import tiers as tiers
from backend.tiers.check import labels_by_tier as labels_by_tier
from backend.tiers.check import start_experiment_by_tier as start_experiment_by_tier
from backend.tiers.check import tier_check as tier_check
from backend.tiers.routing import estimate_route_cost as estimate_route_cost
from backend.tiers.routing import route as route
from backend.tiers.routing import tier_labels as tier_labels

for _evaluation in EVALUATIONS.values():
    _evaluation.answers  # noqa: B018 - registers its queries
globals().update({name: ask for name, ask in callables().items() if name not in globals()})
