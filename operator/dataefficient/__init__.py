"""Data-efficient continual training: the operator half. See CONTRIBUTING.md for the layout."""
