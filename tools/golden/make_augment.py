#!/usr/bin/env python3
"""Writes tests/golden/audio_augment.json: librosa's time_stretch and pitch_shift of a short recording.

usage: make_augment.py FOLDER        needs: numpy, librosa

librosa computes in float64, as it accumulates phases of many turns, which float32 does not hold.
"""
import json
import pathlib
import sys

import librosa
import numpy as np

SAMPLE_RATE, N_SAMPLES = 16000, 5000
STEP = 7  # every so many samples are kept


def recording():
    """A voice that rises, with noise and a pause of zeros, as int16."""
    t = np.arange(N_SAMPLES) / SAMPLE_RATE
    phase = 2 * np.pi * np.cumsum(150 + 300 * t) / SAMPLE_RATE
    voice = sum(np.sin(k * phase) / k for k in range(1, 20))
    y = 0.2 * voice * (0.3 + np.sin(12 * t) ** 2) + 0.01 * np.random.default_rng(5).standard_normal(N_SAMPLES)
    y[2300:2900] = 0
    return np.round(np.clip(y, -1, 1) * 32767).astype(np.int16)


def kept(y):
    return {"n_samples": len(y), "samples": [float(f"{x:.6f}") for x in y[::STEP]]}


def main():
    samples = recording()
    out = {"versions": {"librosa": librosa.__version__, "numpy": np.__version__}, "sample_rate": SAMPLE_RATE,
           "step": STEP, "samples": samples.tolist(), "stretched": [], "shifted": []}
    y = samples / 32768
    for n_samples in (N_SAMPLES, 300):  # shorter than a frame, too
        for rate in (0.9, 12 / 11, 1.7):
            stretched = librosa.effects.time_stretch(y[:n_samples], rate=rate, n_fft=1024)
            out["stretched"].append({"n_input": n_samples, "rate": rate, **kept(stretched)})
        for pitch in (-1.5, 1.5, 4.0):
            shifted = librosa.effects.pitch_shift(y[:n_samples], sr=SAMPLE_RATE, n_steps=pitch, n_fft=1024)
            out["shifted"].append({"n_input": n_samples, "pitch": pitch, **kept(shifted)})
    pathlib.Path(sys.argv[1], "audio_augment.json").write_text(json.dumps(out, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
