"""The same work as melgrad's, done by the libraries that people use for it, timed in one process and one thread, part
by part, so that who measures can do its own work in turn.

usage: python peers.py PEER REQUEST.json        (normally started by `melgrad bench --peers PYTHON`)
PEER      librosa | torch-features | torchaudio | scikit-learn | scikit-learn-float32 | scikit-learn-search |
          torch-training
REQUEST   {"clips": [WAV, ..]}                                                       for features
          {"features": X.f32, "labels": Y.i32, "n_rows": .., "n_features": .., "epochs": .., "fits": 1, "mlp": {..}}
          for as many equal fits; and for a search "folds": 5, "grid": [{"alpha": 1e-4}, ..]
prints    {"version": .., "n_parts": ..}  after a warm-up: the library's version; parts of the work (some clips, a fit,
          a candidate)
          {"missing": reason}             instead, where a library is not installed
reads     the number of a part, a line each; for each does the part and
prints    {"cpu_seconds": ..}             of that part
          {"values": [..]}                at the end of its input, if every part was done: they let the caller see
          that the same thing was computed (the mean of each feature over the clips; the loss; the best accuracy)
"""
import collections
import json
import os
import sys
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):  # they choose slower kernels on new processors
    os.environ.pop(name, None)


CLIPS_A_PART = 30


# What a peer does, in parts: do(part) returns a result, and values(the results of all parts) what was computed.
Work = collections.namedtuple("Work", "version parts do values")


def features_work(version, clip_features, request):
    """The mean of each feature over the clips, which are PCM16 WAV files of one channel"""
    import numpy as np

    def do(paths):
        return [clip_features(path) for path in paths]

    clips = request["clips"]
    do(clips[:20])
    parts = [clips[i:i + CLIPS_A_PART] for i in range(0, len(clips), CLIPS_A_PART)]
    return Work(version, parts, do, lambda rows: np.mean(np.concatenate(rows), axis=0).tolist())


def librosa_features(request):
    """The notebook's 180 features, as the notebook computes them."""
    import librosa
    import numpy as np
    import soundfile

    def clip_features(path):
        samples, sample_rate = soundfile.read(path, dtype="float32")
        magnitude = np.abs(librosa.stft(samples))
        chroma = librosa.feature.chroma_stft(S=magnitude, sr=sample_rate).mean(axis=1)
        mel = librosa.feature.melspectrogram(y=samples, sr=sample_rate, n_mels=128, fmax=8000).mean(axis=1)
        mfcc = librosa.feature.mfcc(y=samples, sr=sample_rate, n_mfcc=40).mean(axis=1)
        return np.hstack((chroma, mel, mfcc))

    return features_work(librosa.__version__, clip_features, request)


