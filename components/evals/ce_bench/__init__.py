"""The tab of CE-Bench."""

from components.evals.ce_bench.tab import TAB as TAB
