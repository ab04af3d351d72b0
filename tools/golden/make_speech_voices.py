#!/usr/bin/env python3
"""Writes tests/golden/track_statistics.json: statistics of small tracks; and speech_voices.json: pitch tracks and the
values of the groups pitch to mfcc_correlation of the `speech` set, of synthetic voices that
tests/support/speech_voices.cpp makes by the same recipe.

usage: make_speech_voices.py FOLDER        (needs numpy, scipy and librosa)
"""
import json
import pathlib
import sys

import librosa
import numpy as np
import scipy
from scipy import signal

from speech_course import GROUPS, Clip
from speech_pitch import pitch_path
from speech_voices import CLIPS

VERSIONS = {"numpy": np.__version__, "scipy": scipy.__version__, "librosa": librosa.__version__}


def statistics_case(x, places, distance=4):
    x, values = np.array(x), np.array(x)[:len(places)]
    peaks = signal.find_peaks(x, distance=distance, prominence=1.0)[0]
    read = np.interp(np.linspace(0, len(x) - 1, 48), np.arange(len(x)), x)
    return {
        "x": x.tolist(), "places": places, "distance": distance, "mean": x.mean(), "std": x.std(),
        "percentiles": np.percentile(x, [0, 5, 10, 25, 50, 90, 98, 100]).tolist(),
        "line_slope": np.polyfit(np.arange(len(x)) ** 2, x, 1)[0], "correlation": np.corrcoef(np.arange(len(x)) ** 2, x)[0, 1],
        "interpolated": np.interp(np.arange(len(x)), places, values).tolist(),
        "savgol_slope": (signal.savgol_filter(x, 9, 1, deriv=1) if len(x) > 9 else 0 * x).tolist(),
        "savgol_smooth": (signal.savgol_filter(x, 7, 1) if len(x) > 7 else x).tolist(),
        "peaks": peaks.tolist(), "dct": scipy.fft.dct(read, norm="ortho")[:14].tolist(),
    }


def statistics_cases(rng):
    steps = rng.integers(-3, 4, 60)  # plateaus; and equal peaks, of which scipy keeps either within the distance
    return [
        statistics_case(rng.normal(size=50).round(3), [0, 1, 5, 20, 21, 48]),
        statistics_case(np.cumsum(steps).astype(float), [3, 30], distance=1),
        statistics_case(np.repeat([0.0, 2, 0, 2, 1, 2, 0], 3), [7]),
        statistics_case(rng.normal(size=10).round(3), [2, 9]),
        statistics_case(rng.normal(size=8).round(3), [0, 7]),
        statistics_case([1.0, 3, 2], [1]),
    ]


def golden(name, samples):
    f0, height = pitch_path(samples)
    groups = {group: [float(f"{value:.7g}") for value in values_of(Clip(samples))] for group, values_of in GROUPS.items()}
    return {"name": name, "f0": [round(f, 6) for f in f0], "height": [round(h, 7) for h in height], "groups": groups}


if __name__ == "__main__":
    documents = {
        "speech_voices.json": {"clips": [golden(name, clip()) for name, clip in CLIPS.items()]},
        "track_statistics.json": {"cases": statistics_cases(np.random.default_rng(5))},
    }
    for name, document in documents.items():
        document = {"recipe": "tools/golden/make_speech_voices.py", **VERSIONS, **document}
        (pathlib.Path(sys.argv[1]) / name).write_text(json.dumps(document, separators=(",", ":")) + "\n")
