#!/usr/bin/env python3
"""Makes tests/golden/speech_clips.json: the speech set's values, by speech_reference.py, of small signals made
by integer arithmetic.

usage: make_speech.py FOLDER        needs: numpy, scipy, librosa

The signals' formulas stand in tests/support/golden_speech.cpp too.
"""
import json
import pathlib
import sys

import librosa
import numpy as np
import scipy

from speech_reference import speech_groups

CLIPS = [  # kind, samples, seed
    ("speech", 38400, 1), ("speech", 30001, 2), ("speech", 12000, 3), ("noise", 16000, 4),
    ("speech", 3000, 5), ("noise", 1000, 6), ("click", 5000, 7), ("silence", 8000, 8), ("noise", 401, 9),
    ("noise", 400, 10), ("noise", 399, 11), ("noise", 1, 12)]
FORMANTS = [(7909, 3969), (6653, 3907), (4410, 3847)]  # 500, 1500, 2500 Hz: 4096 times (2 r cos w, r^2)


def noise(state):
    """The next state and a value in [-32768, 32767]"""
    state = (state * 1664525 + 1013904223) % 2 ** 32
    return state, (state >> 16) - (65536 if state >> 31 else 0)


def speech(n, state):
    """Syllables of 0.2 s through three formants: a voice that glides up, every fourth one a whisper; 0.1 s of
    near silence between them, and an eighth of silence at both ends"""
    phase, past, samples = 0, [[0, 0] for _ in FORMANTS], []
    for i in range(n):
        state, random = noise(state)
        begin = i - n // 8
        syllable, position = begin // 4800, begin % 4800
        step = ((110000 + 90000 * i // n) << 32) // 16000000
        value = 0
        if i >= n // 8 and i < n - n // 8 and position < 3200:
            pulse = 900 if phase + step >= 2 ** 32 else 0
            value = random >> 8 if syllable % 4 == 3 else pulse + (random >> 13)
            value *= min(16, position // 50, (3200 - position) // 50)
        phase = (phase + step) % 2 ** 32
        for (a, b), y in zip(FORMANTS, past):
            value += (a * y[0] - b * y[1]) >> 12
            y[1], y[0] = y[0], value
        samples.append((value >> 5) + (random >> 14))
    return samples


def signal(kind, n, seed):
    if kind == "speech":
        samples = speech(n, seed)
    elif kind == "noise":
        samples, state = [], seed
        for _ in range(n):
            state, random = noise(state)
            samples.append(random >> 2)
    else:
        samples = [20000 if kind == "click" and i == n // 2 else 0 for i in range(n)]
    return np.clip(np.array(samples), -32768, 32767)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    clips = []
    for kind, n, seed in CLIPS:
        groups = speech_groups(signal(kind, n, seed) / 32768)
        clips.append({
            "kind": kind, "n_samples": n, "seed": seed,
            "groups": {name: [float(f"{value:.9g}") for value in values] for name, values in groups.items()}})
    content = {
        "recipe": "tools/golden/make_speech.py", "numpy": np.__version__, "scipy": scipy.__version__,
        "librosa": librosa.__version__, "clips": clips}
    path = pathlib.Path(sys.argv[1]) / "speech_clips.json"
    path.write_text(json.dumps(content, separators=(",", ":")) + "\n")
    print(f"{path}: {len(clips)} clips, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
