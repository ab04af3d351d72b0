"""The values of the groups pitch to mfcc_correlation of the `speech` set, group by group, see the headers
host/cpu/speech_{pitch,loudness,voice,formants,course}.hpp. Computed in double, one frame after another."""
import librosa
import numpy as np
import scipy.fft
from scipy import signal

from speech_pitch import HOP_LENGTH, LONG, SAMPLE_RATE, WIN_LENGTH, long_frames, n_frames, pitch_path, windowed

MEL = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=512, n_mels=64, fmin=50, fmax=8000, dtype=np.float64)
MODULATION_EDGES = [0.3, 1.5, 3, 5, 8, 12, 20, 35]


class Clip:
    """what the groups read of samples [n >= 400]"""

    def __init__(self, samples):
        self.samples = np.asarray(samples, np.float64)
        frames = np.stack([self.samples[i * HOP_LENGTH:i * HOP_LENGTH + WIN_LENGTH] for i in range(n_frames(samples))])
        self.n = len(frames)
        self.mel = np.abs(np.fft.rfft(frames * signal.get_window("hann", WIN_LENGTH), 512)) ** 2 @ MEL.T
        db = 10 * np.log10(np.maximum(self.mel, 1e-10))
        self.log_mel = np.maximum(db, db.max() - 80)
        self.mfcc = scipy.fft.dct(self.log_mel, norm="ortho")[:, :40]
        self.db = 10 * np.log10((frames ** 2).mean(axis=1) + 1e-10)
        self.relative_db = self.db - self.db.max()
        f0, height = (np.array(track) for track in pitch_path(samples))
        if (f0 > 0).sum() < 6:
            f0[f0 == 0] = 150
        self.is_voiced = f0 > 0
        self.voiced = np.flatnonzero(self.is_voiced)
        self.f0, self.height = f0[self.voiced], height[self.voiced]
        self.st = 12 * np.log2(self.f0 / 100)
        self.contour = np.interp(np.arange(self.n), self.voiced, self.st)
        self.median = np.median(self.st)
        self.voiced_db = self.db[self.voiced]
        edges = np.flatnonzero(np.diff(np.concatenate([[0], self.is_voiced.astype(int), [0]])))
        self.runs = list(zip(edges[::2], edges[1::2]))
        self.voice = np.array([voice_measures(x, f, h) for x, f, h in zip(windowed(long_frames(samples)[self.voiced]), self.f0, self.height)])


def mean(x):
    return float(np.mean(x)) if len(x) else 0.0


def std(x):
    return float(np.std(x)) if len(x) else 0.0


def percentiles(x, q):
    return np.percentile(x, q).tolist() if len(x) else [0.0] * len(q)


def summary(x):
    return [mean(x), std(x), *percentiles(x, [10, 50, 90])]


def line_slope(x, y):
    return float(np.polyfit(x, y, 1)[0])


def correlation(x, y):
    return float(np.corrcoef(x, y)[0, 1]) if np.std(x) > 1e-6 and np.std(y) > 1e-6 else 0.0


def contour_dct(x, n):
    if len(x) < 2:
        return [0.0] * n
    read = np.interp(np.linspace(0, len(x) - 1, 48), np.arange(len(x)), x)
    return scipy.fft.dct(read, norm="ortho")[:n].tolist()


def modulation(x):
    """power of x less its mean in each band"""
    power = np.abs(np.fft.rfft((x - x.mean()) * np.hanning(len(x)), 512)) ** 2
    hz = np.arange(257) * 100 / 512
    return np.array([power[(hz >= low) & (hz < high)].sum() for low, high in zip(MODULATION_EDGES, MODULATION_EDGES[1:])])


