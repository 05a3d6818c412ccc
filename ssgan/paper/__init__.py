"""The paper's experiments: a grid over label budgets and seeds, its figures, and its claims."""
