"""What the screen calls the parts of CE-Bench."""

from __future__ import annotations

PARTS = {  # of the tab, with the question that each answers
    "scores": "Is the score better than that of random directions, and than nothing left to find?",
    "held out": "Does a feature that reads a subject read it on a pair that it was not chosen by?",
    "features": "Which features tell subjects apart, and are they the same for all?",
    "saes": "Do other SAEs of this model score differently?",
    "stories": "Where in the stories does a feature fire, and does it steer the model?",
}
