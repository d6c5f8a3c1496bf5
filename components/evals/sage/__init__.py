"""The tab of SAGE."""

from components.evals.sage.tab import TAB as TAB
