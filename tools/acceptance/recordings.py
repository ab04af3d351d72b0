"""Synthetic recordings for gpu_acceptance: as long and as dense as RAVDESS's, with nothing to fetch."""
import array
import math
import os
import random
import wave

SAMPLE_RATE = 48000
SECONDS = 3.7       # the clips of the audit's projections (README.md)
LABELS = {'low': 140.0, 'mid': 310.0, 'high': 650.0, 'top': 1300.0}
SPEAKERS = 6
PATTERN = '{label}_{group}_{index}'


def clip_samples(frequency_hz, speaker, take):
    """A tone with harmonics and noise, that swells and fades, between two silences: digital ones, as RAVDESS's."""
    chance = random.Random(f'{frequency_hz} {speaker} {take}')
    pitch = frequency_hz * (1 + 0.03 * speaker) * (1 + 0.01 * chance.random())
    n_samples = int(SECONDS * SAMPLE_RATE)
    noise = [chance.uniform(-900, 900) for _ in range(4001)]
    period = [sum(math.sin(2 * math.pi * k * i / 512 + k * speaker) / k for k in range(1, 6)) for i in range(512)]
    first, last = n_samples // 6, n_samples * 5 // 6
    samples = array.array('h', bytes(2 * n_samples))
    phase = 512 * pitch / SAMPLE_RATE
    for i in range(first, last):
        swell = math.sin(math.pi * (i - first) / (last - first))
        samples[i] = int(6000 * swell * period[int(i * phase) % 512] + swell * noise[i % 4001])
    return samples


def write_recordings(folder, n_clips):
    """n_clips WAV files, named by PATTERN; returns the folder."""
    os.makedirs(folder, exist_ok=True)
    for clip in range(n_clips):
        label = list(LABELS)[clip % len(LABELS)]
        speaker, take = clip // len(LABELS) % SPEAKERS, clip // (len(LABELS) * SPEAKERS)
        with wave.open(os.path.join(folder, f'{label}_s{speaker}_{take}.wav'), 'wb') as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes(clip_samples(LABELS[label], speaker, take).tobytes())
    return folder