def torch_features(request):
    """The same 180 features with one STFT for all three descriptors, frames in rows, banks made once, librosa's tuning
    estimate vectorised over the bins that can hold a peak: the fastest arrangement of torch's own operations we know
    (for each of these choices the alternatives were slower: torch.stft, whose bins are in rows; abs() or
    view_as_real() of its result; samples read as floats)."""
    import librosa
    import numpy as np
    import scipy.fft
    import soundfile
    import torch
    torch.set_num_threads(1)
    tables = {}

    def tables_for(sample_rate):
        if sample_rate not in tables:
            bins = [k for k in range(1, 1024) if 150 <= k * sample_rate / 2048 < min(4000, sample_rate / 2)]
            tables[sample_rate] = {
                "mel": torch.from_numpy(librosa.filters.mel(sr=sample_rate, n_fft=2048, n_mels=128, fmax=8000)),
                "mfcc": torch.from_numpy(librosa.filters.mel(sr=sample_rate, n_fft=2048, n_mels=128)).T.contiguous(),
                "bins": (bins[0], bins[-1] + 1),
                "chroma": {}}
        return tables[sample_rate]

    window = torch.hann_window(2048)
    dct = torch.from_numpy(scipy.fft.dct(np.eye(128), axis=0, norm="ortho")[:40].astype(np.float32))

    def tuning(magnitude, sample_rate, low, high):
        left, mid, right = (magnitude[:, low + shift:high + shift] for shift in (-1, 0, 1))
        threshold = 0.1 * magnitude.amax(dim=1, keepdim=True)
        frame, frequency = torch.nonzero((mid > threshold) & (mid > left) & (mid >= right), as_tuple=True)
        if len(frequency) == 0:
            return 0.0
        place = frame * magnitude.shape[1] + frequency + low
        a, b, c = (magnitude.flatten()[place + shift] for shift in (-1, 0, 1))
        curve, slope = c + a - 2 * b, (c - a) / 2
        shift = torch.where(slope.abs() >= curve.abs(), torch.zeros(()), -slope / curve)
        peak = b + 0.5 * slope * shift
        pitch = (frequency + low + shift) * (sample_rate / 2048)
        pitch = pitch[peak >= np.median(peak.numpy())].numpy()
        return librosa.pitch_tuning(pitch)

    def clip_features(path):
        samples, sample_rate = soundfile.read(path, dtype="int16")
        t = tables_for(sample_rate)
        padded = torch.nn.functional.pad(torch.from_numpy(samples).float().mul_(1 / 32768), (1024, 1024))
        spectrum = torch.fft.rfft(padded.unfold(0, 2048, 512) * window)  # [n_frames, 1025]
        power = torch.addcmul(spectrum.real.square(), spectrum.imag, spectrum.imag)
        magnitude = power.sqrt()
        offset = tuning(magnitude, sample_rate, *t["bins"])
        if offset not in t["chroma"]:
            bank = librosa.filters.chroma(sr=sample_rate, n_fft=2048, tuning=offset)
            t["chroma"][offset] = torch.from_numpy(bank).T.contiguous()
        chroma = magnitude @ t["chroma"][offset]
        peak = chroma.amax(dim=1, keepdim=True)
        chroma = (chroma / torch.where(peak < 1.17549435e-38, torch.ones(()), peak)).mean(dim=0)
        mel = t["mel"] @ power.mean(dim=0)
        decibel = torch.clamp(power @ t["mfcc"], min=1e-10).log10_().mul_(10)
        mfcc = dct @ torch.maximum(decibel, decibel.max() - 80).mean(dim=0)
        return torch.cat((chroma, mel, mfcc)).numpy()

    return features_work(torch.__version__, torch.inference_mode()(clip_features), request)


def torchaudio_features(request):
    """The notebook's mel spectrogram and MFCC; torchaudio has no chroma."""
    import soundfile
    import torch
    torch.set_num_threads(1)
    torch.version.cuda = None  # torchaudio refuses a torch of another CUDA, and nothing here uses CUDA
    import torchaudio
    transforms = {}

    def transforms_for(sample_rate):
        if sample_rate not in transforms:
            stft = dict(n_fft=2048, hop_length=512, pad_mode="constant", norm="slaney", mel_scale="slaney", n_mels=128)
            transforms[sample_rate] = (torchaudio.transforms.MelSpectrogram(sample_rate, f_max=8000, **stft),
                                       torchaudio.transforms.MFCC(sample_rate, n_mfcc=40, melkwargs=stft))
        return transforms[sample_rate]

    def clip_features(path):
        samples, sample_rate = soundfile.read(path, dtype="float32")
        mel, mfcc = transforms_for(sample_rate)
        samples = torch.from_numpy(samples)
        return torch.cat((mel(samples).mean(dim=1), mfcc(samples).mean(dim=1))).numpy()

    return features_work(torchaudio.__version__, torch.inference_mode()(clip_features), request)


def training_data(request, dtype):
    import numpy as np
    features = np.fromfile(request["features"], np.float32).reshape(request["n_rows"], request["n_features"])
    return features.astype(dtype), np.fromfile(request["labels"], np.int32)


def sklearn_options(request):
    """Those of our options that MLPClassifier has, for exactly `epochs` epochs: its stopping rule is switched off."""
    from sklearn.neural_network import MLPClassifier
    known = MLPClassifier().get_params()
    options = {name: value for name, value in request["mlp"].items() if name in known}
    return dict(options, max_iter=request["epochs"], n_iter_no_change=request["epochs"] + 1, tol=0.0)


