"""The reference trainer: streams events, trains a click-through model, scores it, writes a report.

It implements :mod:`dataefficient.contract` and knows nothing else of the operator. Any other program
that keeps the contract can take its place.
"""
