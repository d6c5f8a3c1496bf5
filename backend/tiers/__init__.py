"""Features by the window of text that explains them: input, output, cross, obscure."""
