"""The Viterbi pitch track of the `speech` set, see host/cpu/pitch_path.hpp."""
import numpy as np

SAMPLE_RATE, HOP_LENGTH, WIN_LENGTH, LONG = 16000, 160, 400, 640
SHORTEST, LONGEST = SAMPLE_RATE // 650, SAMPLE_RATE // 65
WINDOW = np.hanning(LONG)


def n_frames(samples):
    return 1 + (len(samples) - WIN_LENGTH) // HOP_LENGTH


def long_frames(samples):
    """[n_frames, 640] of 40 ms, centred on the frames of 25 ms"""
    before = (LONG - WIN_LENGTH) // 2
    padded = np.concatenate([np.zeros(before), samples, np.zeros(LONG)])
    return np.stack([padded[i * HOP_LENGTH:i * HOP_LENGTH + LONG] for i in range(n_frames(samples))])


def windowed(frames):
    x = frames * WINDOW
    return x - x.mean(axis=1, keepdims=True)


def autocorrelation(x):
    return np.stack([np.correlate(row, row, "full")[LONG - 1:LONG - 1 + LONGEST] for row in x])


def candidates(r):
    """[(lag, strength, height)] of a frame's autocorrelation, the nine strongest; a later one replaces the weakest"""
    found = []
    for lag in range(SHORTEST + 1, LONGEST - 1):
        before, here, after = r[lag - 1:lag + 2]
        if here <= 0.15 or here < before or here <= after:
            continue
        shift = (before - after) / (2 * (before - 2 * here + after))
        height = here - (before - after) * shift / 4
        height = 1 / height if height > 1 else height
        new = (lag + shift, height - 0.01 * np.log2(600 * (lag + shift) / SAMPLE_RATE), height)
        if len(found) < 9:
            found.append(new)
        else:
            weakest = min(range(9), key=lambda i: found[i][1])
            if found[weakest][1] < new[1]:
                found[weakest] = new
    return found


def transition(a, b):
    if a[0] == 0 or b[0] == 0:
        return 0.0 if a[0] == b[0] else 0.14
    return 0.35 * abs(np.log2(a[0] / b[0]))


def pitch_path(samples):
    """f0 [n_frames] in Hz, 0 where unvoiced, and the height of its autocorrelation; before the rule for whisper"""
    frames = long_frames(np.asarray(samples, np.float64))
    r = autocorrelation(windowed(frames))
    window = np.correlate(WINDOW, WINDOW, "full")[LONG - 1:LONG - 1 + LONGEST]
    r = r / (r[:, :1] + 1e-12) * (window[0] / window)
    peak = np.abs(frames).max(axis=1)
    intensity = peak / (peak.max() + 1e-9)
    choices = [[(0.0, 0.45 + max(0.0, 2 - i * 1.45 / 0.03), 0.0)] + candidates(row) for i, row in zip(intensity, r)]
    totals, origins = [[c[1] for c in choices[0]]], []
    for before, here in zip(choices, choices[1:]):
        ways = np.array([[total - transition(a, b) for total, a in zip(totals[-1], before)] for b in here])
        origins.append(ways.argmax(axis=1))
        totals.append([way.max() + b[1] for way, b in zip(ways, here)])
    best = int(np.argmax(totals[-1]))
    path = [best]
    for origin in reversed(origins):
        path.append(int(origin[path[-1]]))
    chosen = [choice[k] for choice, k in zip(choices, reversed(path))]
    return [SAMPLE_RATE / c[0] if c[0] else 0.0 for c in chosen], [c[2] for c in chosen]
