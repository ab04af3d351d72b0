#!/usr/bin/env python3
"""Makes tests/golden/features_clips.json and features_banks.json: what librosa says of small signals made by
integer arithmetic, and samples of its filter banks.

usage: make_features.py FOLDER        needs: librosa 0.10 or 0.11, numpy

The signals' formulas stand in tests/support/golden_features.cpp too. librosa gets float64 samples, so that
its values are exact to about 1e-7 (its filter banks are float32) and a tuning is not moved by rounding.
"""
import json
import pathlib
import sys
import warnings

import librosa
import numpy as np

CHROMA, MEL, MFCC, RMS = "chroma_stft", "melspectrogram", "mfcc", "rms"
SPECS = {
    "notebook": {
        "descriptors": [{"kind": CHROMA}, {"kind": MEL, "fmax": 8000}, {"kind": MFCC, "n_mfcc": 40}]},
    # a hop that does not divide, reflection, HTK's mel, 24 chroma, standard deviations
    "reflect_512": {
        "stft": {"n_fft": 512, "hop_length": 200, "pad_mode": "reflect"},
        "descriptors": [
            {"kind": CHROMA, "n_chroma": 24, "functionals": ["mean", "std"]},
            {"kind": MEL, "n_mels": 40, "htk": True, "functionals": ["std", "mean"]},
            {"kind": MFCC, "n_mfcc": 13, "n_mels": 40, "htk": True, "functionals": ["mean", "std"]},
            {"kind": RMS, "functionals": ["mean", "std"]}]},
    # no power of two, a short window, magnitudes
    "hamming_1000": {
        "stft": {
            "n_fft": 1000, "hop_length": 333, "win_length": 601, "window": "hamming", "pad_mode": "edge"},
        "descriptors": [
            {"kind": CHROMA},
            {"kind": MEL, "n_mels": 64, "fmin": 50, "fmax": 3900, "power": 1},
            {"kind": MFCC, "n_mels": 64, "fmin": 50, "fmax": 3900, "top_db": 40},
            {"kind": RMS}]},
    # not centred, a tuning that is given, bands above the Nyquist frequency
    "uncentred_4096": {
        "stft": {"n_fft": 4096, "hop_length": 1024, "center": False},
        "descriptors": [
            {"kind": CHROMA, "tuning": -0.23},
            {"kind": MEL, "n_mels": 80, "fmax": 30000},
            {"kind": MFCC, "n_mfcc": 80, "n_mels": 80, "fmin": 20},
            {"kind": RMS, "functionals": ["std", "mean"]}]},
    # odd, Blackman, seven chroma
    "blackman_1023": {
        "stft": {"n_fft": 1023, "hop_length": 256, "win_length": 1000, "window": "blackman"},
        "descriptors": [{"kind": CHROMA, "n_chroma": 7}, {"kind": MEL, "n_mels": 32}, {"kind": RMS}]},
    # few bins
    "ones_64": {
        "stft": {"n_fft": 64, "hop_length": 16, "window": "ones"},
        "descriptors": [
            {"kind": CHROMA, "n_chroma": 5},
            {"kind": MFCC, "n_mfcc": 10, "n_mels": 10, "amin": 1e-5, "ref": 0.5,
             "functionals": ["std", "mean"]}]},
}
RATES = (8000, 16000, 22050, 48000)
CLIPS = (  # spec, kind, sample rate, samples
    [("notebook", "noise", rate, 1) for rate in RATES]
    + [("notebook", "voice", rate, 2047) for rate in RATES]
    + [("notebook", "voice", rate, 3 * rate) for rate in RATES]
    + [("notebook", "noise", 48000, 20000), ("notebook", "silence", 48000, 5000),
       ("notebook", "click", 48000, 5000)]
    + [("reflect_512", "voice", 8000, 24000), ("reflect_512", "noise", 16000, 100),
       ("reflect_512", "noise", 22050, 257), ("reflect_512", "noise", 16000, 1),
       ("reflect_512", "voice", 48000, 48001)]
    + [("hamming_1000", "voice", 16000, 32000), ("hamming_1000", "noise", 22050, 999),
       ("hamming_1000", "voice", 48000, 30303), ("hamming_1000", "noise", 8000, 2)]
    + [("uncentred_4096", "voice", 48000, 50000), ("uncentred_4096", "voice", 16000, 4096),
       ("uncentred_4096", "noise", 8000, 6143)]
    + [("blackman_1023", "voice", 16000, 20000), ("blackman_1023", "noise", 44100, 1022)]
    + [("ones_64", "voice", 8000, 5000), ("ones_64", "noise", 16000, 63)])
