"""Statistics that more than one subject needs: thin over scipy and scikit-learn, each defined once.

What is own code here says why: a library's is slower by the factor told, or does something else.
"""
