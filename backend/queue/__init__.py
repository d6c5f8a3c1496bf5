"""The queue: which features a person labels next, and how much alike repeated labels are."""
