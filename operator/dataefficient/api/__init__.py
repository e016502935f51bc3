"""The resource ``DataEfficientTraining``: its typed spec and status, reading it, and its CRD."""
