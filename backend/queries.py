"""The door to the backend, for pages, notebooks and the command line.

A query takes a study by name and answers from what is computed. Where a result is not there yet the
answer is the `Job` that computes it: wait for it (`wait`) or ask again. What is listed here is what
`backend.query` registers; the answers' shapes are in the views of each subject, and errors are
`TesseraError`, with a problem and a remedy.

    from backend import queries
    regions = queries.wait(lambda: queries.regions("demo"))
    regions.table.sort("coherence")
"""

from backend.answers.agreement import agreement as agreement
from backend.answers.ce_bench import ce_bench as ce_bench
from backend.answers.ce_bench import ce_steer as ce_steer
from backend.answers.ce_bench import ce_subject as ce_subject
from backend.answers.ce_sweep import ce_bench_releases as ce_bench_releases
from backend.answers.ce_sweep import ce_bench_sweep as ce_bench_sweep
from backend.answers.ce_sweep import ce_sweep as ce_sweep
from backend.answers.concept_choices import concept_sets as concept_sets
from backend.answers.concept_choices import keep_concept as keep_concept
from backend.answers.concept_parts import gray_zone as gray_zone
from backend.answers.concept_parts import membership as membership
from backend.answers.concept_parts import new_text_membership as new_text_membership
from backend.answers.concept_parts import purity_coverage as purity_coverage
from backend.answers.concept_readers import concept_aurocs as concept_aurocs
from backend.answers.concept_readers import mean_aurocs as mean_aurocs
from backend.answers.concepts import concept_set as concept_set
from backend.answers.decision_files import decision_formats as decision_formats
from backend.answers.decision_files import export_decisions as export_decisions
from backend.answers.decision_files import import_decisions as import_decisions
from backend.answers.decisions import decide as decide
from backend.answers.decisions import human_labels as human_labels
from backend.answers.documents import document as document
from backend.answers.experiment_queries import comparison as comparison
from backend.answers.experiment_queries import experiment as experiment
from backend.answers.experiment_queries import experiments as experiments
from backend.answers.experiment_queries import export_experiment as export_experiment
from backend.answers.experiment_queries import import_experiment as import_experiment
from backend.answers.expert_lens import expert_concept as expert_concept
from backend.answers.expert_lens import expert_lens as expert_lens
from backend.answers.expert_lens import experts_between as experts_between
from backend.answers.features import feature as feature
from backend.answers.features import feature_examples as feature_examples
from backend.answers.features import features as features
from backend.answers.features import search_features as search_features
from backend.answers.labels import label_methods as label_methods
from backend.answers.labels import label_scores as label_scores
from backend.answers.labels import labels as labels
from backend.answers.labels import server as server
from backend.answers.labels import write_labels as write_labels
from backend.answers.meaning import search_labels as search_labels
from backend.answers.overview import overview as overview
from backend.answers.overview import studies as studies
from backend.answers.overview import study as study
from backend.answers.people import answer_detection as answer_detection
from backend.answers.people import answer_verbalization as answer_verbalization
from backend.answers.people import detection_scores as detection_scores
from backend.answers.people import detection_task as detection_task
from backend.answers.people import verbalization_scores as verbalization_scores
from backend.answers.people import verbalization_task as verbalization_task
from backend.answers.people import vote as vote
from backend.answers.people import votes as votes
from backend.answers.probe import probe as probe
from backend.answers.queue import queue as queue
from backend.answers.queue import queue_hints as queue_hints
from backend.answers.queue import queue_items as queue_items
from backend.answers.quotes import estimate_cost as estimate_cost
from backend.answers.regions import region as region
from backend.answers.regions import region_members as region_members
from backend.answers.regions import region_of as region_of
from backend.answers.regions import regions as regions
from backend.answers.regions import search_regions as search_regions
from backend.answers.regions import stops as stops
from backend.answers.routing import estimate_route_cost as estimate_route_cost
from backend.answers.routing import route as route
from backend.answers.routing import tier_labels as tier_labels
from backend.answers.runs import run_experiment as run_experiment
from backend.answers.runs import start_experiment as start_experiment
from backend.answers.sage import sage as sage
from backend.answers.steady import robustness as robustness
from backend.answers.steady import stable_regions as stable_regions
from backend.answers.tier_check import labels_by_tier as labels_by_tier
from backend.answers.tier_check import start_experiment_by_tier as start_experiment_by_tier
from backend.answers.tier_check import tier_check as tier_check
from backend.answers.tiers import tier_evidence as tier_evidence
from backend.answers.tiers import tier_profile as tier_profile
from backend.answers.tiers import tiers as tiers
from backend.answers.why import why as why
from backend.answers.work import cancel as cancel
from backend.answers.work import job as job
from backend.answers.work import jobs as jobs
from backend.answers.work import outdated_results as outdated_results
from backend.answers.work import retry as retry
from backend.answers.work import wait as wait
from backend.evals.words import EVALUATIONS
from backend.query import callables

for _evaluation in EVALUATIONS.values():
    _evaluation.answers  # noqa: B018 - registers its queries
globals().update({name: ask for name, ask in callables().items() if name not in globals()})
