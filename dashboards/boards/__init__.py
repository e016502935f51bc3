"""The dashboards as code; ``python hack/dashboards.py`` writes them into the chart. Not installed."""
