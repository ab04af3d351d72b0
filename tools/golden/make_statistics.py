#!/usr/bin/env python3
"""Writes tests/golden/statistics.json: what statsmodels says of McNemar's test and Holm's adjustment, scipy of bootstrap
intervals over groups, scikit-learn of calibration.

usage: make_statistics.py FOLDER        (needs numpy, scipy, scikit-learn and statsmodels)
"""
import json
import pathlib
import sys

import numpy as np
import scipy
import scipy.stats
import sklearn
import statsmodels
from sklearn import metrics
from sklearn.calibration import calibration_curve
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

VERSIONS = {"numpy": np.__version__, "scipy": scipy.__version__, "scikit-learn": sklearn.__version__, "statsmodels": statsmodels.__version__}
N_RESAMPLES = 10000
N_SEEDS = 8


def mcnemar_case(b, c):
    exact = b + c < 25
    test = mcnemar([[100, b], [c, 50]], exact=exact, correction=True)
    return {"only_first_right": b, "only_second_right": c, "method": "exact" if exact else "chi2", "statistic": float(test.statistic), "p_value": float(test.pvalue)}


def bootstrap_case(name, rng, units, n_classes, difficulty):
    """Predictions of units (numbers of clips each), some of which are harder than others."""
    unit = np.repeat(np.arange(len(units)), units)
    truth = rng.integers(0, n_classes, len(unit))
    share = np.clip(rng.normal(difficulty, 0.15, len(units)), 0, 1)[unit]
    predicted = np.where(rng.random(len(unit)) < share, rng.integers(0, n_classes, len(unit)), truth)
    other = np.where(rng.random(len(unit)) < 0.3, rng.integers(0, n_classes, len(unit)), truth)
    confusion = np.zeros((len(units), n_classes, n_classes))
    np.add.at(confusion, (unit, truth, predicted), 1)
    assert np.isclose(np.trace(confusion.sum(0)) / len(unit), metrics.accuracy_score(truth, predicted))
    gain = np.bincount(unit, (predicted == truth) * 1.0 - (other == truth))

    def interval(score):
        """Means of both ends over seeds, and what an end of one seed deviates."""
        def statistic(drawn):
            return score(confusion[drawn].sum(0), gain[drawn].sum())
        with np.errstate(invalid="ignore"):
            ends = [scipy.stats.bootstrap((np.arange(len(units)),), statistic, vectorized=False, n_resamples=N_RESAMPLES,
                                          method="percentile", random_state=seed).confidence_interval for seed in range(N_SEEDS)]
        (low, high), (low_error, high_error) = np.mean(ends, axis=0), np.std(ends, axis=0, ddof=1)
        return {"low": low, "high": high, "low_error": low_error, "high_error": high_error}

    return {
        "name": name, "n_classes": n_classes, "unit": unit.tolist(), "truth": truth.tolist(), "predicted": predicted.tolist(), "other": other.tolist(),
        "accuracy": interval(lambda c, _: np.trace(c) / c.sum()),
        "balanced_accuracy": interval(lambda c, _: np.mean((np.diag(c) / c.sum(1))[c.sum(1) > 0])),
        "macro_f1": interval(lambda c, _: np.mean((2 * np.diag(c) / np.maximum(c.sum(0) + c.sum(1), 1))[c.sum(0) + c.sum(1) > 0])),
        "difference": interval(lambda c, gain: gain / c.sum()),
    }


def calibration_case(rng, n, n_classes):
    logits = rng.normal(0, 2, (n, n_classes))
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    truth = np.array([rng.choice(n_classes, p=row ** 0.6 / (row ** 0.6).sum()) for row in probabilities])  # overconfident
    predicted = probabilities.argmax(1)
    surest = probabilities.max(1)
    right = predicted == truth
    accuracy, mean_probability = calibration_curve(right, surest, n_bins=10, strategy="uniform")
    counts = np.histogram(surest, bins=np.linspace(0, 1, 11))[0]
    error = float(np.sum(counts[counts > 0] / n * np.abs(accuracy - mean_probability)))
    return {
        "probabilities": probabilities.tolist(), "truth": truth.tolist(), "n_of_bins": counts.tolist(),
        "accuracy": accuracy.tolist(), "mean_probability": mean_probability.tolist(), "expected_calibration_error": error,
        "brier_score": float(sum(metrics.brier_score_loss(truth == c, probabilities[:, c]) for c in range(n_classes))),
    }


def main():
    folder, rng = pathlib.Path(sys.argv[1]), np.random.default_rng(0)
    p_values = [0.01, 0.04, 0.03, 0.005, 0.5, 0.04]
    content = {
        "recipe": "tools/golden/make_statistics.py", "versions": VERSIONS,
        "mcnemar": [mcnemar_case(b, c) for b, c in ((0, 0), (1, 0), (5, 5), (3, 12), (20, 4), (0, 24), (12, 13), (25, 0), (40, 40), (93, 61), (400, 300))],
        "holm": {"p_values": p_values, "adjusted": multipletests(p_values, method="holm")[1].tolist()},
        "bootstrap": [bootstrap_case("twenty speakers", rng, [12] * 20, 4, 0.4), bootstrap_case("uneven speakers", rng, [1, 3, 30, 8, 8, 12, 2, 20, 16], 3, 0.3),
                      bootstrap_case("clips", rng, [1] * 150, 5, 0.5)],
        "calibration": calibration_case(rng, 120, 4),
    }
    (folder / "statistics.json").write_text(json.dumps(content) + "\n")


main()
