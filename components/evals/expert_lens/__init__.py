"""The tab of ExpertLens."""

from components.evals.expert_lens.tab import TAB as TAB
