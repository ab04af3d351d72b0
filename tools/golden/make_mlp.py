#!/usr/bin/env python3
"""Writes tests/golden/mlp_fits.json: what scikit-learn's MLPClassifier makes of given weights and rows.

usage: make_mlp.py FOLDER        needs: numpy, scikit-learn

scikit-learn computes in float64. Rows, scores and weights to start from are short decimals, which the test reads as
the same float32 numbers. Rows are taken in order (shuffle=False), and the rows held out for early_stopping are the
last ones, so that no random number of scikit-learn's enters.
"""
import itertools
import json
import pathlib
import sys
import warnings

import numpy as np
import sklearn
import sklearn.neural_network._multilayer_perceptron as module
from sklearn.neural_network import MLPClassifier

N_ROWS, N_FEATURES, N_VALIDATION = 50, 6, 12
ACTIVATIONS = ["identity", "logistic", "tanh", "relu"]
SOLVERS = [
    {"solver": "adam"},
    {"solver": "sgd", "learning_rate_init": 0.05},
    {"solver": "sgd", "learning_rate_init": 0.05, "nesterovs_momentum": False},
    {"solver": "sgd", "learning_rate_init": 0.05, "momentum": 0.0},
]
STOPPING = [
    {"tol": 0.02, "n_iter_no_change": 3},
    {"solver": "sgd", "learning_rate_init": 0.1, "tol": 0.01, "n_iter_no_change": 3},
    {"solver": "sgd", "learning_rate_init": 0.1, "tol": 0.05, "n_iter_no_change": 2, "learning_rate": "adaptive"},
    {"learning_rate": "adaptive", "tol": 0.02, "n_iter_no_change": 3},  # adam ignores it
    {"solver": "sgd", "learning_rate_init": 0.5, "learning_rate": "invscaling", "power_t": 0.4, "max_iter": 20},
    {"early_stopping": True, "n_iter_no_change": 4, "learning_rate_init": 0.02, "tol": 0.01},
    {"solver": "sgd", "learning_rate_init": 0.1, "learning_rate": "adaptive", "early_stopping": True,
     "n_iter_no_change": 2, "tol": 0.02, "max_iter": 60},
    {"max_iter": 7},
]


def short(values, digits):
    """Decimals of a few digits, and the float32 numbers nearest to them as float64."""
    rounded = np.round(values, digits)
    return rounded.tolist(), rounded.astype(np.float32).astype(np.float64)


class GivenWeights(MLPClassifier):
    """Starts from given weights instead of random ones."""

    def _init_coef(self, fan_in, fan_out, dtype):
        weights, biases = self.given.pop(0)
        assert weights.shape == (fan_in, fan_out) and biases.shape == (fan_out,)
        return weights.copy(), biases.copy()


def last_rows_held_out(features, targets, *, random_state, test_size, stratify):
    n = len(features) - N_VALIDATION
    return features[:n], features[n:], targets[:n], targets[n:]


def numbers(array):
    return [float(f"{value:.10g}") for value in np.asarray(array).ravel()]


def make_start(rng, units):
    """Weights and biases of each layer, as JSON and as arrays."""
    stored, arrays = [], []
    for fan_in, fan_out in itertools.pairwise(units):
        bound = np.sqrt(6 / (fan_in + fan_out))
        weights, w = short(rng.uniform(-bound, bound, (fan_in, fan_out)), 4)
        biases, b = short(rng.uniform(-bound, bound, fan_out), 4)
        stored.append({"weights": sum(weights, []), "biases": biases})
        arrays.append((w, b))
    return stored, arrays


def fit(problem, start, spec):
    features, labels = problem
    model = GivenWeights(shuffle=False, **spec)
    model.given = list(start)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "the optimization hasn't converged yet"
        model.fit(features, labels)
    result = {
        "spec": spec, "n_iter": model.n_iter_, "loss_curve": numbers(model.loss_curve_),
        "layers": [{"weights": numbers(w), "biases": numbers(b)} for w, b in zip(model.coefs_, model.intercepts_)]}
    if spec.get("early_stopping"):
        result["validation_scores"] = numbers(model.validation_scores_)
    return result


def main():
    module.train_test_split = last_rows_held_out
    rng = np.random.default_rng(20)
    out = {"versions": {"scikit-learn": sklearn.__version__, "numpy": np.__version__},
           "n_validation": N_VALIDATION, "problems": [], "fits": []}
    problems = {}
    for n_classes in (2, 3):
        labels = np.arange(N_ROWS) % n_classes
        centres = rng.normal(size=(n_classes, N_FEATURES))
        stored, features = short(centres[labels] + rng.normal(size=(N_ROWS, N_FEATURES)), 3)
        problems[n_classes] = (features, labels)
        out["problems"].append({"n_classes": n_classes, "features": sum(stored, []), "labels": labels.tolist()})

    def add(n_classes, hidden, specs):
        n_outputs = 1 if n_classes == 2 else n_classes
        stored, start = make_start(rng, [N_FEATURES, *hidden, n_outputs])
        fits = [fit(problems[n_classes], start, {"hidden_layer_sizes": list(hidden), **spec}) for spec in specs]
        out["fits"].append({"n_classes": n_classes, "start": stored, "fits": fits})

    one_step = {"batch_size": N_ROWS, "max_iter": 1}
    twelve_steps = {"batch_size": 20, "max_iter": 4}  # 20, 20 and 10 rows
    steps = [{"activation": activation, "alpha": 0.05, **solver, **length}
             for activation in ACTIVATIONS for solver in SOLVERS for length in (one_step, twelve_steps)]
    for hidden in [(5,), (5, 4), (5, 4, 3)]:
        add(3, hidden, steps)
    add(2, (4,), [step for step in steps if step["max_iter"] == 4])
    for n_classes in (2, 3):
        add(n_classes, (5,), [{"activation": "tanh", "alpha": 0.01, "batch_size": 15, "max_iter": 200, **stopping}
                              for stopping in STOPPING])
    pathlib.Path(sys.argv[1], "mlp_fits.json").write_text(json.dumps(out, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
