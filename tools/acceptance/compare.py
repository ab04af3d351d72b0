"""Every number of the GPU beside the CPU's."""
import csv
import json

# Of a feature family's spread; either engine is within 1e-4 of librosa (host/engine/self_check.hpp).
FEATURE_TOLERANCE = 2e-4
# The tuning that librosa estimates for chroma has ties, which rounding decides: so many clips may differ in them.
CHROMA_SHARE = 0.03
# After a few epochs from the same weights in the same order.
PROBABILITY_TOLERANCE = 2e-3
# Of whole fits, which rounding sets apart.
ACCURACY_TOLERANCE = 0.05


def read_features(file):
    """{path: {feature: value}} of `melgrad export x.csv`"""
    with open(file, newline='', encoding='utf-8') as lines:
        return {row.pop('path'): {name: float(value) for name, value in row.items() if name not in ('label', 'group')}
                for row in csv.DictReader(lines)}


def family(feature):
    """"mfcc_12_mean": "mfcc_mean" """
    words = feature.split('_')
    return '_'.join(word for word in words if not word.isdigit())


def compare_features(cpu_file, gpu_file):
    """(passed, words, figures)"""
    cpu, gpu = read_features(cpu_file), read_features(gpu_file)
    if set(cpu) != set(gpu) or not cpu:
        return False, f'the CPU has {len(cpu)} clips, the GPU {len(gpu)}, or others', {}
    worst = {}  # by family: difference, clip, feature, both values
    chroma_clips = set()
    n_numbers = 0
    for clip, features in cpu.items():
        by_family = {}
        for feature, value in features.items():
            by_family.setdefault(family(feature), []).append((feature, value, gpu[clip][feature]))
        for name, values in by_family.items():
            spread = max(v for _, v, _ in values) - min(v for _, v, _ in values)
            n_numbers += len(values)
            for feature, ours, theirs in values:
                difference = abs(ours - theirs) / spread if spread > 0 else float(ours != theirs)
                if not difference <= FEATURE_TOLERANCE and name.startswith('chroma'):
                    chroma_clips.add(clip)
                elif not difference <= worst.get(name, (-1,))[0]:
                    worst[name] = (difference, clip, feature, ours, theirs)
    figures = {'n_clips': len(cpu), 'n_numbers': n_numbers, 'n_clips_of_another_tuning': len(chroma_clips),
               'worst_share_of_spread': {name: value[0] for name, value in worst.items()}}
    problems = [f'{feature} of {clip} is {theirs} on the GPU and {ours} on the CPU: {difference:.1e} of the spread'
                for difference, clip, feature, ours, theirs in worst.values() if not difference <= FEATURE_TOLERANCE]
    if len(chroma_clips) > CHROMA_SHARE * len(cpu):
        problems.append(f'chroma of {len(chroma_clips)} of {len(cpu)} clips differs, as if of another tuning')
    if problems:
        return False, '; '.join(problems), figures
    most = max((value[0] for value in worst.values()), default=0)
    return True, f'{n_numbers} features of {len(cpu)} clips: at most {most:.1e} of the spread', figures


def read_json(file):
    with open(file, encoding='utf-8') as text:
        return json.load(text)


def compare_probabilities(cpu_file, gpu_file):
    cpu, gpu = (read_json(file)['predictions'] for file in (cpu_file, gpu_file))
    if [each['path'] for each in cpu] != [each['path'] for each in gpu] or not cpu:
        return False, f'the CPU predicts {len(cpu)} clips, the GPU {len(gpu)}, or others', {}
    worst = max(((abs(value - theirs['probabilities'][label]), ours['path'], label, value, theirs['probabilities'][label])
                 for ours, theirs in zip(cpu, gpu) for label, value in ours['probabilities'].items()))
    figures = {'n_clips': len(cpu), 'worst_difference': worst[0]}
    if not worst[0] <= PROBABILITY_TOLERANCE:
        return False, f'{worst[1]}: {worst[2]} has {worst[4]} on the GPU and {worst[3]} on the CPU', figures
    return True, f'probabilities of {len(cpu)} clips: at most {worst[0]:.1e} apart', figures


def compare_accuracy(cpu_file, gpu_file):
    accuracies = {}
    for engine, file in (('cpu', cpu_file), ('gpu', gpu_file)):
        accuracies[engine] = {model['protocol']: model['accuracy'] for model in read_json(file)['models']}
    words = ', '.join(f'{protocol}: {100 * value:.1f} % on the CPU, {100 * accuracies["gpu"].get(protocol, float("nan")):.1f} % on the GPU'
                      for protocol, value in accuracies['cpu'].items())
    passed = bool(accuracies['cpu']) and all(abs(value - accuracies['gpu'].get(protocol, float('inf'))) <= ACCURACY_TOLERANCE
                                             for protocol, value in accuracies['cpu'].items())
    return passed, words, accuracies
