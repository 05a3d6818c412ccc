"""What is measured: the judge C, the metrics, the figures, and the evaluation that joins them."""