def pitch(c):
    x, weights = c.st, 10 ** (c.voiced_db / 20)
    weighted = (weights * x).sum() / weights.sum()
    absolute = [c.median, mean(x), *percentiles(x, [5, 10, 90, 95]), weighted, mean(x[c.voiced_db > np.median(c.voiced_db)])]
    rel = x - c.median
    z = rel / (std(rel) + 0.3)
    shape = [*percentiles(rel, [5, 10, 25, 75, 90, 95]), std(rel), mean(abs(rel)), mean(z ** 3), mean(z ** 4), np.percentile(x, 90) - np.percentile(x, 10)]
    steps = np.array([np.clip(b - a, -3, 3) for a, b, i, j in zip(x, x[1:], c.voiced, c.voiced[1:]) if j == i + 1])
    changes = [mean(steps), mean(abs(steps)), std(steps), *percentiles(steps, [5, 95])]
    slopes, ranges, bends = [], [], []
    for begin, end in c.runs:
        run, n = c.contour[begin:end], end - begin
        if n >= 6:
            slopes.append(np.clip(line_slope(np.arange(n) / 100, run), -80, 80))
            ranges.append(np.ptp(run))
            bends.append(run[n // 3:2 * n // 3].mean() - (run[:n // 3].mean() + run[2 * n // 3:].mean()) / 2)
    slopes, ranges, bends = (np.array(track or [0.0]) for track in (slopes, ranges, bends))
    runs = [mean(slopes), mean(abs(slopes)), std(slopes), slopes[-1], slopes[0], mean(slopes > 1e-9), mean(ranges), max(ranges), std(ranges), mean(bends), bends[-1]]
    course = [weighted - c.median, mean(x[:10]) - c.median, mean(x[-10:]) - c.median, c.voiced[x.argmax()] / c.n, c.voiced[x.argmin()] / c.n,
              correlation(x, c.voiced_db), line_slope(c.voiced / 100, x) if len(x) > 3 else 0.0]
    contour = c.contour[c.voiced[0]:c.voiced[-1] + 1]
    bands = modulation(contour) if len(contour) > 4 else np.zeros(7)
    return [*absolute, *shape, *changes, *runs, *course, *contour_dct(contour - c.median, 12)[1:], *np.log(bands / len(contour) ** 2 + 1e-4)]


def loudness(c):
    total = (np.maximum(c.mel, 1e-10) ** 0.3).sum(axis=1)
    x = total / total.mean()
    changes = np.diff(x) * 100
    smooth = signal.savgol_filter(x, 7, 1) if c.n > 7 else x
    peaks = signal.find_peaks(smooth, distance=8, prominence=0.12 * x.max())[0]
    gaps = np.diff(peaks) / 100
    db_slopes = signal.savgol_filter(c.db, 9, 1, deriv=1) if c.n > 9 else np.zeros(c.n)
    levels = [np.log(total.mean()), np.log(total.max()), std(x), *percentiles(x, [10, 20, 50, 80, 90, 98]),
              mean(changes[changes > 0]), mean(-changes[changes < 0]), std(changes), len(peaks) / c.n * 100, len(peaks),
              mean(gaps) if len(gaps) else 0.5, std(gaps), mean(x[peaks]) if len(peaks) else 1.0, std(x[peaks]),
              peaks[x[peaks].argmax()] / c.n if len(peaks) else 0.5, *percentiles(c.relative_db, [10, 25, 50, 75, 90]), mean(c.relative_db), std(c.relative_db),
              *percentiles(db_slopes, [5, 25, 75, 95]), std(db_slopes), std(c.voiced_db), mean(c.voiced_db) - c.db.max()]
    runs = np.array([end - begin for begin, end in c.runs]) / 100
    pauses = np.array([b[0] - a[1] for a, b in zip(c.runs, c.runs[1:])]) / 100
    rhythm = [mean(c.is_voiced), len(runs) / c.n * 100, mean(runs), std(runs), max(runs), mean(pauses), max(pauses, default=0.0), std(pauses), len(runs),
              c.n / 100, c.voiced[0] / 100, (c.n - c.voiced[-1]) / 100, mean(c.relative_db < -30), mean(c.relative_db > -10), mean(c.relative_db > -20), np.log(c.n)]
    return [*levels, *contour_dct(c.relative_db, 14)[1:], *rhythm]


def voice_measures(x, f0, height):
    """the 13 measures of one windowed frame of 640 samples"""
    width = SAMPLE_RATE / 2048
    power = np.maximum(np.abs(np.fft.rfft(x, 2048)) ** 2, 1e-10)
    db = 10 * np.log10(power)

    def harmonic(k):
        bins = k * f0 / width + np.arange(-4, 5) * max(0.08 * f0 / width, 1) / 4
        return max(db[int(np.round(np.clip(b, 0, 1024)))] for b in bins)

    def loudest(low, high):
        return db[int(low / width):int(high / width)].max()

    def level(low, high):
        return 10 * np.log10(power[int(low / width):int(high / width)].mean() + 1e-10)

    def tilt(low, high):
        khz = np.arange(1025) * width / 1000
        inside = (khz >= low) & (khz < high)
        return line_slope(khz[inside], db[inside])

    h = np.clip(height, 1e-3, 0.9999)
    cepstrum = np.fft.irfft(db)[:260]
    slope, offset = np.polyfit(np.arange(24, 250), cepstrum[24:250], 1)
    near = np.clip(np.round(SAMPLE_RATE / f0) + np.arange(-2, 3), 1, 259).astype(int)
    peak = near[cepstrum[near].argmax()]
    h1, h2, h4 = harmonic(1), harmonic(2), harmonic(4)
    return [10 * np.log10(h / (1 - h)), 100 * (cepstrum[peak] - offset - slope * peak), h1 - h2, h1 - loudest(300, 1000), h1 - loudest(1200, 2400),
            h1 - loudest(2400, 3800), h2 - h4, level(1000, 5000) - level(50, 1000), loudest(0, 2000) - loudest(2000, 5000),
            level(5000, 7900) - level(50, 1000), tilt(0.05, 0.5), tilt(0.5, 1.5), tilt(1.5, 5.0)]


def voice(c):
    pairs = [i for i in range(len(c.voiced) - 1) if c.voiced[i + 1] == c.voiced[i] + 1]
    triples = [i for i in pairs if i + 1 in pairs]
    period, st, db = 1 / c.f0, c.st, c.voiced_db
    jitter = np.array([abs(period[i + 1] - period[i]) / period.mean() for i in pairs])
    shimmer = np.array([abs(db[i + 1] - db[i]) for i in pairs])
    bend = np.minimum([abs(st[i + 2] - 2 * st[i + 1] + st[i]) for i in triples], 3)
    db_bend = np.array([abs(db[i + 2] - 2 * db[i + 1] + db[i]) for i in triples])
    values = [value for track in c.voice.T for value in summary(track)]
    for track, most in [(jitter, 0.3), (shimmer, 20), (bend, 3), (db_bend, 20)]:
        values += percentiles(np.minimum(track, most), [50, 75])
    return values + [np.log(mean(jitter) + 1e-4), np.log(mean(shimmer) + 1e-3), np.log(mean(bend) + 1e-3)]


def formants(c):
    x = signal.resample_poly(c.samples, 5, 8)
    x = np.concatenate([[x[0]], x[1:] - 0.94 * x[:-1], np.zeros(512)])
    found, frames = [], []
    for frame in c.voiced:
        windowed_frame = x[frame * 100:frame * 100 + 256] * np.hamming(256)
        r = np.array([windowed_frame[:256 - lag] @ windowed_frame[lag:] for lag in range(11)])
        r[0] = r[0] * 1.0001 + 1e-12
        predictor = np.linalg.solve(r[abs(np.subtract.outer(np.arange(10), np.arange(10)))], -r[1:])
        roots = np.roots(np.concatenate([[1], predictor]))
        hz, bandwidth = np.angle(roots) * 10000 / (2 * np.pi), -np.log(np.abs(roots) + 1e-9) * 10000 / np.pi
        kept = sorted((f, b) for f, b in zip(hz, bandwidth) if 150 < f < 4800 and b < 700)[:3]
        if len(kept) == 3:
            found.append([f for f, _ in kept] + [b for _, b in kept])
            frames.append(frame)
    if len(found) < 3:
        found, frames = [[500, 1500, 2500, 100, 150, 200]], [c.voiced[0]]
    found = np.array(found)
    logs = np.log(np.concatenate([found[:, :3], np.clip(found[:, 3:], 30, 700)], axis=1))
    weights = 10 ** (c.db[frames] / 20)
    return [value for track in logs.T for value in summary(track)] + (weights @ logs / weights.sum()).tolist() + [
        np.median(logs[:, 1] - logs[:, 0]), np.median(logs[:, 2] - logs[:, 1])]


def mean_columns(x):
    return x.mean(axis=0) if len(x) else np.zeros(x.shape[1])


def voiced_mfcc(c):
    mfcc = c.mfcc[:, :20]
    unvoiced = ~c.is_voiced & (c.relative_db > -45)
    if unvoiced.sum() <= 3:
        unvoiced = ~c.is_voiced if (~c.is_voiced).sum() > 3 else np.ones(c.n, bool)
    spread = np.percentile(c.mfcc[:, :13], [10, 90], axis=0) - c.mfcc[:, :13].mean(axis=0)
    power = c.mel[c.is_voiced].mean(axis=0)
    return [*mfcc[c.is_voiced].mean(axis=0), *mfcc[c.is_voiced].std(axis=0), *mean_columns(mfcc[unvoiced]),
            *mean_columns(mfcc[c.relative_db > np.percentile(c.relative_db, 70)]), *spread.ravel(),
            *(10 * np.log10(power + 1e-10) - 10 * np.log10(power.mean() + 1e-12))[::2]]


def thirds(c):
    parts = [part for part in np.array_split(c.mfcc[:, :13], 3)]
    means = [part.mean(axis=0) - c.mfcc[:, :13].mean(axis=0) if len(part) else np.zeros(13) for part in parts]
    return [*np.concatenate(means), *np.concatenate([part.std(axis=0) if len(part) else np.zeros(13) for part in parts])]


def eighths(c):
    def by_eighth(track, statistic):
        return [statistic(part) if len(part) else 0.0 for part in np.array_split(track, 8)]

    alpha_ratio, harmonics_to_noise = (np.interp(np.arange(c.n), c.voiced, c.voice[:, k]) for k in (7, 0))
    return [*by_eighth(c.contour - c.median, mean), *by_eighth(c.relative_db - c.relative_db.mean(), mean), *by_eighth(c.is_voiced, mean),
            *by_eighth(alpha_ratio, mean), *by_eighth(harmonics_to_noise, mean), *by_eighth(c.contour, std)]


def modulation_shares(c):
    tracks = [c.log_mel[:, k * 8:k * 8 + 8].mean(axis=1) for k in range(8)] + [c.db]
    power = np.stack([modulation(track) for track in tracks], axis=1)
    return np.log(power / (power.sum(axis=0) + 1e-9) + 1e-5).ravel().tolist()


def mfcc_correlation(c):
    if c.n == 1:
        return [0.0] * 91
    covariance = np.cov(c.mfcc[:, :14].T)
    deviation = np.sqrt(np.diag(covariance)) + 1e-6
    return (covariance / np.outer(deviation, deviation))[np.triu_indices(14, 1)].tolist()


GROUPS = {"pitch": pitch, "loudness": loudness, "voice": voice, "formants": formants, "voiced_mfcc": voiced_mfcc, "thirds": thirds,
          "eighths": eighths, "modulation": modulation_shares, "mfcc_correlation": mfcc_correlation}
