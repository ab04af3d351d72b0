#!/usr/bin/env python3
"""Writes tests/golden/search.json: what scikit-learn's StratifiedKFold, ParameterGrid and GridSearchCV say.

usage: make_search.py FOLDER        (needs numpy and scikit-learn)

Weights start from other random numbers here and there. The fits of `grid_search` have no hidden layer, so that there
is one best set of weights whatever the start, and every test row is right or wrong by a margin: their scores have to
be equal.
"""
import json
import pathlib
import sys
import warnings

import numpy as np
import sklearn
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import GridSearchCV, ParameterGrid, StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def k_fold(labels, n_folds):
    folds = StratifiedKFold(n_folds).split(labels, labels)
    return {"labels": list(labels), "n_folds": n_folds, "tests": [test.tolist() for _, test in folds]}


def parameter_grid(toml, tables):
    return {"toml": toml, "candidates": [dict(sorted(each.items())) for each in ParameterGrid(tables)]}


class Scored(ClassifierMixin, BaseEstimator):
    """Scores what a table says of its candidate and the fold; fails to fit where that is None."""

    def __init__(self, scores=None):
        self.scores = scores

    def fit(self, rows, labels):
        if None in self.scores:
            raise ValueError
        return self

    def score(self, rows, labels):
        return self.scores[int(rows[0, 0])]


def ranking(scores):
    n_folds = len(scores[0])
    folds = [(np.arange(n_folds), np.array([fold])) for fold in range(n_folds)]
    search = GridSearchCV(Scored(), {"scores": scores}, cv=folds, refit=False)
    rows = np.arange(n_folds, dtype=float)[:, None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = search.fit(rows, np.zeros(n_folds)).cv_results_
    finite = [[None if np.isnan(v) else float(v) for v in results[f"{kind}_test_score"]] for kind in ("mean", "std")]
    return {"scores": scores, "mean": finite[0], "std": finite[1], "rank": results["rank_test_score"].tolist()}


def grid_search(seed):
    rng = np.random.default_rng(seed)
    n, n_folds, alphas = 120, 5, [0.1, 3.0, 3.0, 40.0]
    labels = rng.integers(0, 3, n)
    centres = rng.normal(size=(3, 4)) * 1.2
    rows = np.round((centres[labels] + rng.normal(size=(n, 4))) * [1, 10, 0.1, 3] + [0, 5, 1, -20], 3)
    features = rows.astype(np.float32).astype(np.float64)
    model = make_pipeline(StandardScaler(), MLPClassifier((), solver="lbfgs", max_iter=20000, max_fun=100000, tol=1e-12, random_state=0))
    search = GridSearchCV(model, {"mlpclassifier__alpha": alphas}, cv=n_folds, refit=False, return_train_score=True)
    results = search.fit(features, labels).cv_results_
    for alpha in alphas:
        for train, test in StratifiedKFold(n_folds).split(features, labels):
            for part in train, test:
                p = np.sort(model.set_params(mlpclassifier__alpha=alpha).fit(features[train], labels[train]).predict_proba(features[part]))
                if np.min(p[:, -1] - p[:, -2]) < 2e-4:
                    return grid_search(seed + 1)  # a row is too near to the border
    return {"rows": rows.tolist(), "labels": labels.tolist(), "n_folds": n_folds, "alphas": alphas,
            "test_scores": [[float(results[f"split{fold}_test_score"][i]) for fold in range(n_folds)] for i in range(len(alphas))],
            "train_scores": [[float(results[f"split{fold}_train_score"][i]) for fold in range(n_folds)] for i in range(len(alphas))],
            "mean": results["mean_test_score"].tolist(), "std": results["std_test_score"].tolist(),
            "rank": results["rank_test_score"].tolist()}


def main():
    rng = np.random.default_rng(11)
    uneven = [str(v) for v in rng.choice(list("dacb"), 61, p=[0.5, 0.3, 0.15, 0.05])]
    content = {
        "recipe": "tools/golden/make_search.py",
        "versions": {"scikit-learn": sklearn.__version__, "numpy": np.__version__},
        "k_fold": [k_fold(uneven, 3), k_fold(list("ccabacbbacbcabacbaca"), 5), k_fold(sorted(uneven), 2)],
        "parameter_grid": [
            parameter_grid('[[grid]]\nsolver = ["sgd", "adam"]\nalpha = [1.0, 0.5]\nhidden_layer_sizes = [[8], [10, 10]]\nbatch_size = [16]\n',
                           {"solver": ["sgd", "adam"], "alpha": [1.0, 0.5], "hidden_layer_sizes": [[8], [10, 10]], "batch_size": [16]}),
            parameter_grid('[[grid]]\nsolver = ["sgd"]\nmomentum = [0.9, 0.0]\n[[grid]]\nepsilon = [0.1, 0.01]\nactivation = ["relu", "tanh"]\n',
                           [{"solver": ["sgd"], "momentum": [0.9, 0.0]}, {"epsilon": [0.1, 0.01], "activation": ["relu", "tanh"]}])],
        "ranking": [
            ranking([[0.5, 0.75, 0.25], [0.5, 0.5, 0.5], [1.0, 0.5, 0.5], [0.25, 0.25, 0.25], [0.75, 0.5, 0.25]]),
            ranking([[0.5, 0.6], [None, None], [0.7, 0.8], [None, None]])],
        "grid_search": grid_search(0)}
    (pathlib.Path(sys.argv[1]) / "search.json").write_text(json.dumps(content) + "\n")


main()
