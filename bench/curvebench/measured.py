"""Learning curves of real classifiers, measured here: error rate and log loss by training rows.

Why: simulated curves bend only as their author thought of. Data sets are those that scikit-learn ships or
generates, anchors grow by sqrt(2) as in LCDB (Mohr, Viering, Loog, van Rijn, ECML 2022), and a curve is the
mean over splits. In a split the rows of an anchor are among those of the next, as the rungs of a history are.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.base import clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

Array = NDArray[np.float64]
Rows = tuple[Array, NDArray[np.int64]]

ROWS = 6000
"""Rows of a generated set."""
FIRST = 16
HELD_OUT = 0.3
"""Share of the rows that a split scores, at most :data:`SCORED`."""
SCORED = 1500
LEAST_PROBABILITY = 1e-3
"""Probabilities are kept this far from 0, else one sure mistake of a tree outweighs all other rows."""
_SEED = 20220919


@dataclass(frozen=True, eq=False)
class Curve:
    """One mean curve of a classifier on a data set."""

    data: str
    classifier: str
    metric: str
    generated: bool
    rows: Array
    loss: Array
    """Mean over the splits, by anchor."""
    error: Array
    """Standard error of that mean."""


def _classes(separation: float, noise: float, *, classes: int = 2, features: int = 20) -> Callable[[], Any]:
    return lambda: datasets.make_classification(
        ROWS,
        n_features=features,
        n_informative=features // 2,
        n_redundant=features // 5,
        n_classes=classes,
        class_sep=separation,
        flip_y=noise,
        random_state=_SEED,
    )


SETS: dict[str, tuple[bool, Callable[[], Any]]] = {
    "iris": (False, lambda: datasets.load_iris(return_X_y=True)),
    "wine": (False, lambda: datasets.load_wine(return_X_y=True)),
    "breast cancer": (False, lambda: datasets.load_breast_cancer(return_X_y=True)),
    "digits": (False, lambda: datasets.load_digits(return_X_y=True)),
    "classes, easy": (True, _classes(1.5, 0.01)),
    "classes, hard": (True, _classes(0.6, 0.05)),
    "classes, noisy labels": (True, _classes(1.0, 0.3)),
    "classes, five": (True, _classes(1.0, 0.02, classes=5)),
    "classes, wide": (True, _classes(0.8, 0.05, features=100)),
    "moons": (True, lambda: datasets.make_moons(ROWS, noise=0.3, random_state=_SEED)),
    "circles": (True, lambda: datasets.make_circles(ROWS, noise=0.2, factor=0.6, random_state=_SEED)),
    "quantiles": (
        True,
        lambda: datasets.make_gaussian_quantiles(
            n_samples=ROWS, n_features=5, n_classes=3, random_state=_SEED
        ),
    ),
}
"""Data sets: whether generated, and how they are had."""

CLASSIFIERS: dict[str, Any] = {
    "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=200)),
    "naive Bayes": GaussianNB(),
    "linear discriminant": LinearDiscriminantAnalysis(),
    "nearest neighbours": make_pipeline(StandardScaler(), KNeighborsClassifier(5)),
    "tree": DecisionTreeClassifier(random_state=_SEED),
    "forest": RandomForestClassifier(20, random_state=_SEED),
}
METRICS = ("error rate", "log loss")


def anchors(classes: int, largest: int) -> NDArray[np.int64]:
    """Training rows in steps of sqrt(2) up to ``largest``, with two rows of every class at least."""
    first = max(FIRST, 2 * classes)
    steps = int(np.floor(2 * np.log2(largest / first)))
    return np.unique(np.round(largest / sqrt(2.0) ** np.arange(steps, -1, -1)).astype(np.int64))


def split(rows: Rows, repetition: int) -> tuple[Rows, Rows]:
    """Training rows in random order, two of each class leading, and the rows to score."""
    x, y = rows
    order = np.random.default_rng([_SEED, repetition]).permutation(y.size)
    scored = min(int(HELD_OUT * y.size), SCORED)
    held, train = order[:scored], order[scored:]
    leading = np.concatenate([np.flatnonzero(y[train] == c)[:2] for c in np.unique(y)])
    train = np.concatenate([train[leading], np.delete(train, leading)])
    return (x[train], y[train]), (x[held], y[held])


def losses(classifier: Any, train: Rows, held: Rows) -> tuple[float, float]:
    """Error rate and log loss on the held-out rows; every class is among the training rows."""
    model = clone(classifier).fit(*train)
    probability = np.clip(model.predict_proba(held[0]), LEAST_PROBABILITY, 1.0)
    probability /= probability.sum(axis=1, keepdims=True)
    truth = np.searchsorted(model.classes_, held[1])
    wrong = float(np.mean(probability.argmax(axis=1) != truth))
    return wrong, float(-np.log(probability[np.arange(truth.size), truth]).mean())


def curves(repetitions: int, most_rows: int) -> Iterator[Curve]:
    """Two curves, by error rate and by log loss, of every classifier on every data set.

    Args:
        repetitions: splits over which a curve is the mean; two at least.
        most_rows: most training rows of the last anchor.
    """
    for data, (generated, load) in SETS.items():
        x, y = load()
        rows = (np.asarray(x, float), np.asarray(y, np.int64))
        splits = [split(rows, repetition) for repetition in range(repetitions)]
        sizes = anchors(np.unique(y).size, min(most_rows, splits[0][0][1].size))
        for name, classifier in CLASSIFIERS.items():
            with warnings.catch_warnings():
                # Features that are constant in a small sample, and an optimiser that stops early, are the
                # classifier's own affair: its curve is what it is.
                warnings.simplefilter("ignore", ConvergenceWarning)
                warnings.filterwarnings("ignore", module="sklearn")
                found = np.array(
                    [
                        [losses(classifier, (train[0][:m], train[1][:m]), held) for m in sizes]
                        for train, held in splits
                    ]
                )
            error = found.std(axis=0, ddof=1) / sqrt(repetitions)
            for index, metric in enumerate(METRICS):
                mean = found.mean(axis=0)[:, index]
                yield Curve(data, name, metric, generated, sizes.astype(float), mean, error[:, index])
