"""Synthetic voices at 16 kHz: pulses or noise through resonators. tests/support/speech_voices.hpp makes the same."""
import math

import numpy as np

SAMPLE_RATE = 16000
A, I, U = [(700, 80), (1200, 90), (2500, 140)], [(300, 50), (2200, 110), (2900, 160)], [(350, 60), (800, 80), (2300, 130)]


def noise(n):
    """[n] in [-1, 1), from a linear congruential generator"""
    state, values = 1, []
    for _ in range(n):
        state = (1664525 * state + 1013904223) % 2**32
        values.append(state / 2**31 - 1)
    return values


def pulses(n, f0, gain):
    """[n]: a pulse of height gain(t) whenever the phase, whose speed is f0(t) in Hz, completes a turn"""
    phase, values = 0.0, []
    for i in range(n):
        t = i / SAMPLE_RATE
        phase += f0(t) / SAMPLE_RATE
        values.append(gain(t) if phase >= 1 else 0.0)
        phase -= math.floor(phase)
    return values


def resonate(x, formants):
    """each formant (Hz, bandwidth in Hz) is y[i] = (1 - 2 r cos w + r^2) x[i] + 2 r cos w y[i-1] - r^2 y[i-2]"""
    for frequency, bandwidth in formants:
        r = math.exp(-math.pi * bandwidth / SAMPLE_RATE)
        a, b = 2 * r * math.cos(2 * math.pi * frequency / SAMPLE_RATE), r * r
        last, before, y = 0.0, 0.0, []
        for value in x:
            last, before = (1 - a + b) * value + a * last - b * before, last
            y.append(last)
        x = y
    return x


def mix(voice, breath, level):
    return np.array([v + level * b for v, b in zip(voice, breath)], np.float32)


def glide():
    """rising pitch, a pause, then falling pitch"""
    n = 14400
    f0 = lambda t: 110 + 120 * t if t < 0.5 else 230 - 150 * (t - 0.5)
    gain = lambda t: 0.0 if 0.4 <= t < 0.52 else 1.0 - 0.5 * t
    return mix(resonate(pulses(n, f0, gain), A), noise(n), 1e-4)


def vibrato():
    n = 12800
    return mix(resonate(pulses(n, lambda t: 300 + 12 * math.sin(2 * math.pi * 5.5 * t), lambda t: 0.5 + 0.4 * math.sin(9 * t)), I), noise(n), 3e-4)


def creak():
    """70 Hz, every other stretch of 40 ms weaker, into a low voice of 95 Hz"""
    n = 11200
    gain = lambda t: 1.0 if int(t * 25) % 2 == 0 else 0.6
    return mix(resonate(pulses(n, lambda t: 71.3 if t < 0.4 else 95.7, gain), U), noise(n), 2e-4)


def whisper():
    n = 8000
    return mix([0.3 * v for v in resonate(noise(n), A)], [0.0] * n, 0)


def sentence():
    """long enough that spectra of its whole course are cut at 512 frames"""
    n = 92000
    f0 = lambda t: 180 + 40 * math.sin(2 * t) + 15 * math.sin(11 * t)
    gain = lambda t: max(0.0, math.sin(7 * t)) ** 2
    return mix(resonate(pulses(n, f0, gain), A), resonate(noise(n), I), 2e-2)


CLIPS = {
    "glide": glide,
    "vibrato": vibrato,
    "creak": creak,
    "whisper": whisper,
    "sentence": sentence,
    "noise": lambda: mix([0.0] * 6000, noise(6000), 0.1),
    "zeros": lambda: np.zeros(4000, np.float32),
    "voice after zeros": lambda: np.concatenate([np.zeros(1600, np.float32), vibrato()[:3000]]),
    "five frames": lambda: glide()[2000:3040],
    "one frame": lambda: glide()[2000:2400],
}