def sklearn_training(request, dtype):
    """MLPClassifier in float64 or float32."""
    import warnings
    import sklearn
    from sklearn.neural_network import MLPClassifier
    warnings.simplefilter("ignore")  # "maximum iterations reached" is what we ask for
    features, labels = training_data(request, dtype)
    options = sklearn_options(request)

    def fit(epochs):
        return MLPClassifier(**dict(options, max_iter=epochs)).fit(features, labels)

    fit(10)
    parts = [request["epochs"]] * request["fits"]
    return Work(sklearn.__version__, parts, fit, lambda models: [float(models[-1].loss_)])


def sklearn_search(request):
    """GridSearchCV over a pipeline that standardises each fold's training rows."""
    import warnings
    import sklearn
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    warnings.simplefilter("ignore")
    features, labels = training_data(request, "float64")
    options = sklearn_options(request)
    grid = [{f"mlpclassifier__{name}": [tuple(value) if isinstance(value, list) else value]
             for name, value in each.items()} for each in request["grid"]]

    def search(candidate):
        estimator = make_pipeline(StandardScaler(), MLPClassifier(**options))
        folds = StratifiedKFold(request["folds"], shuffle=True, random_state=0)
        return GridSearchCV(estimator, candidate, cv=folds, refit=False).fit(features, labels)

    search(grid[0])
    return Work(sklearn.__version__, grid, search, lambda found: [max(float(each.best_score_) for each in found)])


def torch_training(request):
    """The same model, loss, batches and Adam in PyTorch, data resident, one gather an epoch."""
    import torch
    torch.set_num_threads(1)
    features, labels = training_data(request, "float32")
    features, labels, mlp = torch.from_numpy(features), torch.from_numpy(labels).long(), request["mlp"]
    activation = {"logistic": torch.nn.Sigmoid, "tanh": torch.nn.Tanh, "relu": torch.nn.ReLU,
                  "identity": torch.nn.Identity}[mlp["activation"]]

    def fit(epochs):
        torch.manual_seed(mlp["random_state"])
        sizes = [features.shape[1], *mlp["hidden_layer_sizes"], int(labels.max()) + 1]
        layers = []
        for i in range(len(sizes) - 1):
            layers += [torch.nn.Linear(sizes[i], sizes[i + 1]), activation()]
        model = torch.nn.Sequential(*layers[:-1])
        weights = [p for p in model.parameters() if p.dim() == 2]
        optimiser = torch.optim.Adam(model.parameters(), lr=mlp["learning_rate_init"])
        loss_of = torch.nn.CrossEntropyLoss()
        for _ in range(epochs):
            order = torch.randperm(len(labels))
            x, y, total = features[order], labels[order], 0.0
            for begin in range(0, len(y), mlp["batch_size"]):
                rows = y[begin:begin + mlp["batch_size"]]
                penalty = sum((w * w).sum() for w in weights) * (0.5 * mlp["alpha"] / len(rows))
                loss = loss_of(model(x[begin:begin + mlp["batch_size"]]), rows) + penalty
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                optimiser.step()
                total += float(loss.detach()) * len(rows)
        return total / len(labels)

    fit(10)
    return Work(torch.__version__, [request["epochs"]] * request["fits"], fit, lambda losses: losses[-1:])


PEERS = {"librosa": librosa_features, "torch-features": torch_features, "torchaudio": torchaudio_features,
         "scikit-learn": lambda request: sklearn_training(request, "float64"),
         "scikit-learn-float32": lambda request: sklearn_training(request, "float32"),
         "scikit-learn-search": sklearn_search, "torch-training": torch_training}


def main(peer, request_file):
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer

    def answer(fields):
        print(json.dumps(fields), file=answers, flush=True)

    with open(request_file, encoding="utf-8") as file:
        request = json.load(file)
    try:
        work = PEERS[peer](request)
    except ImportError as error:
        answer({"missing": str(error)})
        return
    answer({"version": work.version, "n_parts": len(work.parts)})
    results = {}
    for line in sys.stdin:
        part = int(line)
        begin = time.process_time()
        results[part] = work.do(work.parts[part])
        answer({"cpu_seconds": time.process_time() - begin})
    if len(results) == len(work.parts):
        answer({"values": work.values([results[part] for part in range(len(work.parts))])})


if __name__ == "__main__":
    main(*sys.argv[1:])
