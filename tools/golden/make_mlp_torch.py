#!/usr/bin/env python3
"""Writes tests/golden/mlp_torch_fits.json: what torch makes of given weights and rows with the options that
scikit-learn has not got.

usage: make_mlp_torch.py FOLDER        needs: numpy, torch

torch computes in float64. Rows are taken in order. Dropout's masks and mixup's draws are host/engine/training_rules.hpp's,
written again below, so that the arithmetic around them is torch's.
"""
import json
import math
import pathlib
import sys

import numpy as np
import torch
from torch import nn

from make_mlp import N_FEATURES, N_ROWS, make_start, numbers, short

BATCH_SIZE, N_EPOCHS = 13, 5  # of 50 rows: four minibatches an epoch, the last of 11 rows; 20 steps
N_PREDICTED = 8  # rows, in eval mode
DROPOUT, MIXUP = 3, 4  # of RandomStream
LAYER_OF_INPUTS = 0xFFFFFF  # of dropout
ACTIVATIONS = {"identity": nn.Identity, "logistic": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU, "gelu": nn.GELU}


def philox(key, counter):
    """Philox4x32-10."""
    k0, k1 = key & 0xFFFFFFFF, key >> 32
    c = list(counter)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [p1 >> 32 ^ c[1] ^ k0, p1 & 0xFFFFFFFF, p0 >> 32 ^ c[3] ^ k1, p0 & 0xFFFFFFFF]
        k0, k1 = k0 + 0x9E3779B9 & 0xFFFFFFFF, k1 + 0xBB67AE85 & 0xFFFFFFFF
    return c


def log_gamma_variate(key, counter, shape):
    """Marsaglia and Tsang's method."""
    d = (shape + 1 if shape < 1 else shape) - 1 / 3
    attempt = 0
    while True:
        bits = philox(key, [attempt, *counter])
        u = [(b + 0.5) / 2**32 for b in bits]
        normal = math.sqrt(-2 * math.log(u[0])) * math.cos(2 * math.pi * u[1])
        attempt += 1
        v = (1 + normal / math.sqrt(9 * d)) ** 3
        if v > 0 and math.log(u[2]) < 0.5 * normal**2 + d - d * v + d * math.log(v):
            return math.log(d * v) + (math.log(u[3]) / shape if shape < 1 else 0)


def mixup_draw(key, epoch, batch, n_rows, alpha):
    """lambda, as float32, and the partner of each row of a minibatch."""
    if alpha == 0:
        return 1.0, list(range(n_rows))
    log_g, log_h = (log_gamma_variate(key, [batch, epoch, MIXUP | draw << 8], alpha) for draw in (0, 1))
    shift = philox(key, [0, batch, epoch, MIXUP | 2 << 8])[0] * n_rows >> 32
    return float(np.float32(1 / (1 + math.exp(log_h - log_g)))), [(i + shift) % n_rows for i in range(n_rows)]


