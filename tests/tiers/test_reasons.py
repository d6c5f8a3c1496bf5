"""What a feature's tier says beside its label."""

from __future__ import annotations

from backend.schema import Tier
from components.tiers.inspector import beside_tier


def test_a_label_that_counts_the_other_side_of_the_peak_says_so() -> None:
    for tier, label, words in (
        (Tier.OUTPUT, 'after "the"', "at or before the peak"),
        (Tier.OUTPUT, 'token "the"', "at or before the peak"),
        (Tier.INPUT, 'say "the"', "what follows the peak"),
    ):
        assert words in beside_tier(tier, label)
    for tier, label in (
        (Tier.OUTPUT, 'say "the"'),
        (Tier.INPUT, 'token "the"'),
        (Tier.CROSS, 'say "the"'),
        (Tier.OUTPUT, "after a defeat"),
    ):
        assert beside_tier(tier, label) == ""
