"""Pure render functions: data in, elements or a figure out. No queries, no state of their own."""
