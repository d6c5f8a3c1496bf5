"""Labels of features: explainers that make them, judges and scorers that test them."""
