#!/usr/bin/env python3
"""Writes tests/golden/classical.json: what scikit-learn's searches choose on given folds, and predict, with support vector
machines and nearest neighbours; a decision tree's probabilities; and how good its random forests are over seeds.

usage: make_classical.py FOLDER        (needs numpy and scikit-learn)
"""
import json
import pathlib
import sys

import numpy as np
import sklearn
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

VERSIONS = {"scikit-learn": sklearn.__version__, "numpy": np.__version__}


class StableNeighbors(KNeighborsClassifier):
    """Of equal distances the earlier row is nearer; scikit-learn leaves it to the order that its partition happens to give."""

    def kneighbors(self, X=None, n_neighbors=None, return_distance=True):
        distances = np.sqrt(((np.asarray(X, np.float64)[:, None] - np.asarray(self._fit_X, np.float64)[None]) ** 2).sum(axis=2))
        nearest = np.argsort(distances, axis=1, kind="stable")[:, :n_neighbors or self.n_neighbors]
        return (np.take_along_axis(distances, nearest, axis=1), nearest) if return_distance else nearest


def search(model, grid, data):
    train, labels, test, fold_of_row = data
    found = GridSearchCV(model, grid, cv=PredefinedSplit(fold_of_row)).fit(train, labels)
    return found, {"parameters": found.best_params_, "search_accuracy": float(found.best_score_), "predicted": found.predict(test).tolist()}


def case(name, data, neighbours=KNeighborsClassifier(algorithm="brute")):
    train, labels, test, fold_of_row = data
    n_features = train.shape[1]
    svm, svm_json = search(SVC(break_ties=True), {"C": [1.0, 10.0, 100.0], "gamma": [0.25 / n_features, 1 / n_features]}, data)
    svm_json["decision"] = svm.decision_function(test).tolist()
    knn, knn_json = search(neighbours, {"n_neighbors": [1, 3, 5, 9, 15], "weights": ["uniform", "distance"]}, data)
    knn_json["probabilities"] = knn.predict_proba(test).tolist()
    return {"name": name, "train": train.tolist(), "labels": labels.tolist(), "test": test.tolist(), "fold_of_row": fold_of_row.tolist(),
            "svm": svm_json, "knn": knn_json}


def blobs(rng, n_classes, n_train, n_test, n_features, spread):
    """Labels, and rows around a centre each; folds of equal size."""
    centres = rng.normal(0, 1, (n_classes, n_features))
    labels = np.arange(n_train + n_test) % n_classes
    rows = (centres[labels] + rng.normal(0, spread, (len(labels), n_features))).astype(np.float32)
    order = rng.permutation(n_train)
    fold_of_row = np.arange(n_train) // n_classes % 3
    return rows[:n_train][order], labels[:n_train][order], rows[n_train:], fold_of_row[order]


def forest_case(max_features, min_samples_split, data):
    """Over ten seeds: the accuracy, and the mean probability of the right label, which tells more of the trees."""
    train, labels, test, truth = data
    made = {"max_features": max_features, "min_samples_split": min_samples_split, "accuracies": [], "probabilities_of_truth": []}
    for seed in range(10):
        forest = RandomForestClassifier(200, max_features=max_features, min_samples_split=min_samples_split, random_state=seed)
        probabilities = forest.fit(train, labels).predict_proba(test)
        made["accuracies"].append(float(np.mean(np.argmax(probabilities, axis=1) == truth)))
        made["probabilities_of_truth"].append(float(np.mean(probabilities[np.arange(len(truth)), truth])))
    return made


def main():
    folder, rng = pathlib.Path(sys.argv[1]), np.random.default_rng(0)
    coarse = blobs(rng, 3, 90, 30, 3, 1.0)
    coarse = (np.round(coarse[0] * 2), coarse[1], np.round(coarse[2] * 2), coarse[3])  # equal distances, and none
    forest = blobs(rng, 4, 240, 240, 20, 2.5)
    truth = np.arange(240, 480) % 4
    # Large nodes have one best split; of small ones many are equally good, and chance decides.
    trees = [DecisionTreeClassifier(min_samples_split=60, random_state=seed).fit(forest[0], forest[1]) for seed in range(20)]
    tree = trees[0]
    assert all(np.array_equal(tree.predict_proba(forest[2]), each.predict_proba(forest[2])) for each in trees)
    content = {
        "recipe": "tools/golden/make_classical.py", "versions": VERSIONS,
        "cases": [case("five labels", blobs(rng, 5, 120, 60, 12, 1.6)), case("two labels", blobs(rng, 2, 60, 40, 8, 2.0)), case("equal distances", coarse, StableNeighbors(algorithm="kd_tree"))],
        "forest": {"train": forest[0].tolist(), "labels": forest[1].tolist(), "test": forest[2].tolist(), "test_labels": truth.tolist(),
                   "tree": {"min_samples_split": 60, "n_leaves": int(tree.get_n_leaves()), "probabilities": tree.predict_proba(forest[2]).tolist()},
                   "over_seeds": [forest_case(*each, (forest[0], forest[1], forest[2], truth)) for each in ((4, 2), (4, 8), (2, 8), (20, 2))]},
    }
    (folder / "classical.json").write_text(json.dumps(content) + "\n")


main()