FRAMES_OF = {("notebook", "voice", 48000, 144000), ("notebook", "voice", 8000, 24000),
             ("reflect_512", "voice", 8000, 24000), ("hamming_1000", "voice", 16000, 32000),
             ("uncentred_4096", "voice", 48000, 50000), ("blackman_1023", "voice", 16000, 20000)}


def noise(n, seed):
    state, values = seed, np.empty(n, np.int64)
    for i in range(n):
        state = (state * 1664525 + 1013904223) % 2**32
        values[i] = state >> 16
    return np.where(values >= 32768, values - 65536, values)


def parabolic_sine(phase):
    p = (phase >> 16).astype(np.int64)
    p = np.where(p >= 32768, p - 65536, p)
    return (p * (32768 - np.abs(p))) >> 13


def golden_signal(kind, sample_rate, n, seed):
    """int16 values as int64 [n]"""
    i = np.arange(n, dtype=np.int64)
    if kind == "noise":
        return noise(n, seed) >> 2
    if kind == "click":
        return np.where(i == n // 2, 20000, 0)
    if kind == "silence":
        return np.zeros(n, np.int64)
    step = ((110_000 + 60_000 * i // n) << 32) // (1000 * sample_rate)
    phase = np.cumsum(step) % 2**32
    total = sum((6000 // h * parabolic_sine(h * phase % 2**32)) >> 15 for h in range(1, 9))
    syllable = sample_rate // 4
    position = i % syllable
    envelope = np.minimum(16, np.minimum(position * 64 // syllable, (syllable - position) * 64 // syllable))
    voice = ((total * envelope) >> 4) + (noise(n, seed) >> 9)
    return np.clip(np.where(i >= n - n // 8, 0, voice), -32768, 32767)


def options(descriptor):
    given = {k: v for k, v in descriptor.items() if k not in ("kind", "functionals")}
    if given.get("fmax") == 0:
        given["fmax"] = None
    return given


def track(descriptor, samples, sample_rate, stft, magnitude):
    """librosa's values [n_values, n_frames]"""
    given = options(descriptor)
    if descriptor["kind"] == CHROMA:
        return librosa.feature.chroma_stft(S=magnitude, sr=sample_rate, n_fft=stft["n_fft"], **given)
    if descriptor["kind"] == MEL:
        return librosa.feature.melspectrogram(y=samples, sr=sample_rate, **stft, **given)
    if descriptor["kind"] == RMS:
        of_frames = {name: stft[name] for name in ("hop_length", "center", "pad_mode") if name in stft}
        return librosa.feature.rms(y=samples, frame_length=stft["n_fft"], dtype=np.float64, **of_frames)
    n_mfcc = given.pop("n_mfcc", 20)
    db = {name: given.pop(name) for name in ("amin", "ref", "top_db") if name in given}
    power = librosa.feature.melspectrogram(y=samples, sr=sample_rate, **stft, **given)
    return librosa.feature.mfcc(S=librosa.power_to_db(power, **db), n_mfcc=n_mfcc)


def is_stable(magnitude, sample_rate, n_chroma, tuning):
    """Whether rounding to float32 cannot move the estimate: 20 tries with noise of 3e-7 of the maximum"""
    rng = np.random.default_rng(0)
    return all(librosa.estimate_tuning(
        S=np.abs(magnitude + 3e-7 * magnitude.max() * rng.standard_normal(magnitude.shape) * (magnitude > 0)),
        sr=sample_rate, bins_per_octave=n_chroma) == tuning for _ in range(20))


def rounded(values, digits=9):
    return [float(f"{v:.{digits}g}") for v in np.ravel(values)]


def clip(spec_name, kind, sample_rate, n):
    spec = SPECS[spec_name]
    stft = {"n_fft": 2048, "hop_length": 512, **spec.get("stft", {})}
    seed = 1
    samples = golden_signal(kind, sample_rate, n, seed) / 32768.0
    magnitude = np.abs(librosa.stft(samples, **stft))
    tracks = [track(d, samples, sample_rate, stft, magnitude) for d in spec["descriptors"]]
    pool = {"mean": np.mean, "std": np.std}
    row = [pool[f](t, axis=1) for t, d in zip(tracks, spec["descriptors"])
           for f in d.get("functionals", ["mean"])]
    chroma = next(d for d in spec["descriptors"] if d["kind"] == CHROMA)
    tuning, stable = None, True
    if "tuning" not in chroma:
        n_chroma = chroma.get("n_chroma", 12)
        tuning = float(librosa.estimate_tuning(S=magnitude, sr=sample_rate, bins_per_octave=n_chroma))
        stable = is_stable(magnitude, sample_rate, n_chroma, tuning)
    n_frames = magnitude.shape[1]
    frames = []
    if (spec_name, kind, sample_rate, n) in FRAMES_OF:
        frames = [{"descriptor": i, "frame": f, "values": rounded(t[:, f])}
                  for i, t in enumerate(tracks) for f in sorted({0, n_frames // 2, n_frames - 1})]
    return {"spec": spec_name, "kind": kind, "sample_rate": sample_rate, "n_samples": n, "seed": seed,
            "n_frames": n_frames, "tuning": tuning, "tuning_is_stable": stable,
            "row": rounded(np.hstack(row)), "frames": frames}


def mel_bank(sample_rate, n_fft, n_mels, fmin, fmax, htk):
    """Every band's sum and first and last bin with a weight (-1 if none), and all weights of five bands"""
    bank = librosa.filters.mel(
        sr=sample_rate, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax or None, htk=htk)
    used = [np.flatnonzero(band > 1e-12 * max(bank.max(), 1e-30)) for band in bank]
    bands = sorted({0, 1, n_mels // 2, n_mels - 2, n_mels - 1})
    return {"sample_rate": sample_rate, "n_fft": n_fft, "n_mels": n_mels, "fmin": fmin, "fmax": fmax,
            "htk": htk, "sum": rounded(bank.astype(np.float64).sum(axis=1)),
            "first": [int(u[0]) if len(u) else -1 for u in used],
            "last": [int(u[-1]) if len(u) else -1 for u in used],
            "bands": [{"band": b, "weights": rounded(bank[b, used[b]])}
                      for b in bands if len(used[b]) <= 200]}


def chroma_bank(sample_rate, n_fft, n_chroma, tuning):
    """All weights of some bins"""
    bank = librosa.filters.chroma(sr=sample_rate, n_fft=n_fft, n_chroma=n_chroma, tuning=tuning)
    n_bins = bank.shape[1]
    bins = sorted({0, 1, 2, 3, n_bins // 50, n_bins // 10, n_bins // 2, n_bins - 2, n_bins - 1})
    return {"sample_rate": sample_rate, "n_fft": n_fft, "n_chroma": n_chroma, "tuning": tuning,
            "bins": [{"bin": b, "weights": rounded(bank[:, b])} for b in bins]}


def window(name, win_length, n_fft):
    scipy_name = "boxcar" if name == "ones" else name
    values = librosa.util.pad_center(librosa.filters.get_window(scipy_name, win_length), size=n_fft)
    places = sorted({0, 1, n_fft // 4, n_fft // 2, n_fft - 1, (n_fft - win_length) // 2,
                     (n_fft - win_length) // 2 + win_length - 1})
    return {"window": name, "win_length": win_length, "n_fft": n_fft, "sum": float(values.sum()),
            "places": [{"place": p, "value": float(values[p])} for p in places]}


def write(path, content):
    recipe = {"recipe": "tools/golden/make_features.py", "librosa": librosa.__version__,
              "numpy": np.__version__}
    path.write_text(json.dumps({**recipe, **content}, separators=(",", ":")) + "\n")
    print(f"{path}: {path.stat().st_size} bytes")


def main(folder):
    warnings.simplefilter("ignore")  # empty mel bands and short clips are meant
    write(folder / "features_clips.json", {"specs": SPECS, "clips": [clip(*c) for c in CLIPS]})
    write(folder / "features_banks.json", {
        "windows": [window(*w) for w in (
            ("hann", 2048, 2048), ("hamming", 601, 1000), ("blackman", 1000, 1023), ("ones", 17, 64),
            ("hann", 1, 16))],
        "mel_banks": [mel_bank(*m) for m in (
            (48000, 2048, 128, 0, 8000, False), (48000, 2048, 128, 0, 0, False),
            (8000, 2048, 128, 0, 8000, False),
            (16000, 1000, 40, 20, 7600, True), (768000, 65536, 64, 0, 0, False), (1000, 16, 128, 0, 0, False),
            (22050, 1023, 30, 100, 30000, True))],
        "chroma_banks": [chroma_bank(*c) for c in (
            (48000, 2048, 12, 0.0), (48000, 2048, 12, -0.5), (48000, 2048, 12, 0.49), (8000, 512, 24, 0.13),
            (22050, 1023, 7, -0.07), (768000, 16, 12, 0.3), (1000, 65536, 36, 0.0), (16000, 1000, 5, 0.2),
            (16000, 64, 1, 0.2))]})


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]))
