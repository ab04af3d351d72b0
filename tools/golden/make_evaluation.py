#!/usr/bin/env python3
"""Writes tests/golden/evaluation_metrics.json, evaluation_scaler.json and evaluation_splits.json: what scikit-learn
says of random and awkward predictions, features and class counts.

usage: make_evaluation.py FOLDER        (needs numpy and scikit-learn)
"""
import json
import pathlib
import sys
import warnings

import numpy as np
import sklearn
from sklearn import metrics, preprocessing
from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit

VERSIONS = {"scikit-learn": sklearn.__version__, "numpy": np.__version__}


def metrics_case(name, n_classes, truth, predicted):
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    labels = range(n_classes)
    precision, recall, f1, support = metrics.precision_recall_fscore_support(truth, predicted, labels=labels, zero_division=0)
    macro = metrics.precision_recall_fscore_support(truth, predicted, average="macro", zero_division=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "y_pred contains classes not in y_true" is one of the cases
        balanced = metrics.balanced_accuracy_score(truth, predicted)
    return {
        "name": name, "n_classes": n_classes, "truth": truth.tolist(), "predicted": predicted.tolist(),
        "confusion_matrix": metrics.confusion_matrix(truth, predicted, labels=labels).tolist(),
        "normalised": metrics.confusion_matrix(truth, predicted, labels=labels, normalize="true").tolist(),
        "accuracy": metrics.accuracy_score(truth, predicted), "balanced_accuracy": balanced,
        "macro_precision": macro[0], "macro_recall": macro[1], "macro_f1": macro[2],
        "precision": precision.tolist(), "recall": recall.tolist(), "f1": f1.tolist(), "support": support.tolist(),
    }


def metrics_cases(rng):
    def noisy(truth, n_classes, share):
        other = rng.integers(0, n_classes, len(truth))
        return np.where(rng.random(len(truth)) < share, other, truth)

    truth8 = rng.integers(0, 8, 240)
    uneven = rng.choice(5, 100, p=[0.7, 0.2, 0.06, 0.03, 0.01])
    return [
        metrics_case("eight classes", 8, truth8, noisy(truth8, 8, 0.4)),
        metrics_case("uneven classes", 5, uneven, noisy(uneven, 5, 0.3)),
        metrics_case("a class neither in the truth nor predicted", 4, [0, 0, 1, 3, 3], [0, 1, 1, 3, 0]),
        metrics_case("a class predicted and not in the truth", 3, [0, 0, 1, 1], [0, 2, 1, 2]),
        metrics_case("a class in the truth and never predicted", 3, [0, 1, 2, 2], [0, 1, 1, 0]),
        metrics_case("all wrong", 2, [0, 1], [1, 0]),
        metrics_case("one clip", 3, [2], [2]),
    ]


def scaler_case(name, features):
    features = np.asarray(features, np.float32)
    scaler = preprocessing.StandardScaler().fit(features)
    return {"name": name, "features": features.astype(float).tolist(), "mean": scaler.mean_.tolist(), "scale": scaler.scale_.tolist()}


def scaler_cases(rng):
    spread = rng.normal(size=(20, 6)) * [1, 1e-6, 1e6, 3, 1, 1] + [0, 0, 0, 1e4, 0.1, -40]
    spread[:, 4] = 0.1
    return [scaler_case("features of all sizes, one constant", spread), scaler_case("one row", [[1.5, 0, -3e7]])]


def split_case(class_counts, test_fraction):
    n, n_test = sum(class_counts), int(np.ceil(test_fraction * sum(class_counts)))
    remainders = [count * n_test % n for count in class_counts]
    assert len(set(remainders)) == len(remainders), "ties are drawn at random"
    labels = np.repeat(range(len(class_counts)), class_counts)
    _, test = next(StratifiedShuffleSplit(1, test_size=test_fraction, random_state=0).split(labels, labels))
    return {"class_counts": class_counts, "test_fraction": test_fraction, "test_counts": np.bincount(labels[test], minlength=len(class_counts)).tolist()}


def fold_case(class_counts, n_folds):
    labels = np.repeat(range(len(class_counts)), class_counts)
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=0).split(labels, labels)
    return {"class_counts": class_counts, "n_folds": n_folds,
            "test_counts": [np.bincount(labels[test], minlength=len(class_counts)).tolist() for _, test in folds]}


def main():
    folder, rng = pathlib.Path(sys.argv[1]), np.random.default_rng(0)

    def write(name, content):
        text = json.dumps({"recipe": "tools/golden/make_evaluation.py", "versions": VERSIONS, **content})
        (folder / name).write_text(text + "\n")

    write("evaluation_metrics.json", {"cases": metrics_cases(rng)})
    write("evaluation_scaler.json", {"cases": scaler_cases(rng)})
    write("evaluation_splits.json", {
        "shuffle": [split_case([50, 33, 21, 10], 0.2), split_case([50, 33, 21, 10], 0.37), split_case([3, 40, 90, 8, 2], 0.25),
                    split_case([7, 100, 20], 0.5)],
        "k_fold": [fold_case([50, 33, 21, 10], 4), fold_case([5, 7, 11], 5)]})


main()
