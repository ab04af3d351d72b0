"""The speech set's groups in numpy and scipy, written for reading: mean and standard deviation over frames of
spectral tracks, and prosody; the others are in speech_course.py. needs: numpy, scipy, librosa (its mel bank alone)

speech_groups(samples [n] at 16 kHz) -> {group: values}, values as `melgrad info` names them.
"""
import librosa
import numpy as np
import scipy.fft
import scipy.signal

from speech_course import GROUPS, Clip

RATE, WIN, HOP, N_FFT = 16000, 400, 160, 512
HZ = np.arange(N_FFT // 2 + 1) * RATE / N_FFT
MEL_BANK = librosa.filters.mel(sr=RATE, n_fft=N_FFT, n_mels=64, fmin=50, fmax=8000, dtype=np.float64)
CONTRAST_EDGES = [0, 200, 400, 800, 1600, 3200, 8001]


def windows(x, n, length, hop):
    """n windows of x, which has zeros behind it: [n, length]"""
    x = np.concatenate([x, np.zeros(length + n * hop)])
    return np.stack([x[t * hop:t * hop + length] for t in range(n)])


def decibels(power):
    return 10 * np.log10(power)


def cut_silence(x):
    """begin and end: three frames around all that is within 40 dB of the loudest frame"""
    level = decibels((windows(x, 1 + len(x) // HOP, WIN, HOP) ** 2).mean(axis=1) + 1e-10)
    loud = np.flatnonzero(level > level.max() - 40)
    return max(0, loud[0] - 3) * HOP, min(len(x), (loud[-1] + 4) * HOP + WIN)


def delta(tracks):
    """Slope of the line through nine frames; tracks [n_values, n_frames]"""
    if tracks.shape[1] <= 9:
        return np.zeros_like(tracks)
    return scipy.signal.savgol_filter(tracks, 9, 1, deriv=1, mode="interp")


def contrast(magnitude):
    values = []
    for low, high in zip(CONTRAST_EDGES[:-1], CONTRAST_EDGES[1:]):
        band = np.sort(magnitude[:, (HZ >= low) & (HZ < high)], axis=1)
        k = max(1, round(0.02 * band.shape[1])) if band.shape[1] > 10 else 1
        greatest = np.maximum(band[:, -k:].mean(axis=1), 1e-5)
        least = np.maximum(band[:, :k].mean(axis=1), 1e-5)
        values.append(2 * decibels(greatest / least))
    return np.stack(values)


def shape(raw, power, log_mel):
    """Of unwindowed frames [n, 400], their power spectra [n, 257] and log mel bands [64, n]: [13, n]"""
    magnitude = np.sqrt(power)
    total = magnitude.sum(axis=1, keepdims=True) + 1e-9
    centroid = (magnitude * HZ).sum(axis=1, keepdims=True) / total
    bandwidth = np.sqrt((magnitude * (HZ - centroid) ** 2).sum(axis=1, keepdims=True) / total)
    below = np.cumsum(magnitude, axis=1)
    rolloff = [HZ[np.argmax(below >= share * below[:, -1:], axis=1)] for share in (0.25, 0.5, 0.85, 0.95)]
    flatness = np.log(np.maximum(power, 1e-10)).mean(axis=1) - np.log(power.mean(axis=1) + 1e-10)
    crossings = (np.diff(np.signbit(raw).astype(int), axis=1) != 0).mean(axis=1)
    relative = magnitude / total
    flux = np.append(0, np.linalg.norm(np.diff(relative, axis=0), axis=1))

    def band(low, high):
        return power[:, (HZ >= low) & (HZ < high)].sum(axis=1) + 1e-9

    index = np.arange(64) - 31.5
    slope = index @ (log_mel - log_mel.mean(axis=0)) / (index ** 2).sum()
    return np.stack([
        centroid[:, 0], bandwidth[:, 0], *rolloff, flatness, crossings,
        decibels((raw ** 2).mean(axis=1) + 1e-10), flux, decibels(band(0, 1000) / band(1000, 5000)),
        decibels(band(0, 500) / band(2000, 8001)), slope])


def pitch(x, n_frames):
    """log2 of the fundamental frequency and the periodicity there, both [n_frames]"""
    length, lags = 640, np.arange(RATE // 600, RATE // 65)
    hann = np.hanning(length)
    n = 1 + (len(x) + 120) // HOP
    frames = windows(np.concatenate([np.zeros(120), x]), n, length, HOP) * hann
    frames -= frames.mean(axis=1, keepdims=True)

    def autocorrelation(y):
        return scipy.fft.irfft(np.abs(scipy.fft.rfft(y, 2048, axis=-1)) ** 2, axis=-1)[..., :length]

    r, window = autocorrelation(frames), autocorrelation(hann)
    r = r / (r[:, :1] + 1e-12) * window[0] / np.maximum(window, 1e-3 * window[0])
    best = np.argmax(r[:, lags] - 0.02 * np.log2(lags / lags[0]), axis=1)
    log_f0 = np.log2(RATE / lags[best])
    if n > 5:
        log_f0 = scipy.signal.medfilt(log_f0, 5)
    return log_f0[:n_frames], r[np.arange(n), lags[best]][:n_frames]


def percentiles(x, *percents):
    return list(np.percentile(x, percents))


def mean_of(x, otherwise=0.0):
    return np.mean(x) if len(x) else otherwise


def prosody(x, level, whole_s, lead_s, trail_s):
    """Of the cut clip and its frames' levels in dB"""
    n = len(level)
    log_f0, periodicity = pitch(x, n)
    voiced = (periodicity > 0.5) & (level > level.max() - 30)
    if voiced.sum() < 5:
        voiced = periodicity >= np.sort(periodicity)[-min(5, n)]
    f0, voiced_level, seconds = log_f0[voiced], level[voiced], np.flatnonzero(voiced) / 100
    q = percentiles(f0, 2, 10, 25, 50, 75, 90, 98)
    steps = np.diff(log_f0)[voiced[1:] & voiced[:-1]]
    steps = steps[np.abs(steps) < 0.2]
    steps = steps if len(steps) else np.zeros(1)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], voiced.astype(int), [0]])))
    runs = (edges[1::2] - edges[::2]) / 100
    varies = len(f0) > 3 and f0.std() > 1e-6 and voiced_level.std() > 1e-6
    around = level - level.mean()
    repeats = np.correlate(around, around, "full")[n - 1:]
    return np.array([
        f0.mean(), f0.std(), *q, q[-1] - q[0], q[-2] - q[1],
        np.polyfit(seconds, f0, 1)[0] if len(f0) > 3 else 0,
        steps.mean(), steps.std(), np.abs(steps).mean(), *percentiles(steps, 5, 25, 75, 95),
        periodicity[voiced].mean(), periodicity[voiced].std(), periodicity.mean(), voiced.mean(),
        len(runs) / (n / 100), runs.mean(), runs.std(), runs.max(),
        *[mean_of(part, f0.mean()) for part in np.array_split(f0, 4)],
        voiced_level.mean(), voiced_level.std(), voiced_level.max(),
        np.corrcoef(f0, voiced_level)[0, 1] if varies else 0,
        *[(level > level.max() - below).mean() for below in (10, 20, 30)],
        *[mean_of(part, level.mean()) - level.mean() for part in np.array_split(level, 5)],
        *(repeats[[5, 10, 15, 20, 30, 40]] / (repeats[0] + 1e-9) if n > 41 else np.zeros(6)),
        n / 100, whole_s, lead_s, trail_s,
        f0.mean() - f0[0], f0[-1] - f0.mean(), np.argmax(f0) / len(f0), np.argmax(voiced_level) / len(f0)])