def dropout_factors(key, epoch, layer, first, n_rows, units, rate):
    kept = [[philox(key, [unit // 4, first + row, epoch, DROPOUT | layer << 8])[unit % 4] >= int(rate * 2**32)
             for unit in range(units)] for row in range(n_rows)]
    return torch.tensor(kept, dtype=torch.float64) / (1 - rate)


class Net(nn.Module):
    """Hidden layers of Linear, BatchNorm1d or the bias, activation, dropout; two classes have the logits 0 and z."""

    def __init__(self, start, spec):
        super().__init__()
        self.spec = spec
        self.linear, self.norm = nn.ModuleList(), nn.ModuleList()
        self.activation = ACTIVATIONS[spec.get("activation", "relu")]()
        for layer, (weights, biases) in enumerate(start):
            normalises = spec.get("batch_norm", False) and layer + 1 < len(start)
            linear = nn.Linear(*weights.shape, bias=not normalises)
            linear.weight.data = torch.tensor(weights.T)
            if normalises:
                norm = nn.BatchNorm1d(weights.shape[1]).double()
                norm.bias.data = torch.tensor(biases)
                self.norm.append(norm)
            else:
                linear.bias.data = torch.tensor(biases)
            self.linear.append(linear)

    def forward(self, x, factors=None):
        for layer, linear in enumerate(self.linear):
            x = linear(x)
            if layer + 1 == len(self.linear):
                break
            if len(self.norm):
                x = self.norm[layer](x)
            x = self.activation(x)
            if factors:
                x = x * factors[layer]
        return torch.cat([torch.zeros_like(x), x], 1) if x.shape[1] == 1 else x

    def weights(self):
        return [linear.weight for linear in self.linear]

    def layers(self):
        biases = [norm.bias for norm in self.norm] + [each.bias for each in self.linear if each.bias is not None]
        return [{"weights": numbers(w.detach().numpy().T), "biases": numbers(b.detach().numpy())}
                for w, b in zip(self.weights(), biases)]


def make_optimiser(net, spec):
    rate, alpha = spec["learning_rate_init"], spec["alpha"]
    weights = net.weights()
    others = [p for p in net.parameters() if all(p is not w for w in weights)]
    if spec["solver"] == "adamw":
        return torch.optim.AdamW([{"params": weights, "weight_decay": alpha}, {"params": others, "weight_decay": 0.0}],
                                 lr=rate, eps=spec["epsilon"])
    return torch.optim.SGD(net.parameters(), lr=rate, momentum=0.9, nesterov=True)


def fit(problem, start, spec):
    features, labels = (torch.tensor(each) for each in problem)
    n_classes = int(labels.max()) + 1
    net = Net(start, spec)
    optimiser = make_optimiser(net, spec)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=spec["max_iter"])
    class_weights = None
    if spec.get("class_weight") == "balanced":
        counts = np.bincount(labels)
        class_weights = torch.tensor((len(labels) / (n_classes * counts)).astype(np.float32).astype(np.float64))
    criterion = nn.CrossEntropyLoss(weight=class_weights, label_smoothing=spec.get("label_smoothing", 0.0))
    one_cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=spec["learning_rate_init"], total_steps=spec["max_iter"] * -(-N_ROWS // BATCH_SIZE),
        cycle_momentum=False) if spec.get("learning_rate") == "one_cycle" else None
    key, rate = spec["random_state"], spec.get("dropout", 0.0)
    if spec.get("clip"):
        features = features.clamp(-spec["clip"], spec["clip"])
    loss_curve = []
    for epoch in range(spec["max_iter"]):
        total = 0.0
        for index, first in enumerate(range(0, N_ROWS, BATCH_SIZE)):
            x, y = features[first:first + BATCH_SIZE], labels[first:first + BATCH_SIZE]
            n = len(y)
            share, partners = mixup_draw(key, epoch, index, n, spec.get("mixup", 0))
            factors = [dropout_factors(key, epoch, layer, first, n, linear.out_features, rate)
                       for layer, linear in enumerate(net.linear[:-1])] if rate else None
            mixed = share * x + (1 - share) * x[partners]
            if spec.get("input_dropout"):
                mixed = mixed * dropout_factors(key, epoch, LAYER_OF_INPUTS, first, n, N_FEATURES, spec["input_dropout"])
            logits = net(mixed, factors)
            loss = share * criterion(logits, y) + (1 - share) * criterion(logits, y[partners])
            if spec["solver"] == "sgd":  # scikit-learn's penalty
                divisor = n if class_weights is None else class_weights[y].sum()
                loss = loss + 0.5 * spec["alpha"] * sum((w**2).sum() for w in net.weights()) / divisor
            total += loss.item() * n
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if one_cycle:
                one_cycle.step()
        loss_curve.append(total / N_ROWS)
        if spec.get("learning_rate") == "cosine":
            cosine.step()
    net.eval()
    with torch.no_grad():
        probabilities = torch.softmax(net(features[:N_PREDICTED]), 1)
    return {"spec": {**spec, "batch_size": BATCH_SIZE}, "loss_curve": numbers(loss_curve), "layers": net.layers(),
            "batch_norms": [{name: numbers(getattr(norm, source).detach().numpy())
                             for name, source in [("gamma", "weight"), ("running_mean", "running_mean"),
                                                  ("running_var", "running_var")]} for norm in net.norm],
            "probabilities": numbers(probabilities)}


def make_specs(n_classes):
    """Each option alone, in turn over the activations and solvers, and all of them together. Rates that change are for
    adamw: torch multiplies the whole velocity of sgd by the present rate, scikit-learn each gradient by that of its step."""
    adamw = {"solver": "adamw", "learning_rate_init": 0.02, "alpha": 0.1, "epsilon": 1e-5}
    sgd = {"solver": "sgd", "learning_rate_init": 0.05, "alpha": 0.05}
    options = [{}, {"learning_rate": "cosine"}, {"dropout": 0.3}, {"batch_norm": True}, {"label_smoothing": 0.2},
               {"mixup": 0.4}, {"class_weight": "balanced"}, {"label_smoothing": 0.1, "class_weight": "balanced"}]
    everything = {"dropout": 0.2, "batch_norm": True, "label_smoothing": 0.1, "mixup": 0.7, "class_weight": "balanced"}
    names = list(ACTIVATIONS)
    specs = [{"activation": names[i % 5], **(sgd if i % 2 and "learning_rate" not in option else adamw), **option}
             for i, option in enumerate(options)]
    specs += [{"activation": "gelu", **solver, **option} for solver in (adamw, sgd) for option in ({}, {"dropout": 0.4})]
    specs += [{"activation": name, **(adamw if i % 2 else sgd), "batch_norm": True} for i, name in enumerate(names)]
    specs += [{"activation": name, **adamw, **everything, "learning_rate": "cosine"} for name in names]
    inputs = [{"input_dropout": 0.3}, {"clip": 1.0}, {"learning_rate": "one_cycle"}]
    specs += [{"activation": names[i + 2], **adamw, **option} for i, option in enumerate(inputs)]
    specs += [{"activation": name, **adamw, **everything, "input_dropout": 0.2, "clip": 1.5, "learning_rate": "one_cycle"}
              for name in ("relu", "tanh", "gelu")]
    return [{"hidden_layer_sizes": [5, 4], "max_iter": N_EPOCHS, "random_state": 100 * n_classes + i, **spec}
            for i, spec in enumerate(specs)]


def main():
    rng = np.random.default_rng(21)
    out = {"versions": {"torch": torch.__version__.split("+")[0], "numpy": np.__version__}, "problems": [], "fits": []}
    for n_classes in (2, 3):
        labels = np.arange(N_ROWS) ** 2 % 7 % n_classes  # not balanced
        centres = rng.normal(size=(n_classes, N_FEATURES))
        stored, features = short(centres[labels] + rng.normal(size=(N_ROWS, N_FEATURES)), 3)
        out["problems"].append({"n_classes": n_classes, "features": sum(stored, []), "labels": labels.tolist()})
        stored, start = make_start(rng, [N_FEATURES, 5, 4, 1 if n_classes == 2 else n_classes])
        fits = [fit((features, labels), start, spec) for spec in make_specs(n_classes)]
        out["fits"].append({"n_classes": n_classes, "start": stored, "fits": fits})
    pathlib.Path(sys.argv[1], "mlp_torch_fits.json").write_text(json.dumps(out, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
