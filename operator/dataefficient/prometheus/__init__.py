"""Reading quality and cost from Prometheus: queries for one number, verdicts, comparisons."""