def trimmed(samples):
    """samples without the silence around them, at least a frame; where they begin and end"""
    begin, end = cut_silence(samples)
    x = samples[begin:end]
    return (x if len(x) >= WIN else np.concatenate([x, np.zeros(WIN)])), begin, end


def speech_groups(samples):
    samples = np.asarray(samples, np.float64)
    x, begin, end = trimmed(samples)
    n = 1 + (len(x) - WIN) // HOP
    raw = windows(x, n, WIN, HOP)
    power = np.abs(scipy.fft.rfft(raw * scipy.signal.get_window("hann", WIN), N_FFT, axis=1)) ** 2
    log_mel = decibels(np.maximum(MEL_BANK @ power.T, 1e-10))
    log_mel = np.maximum(log_mel, log_mel.max() - 80)
    mfcc = scipy.fft.dct(log_mel, axis=0, norm="ortho")[:40]
    shapes = shape(raw, power, log_mel)
    tracks = {
        "mfcc": mfcc, "mfcc_delta": delta(mfcc), "mfcc_delta2": delta(delta(mfcc)), "log_mel": log_mel,
        "contrast": contrast(np.sqrt(power)), "shape": shapes, "shape_delta": delta(shapes)}
    groups = {name: np.concatenate([t.mean(axis=1), t.std(axis=1)]) for name, t in tracks.items()}
    level = shapes[8]
    groups["prosody"] = prosody(x, level, len(samples) / RATE, begin / RATE, (len(samples) - end) / RATE)
    return groups


def all_speech_groups(samples):
    """with those of speech_course.py"""
    clip = Clip(trimmed(np.asarray(samples, np.float64))[0])
    return speech_groups(samples) | {name: np.array(values_of(clip)) for name, values_of in GROUPS.items()}
