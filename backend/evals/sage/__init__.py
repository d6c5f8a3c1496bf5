"""SAGE: an SAE against supervised dictionaries on a task the model solves."""
