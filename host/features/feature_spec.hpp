#pragma once
// What to compute of a recording: librosa's parameters and names. A FeatureSpec travels inside every cache
// and every model, as JSON; two that differ are never mixed.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <variant>
#include <vector>

#include "host/core/fields.hpp"
#include "host/core/matrix.hpp"
#include "host/features/speech_groups.hpp"

namespace melgrad {

enum class Window { hann, hamming, blackman, ones };
enum class PadMode { constant, reflect, edge };
enum class Functional { mean, std };

template <>
inline constexpr auto enum_names<Window> = std::array{"hann", "hamming", "blackman", "ones"};
template <>
inline constexpr auto enum_names<PadMode> = std::array{"constant", "reflect", "edge"};
template <>
inline constexpr auto enum_names<Functional> = std::array{"mean", "std"};

// librosa.stft
struct StftSpec {
  int n_fft = 2048;
  int hop_length = 512;
  int win_length = 0;  // 0: n_fft
  Window window = Window::hann;
  bool center = true;
  PadMode pad_mode = PadMode::constant;  // librosa's default since 0.10

  static constexpr auto fields() {
    return std::tuple{field("n_fft", &StftSpec::n_fft, "samples in a transform", 16, 65536),
                      field("hop_length", &StftSpec::hop_length, "samples from frame to frame", 1, 65536),
                      field("win_length", &StftSpec::win_length, "samples in a window; 0: n_fft", 0, 65536),
                      field("window", &StftSpec::window, "window function, periodic"),
                      field("center", &StftSpec::center, "frame t is centred at t * hop_length"),
                      field("pad_mode", &StftSpec::pad_mode, "what lies beyond the ends of a centred clip")};
  }
  bool operator==(const StftSpec&) const = default;
};

// librosa.feature.chroma_stft(S=|STFT|): a magnitude, not a power spectrum
struct ChromaStft {
  static constexpr auto name = "chroma_stft";
  int n_chroma = 12;
  std::optional<double> tuning;  // in fractions of a bin; absent: estimated for each clip, as librosa does

  static constexpr auto fields() {
    return std::tuple{field("n_chroma", &ChromaStft::n_chroma, "chroma bins in an octave", 1, 96),
                      field("tuning", &ChromaStft::tuning, "in bins; null: estimated for each clip", -1, 1)};
  }
  bool operator==(const ChromaStft&) const = default;
};

// librosa.feature.melspectrogram
struct MelSpectrogram {
  static constexpr auto name = "melspectrogram";
  int n_mels = 128;
  double fmin = 0;
  double fmax = 0;  // Hz; 0: sample_rate / 2
  bool htk = false;
  double power = 2;

  static constexpr auto fields() {
    return std::tuple{
        field("n_mels", &MelSpectrogram::n_mels, "mel bands", 1, 1024),
        field("fmin", &MelSpectrogram::fmin, "lowest frequency in Hz", 0, 1e6),
        field("fmax", &MelSpectrogram::fmax, "highest frequency in Hz; 0: sample_rate / 2", 0, 1e6),
        field("htk", &MelSpectrogram::htk, "HTK's mel formula instead of Slaney's"),
        field("power", &MelSpectrogram::power, "of the magnitude: 1 or 2", 1, 2)};
  }
  bool operator==(const MelSpectrogram&) const = default;
};

// librosa.feature.mfcc: DCT-II (ortho) of power_to_db of a mel spectrogram of its own
struct Mfcc {
  static constexpr auto name = "mfcc";
  int n_mfcc = 20;
  int n_mels = 128;
  double fmin = 0;
  double fmax = 0;
  bool htk = false;
  double amin = 1e-10;
  double ref = 1;
  double top_db = 80;  // below the clip's own maximum

  static constexpr auto fields() {
    return std::tuple{field("n_mfcc", &Mfcc::n_mfcc, "coefficients", 1, 1024),
                      field("n_mels", &Mfcc::n_mels, "mel bands", 1, 1024),
                      field("fmin", &Mfcc::fmin, "lowest frequency in Hz", 0, 1e6),
                      field("fmax", &Mfcc::fmax, "highest frequency in Hz; 0: sample_rate / 2", 0, 1e6),
                      field("htk", &Mfcc::htk, "HTK's mel formula instead of Slaney's"),
                      field("amin", &Mfcc::amin, "least power before the logarithm", 1e-30, 1),
                      field("ref", &Mfcc::ref, "power of 0 dB", 1e-30, 1e30),
                      field("top_db", &Mfcc::top_db, "dB below the clip's maximum that are kept", 0, 1000)};
  }
  bool operator==(const Mfcc&) const = default;
};

// librosa.feature.rms(y=y, frame_length=n_fft): of the samples of a frame as they are, without the window
struct Rms {
  static constexpr auto name = "rms";

  static constexpr auto fields() { return std::tuple{}; }
  bool operator==(const Rms&) const = default;
};

// What a speaker does with voice, mouth and time: values of whole clips, see speech_groups.hpp. The clip
// is cut where it rises to 40 dB below its loudest frame and where it falls below. Stands alone in a
// FeatureSpec, at 16 kHz, with the transform of speech_stft().
struct Speech {
  static constexpr auto name = "speech";
  std::vector<SpeechGroup> groups = all_speech_groups();

  static constexpr auto fields() {
    return std::tuple{field("groups", &Speech::groups, "groups of values, in their order")};
  }
  bool operator==(const Speech&) const = default;
};

inline constexpr int speech_sample_rate = 16000;

// Frames of 25 ms every 10 ms, not centred.
StftSpec speech_stft();

// One descriptor and the functionals over its frames; with k functionals it gives k * n_values features,
// functional by functional. Speech has no functionals: its list is empty.
struct DescriptorSpec {
  std::variant<ChromaStft, MelSpectrogram, Mfcc, Rms, Speech> descriptor;
  std::vector<Functional> functionals = {Functional::mean};
  bool operator==(const DescriptorSpec&) const = default;
};

// Sample rates in Hz that features are computed at.
inline constexpr int least_sample_rate = 1000;
inline constexpr int greatest_sample_rate = 768000;

struct FeatureSpec {
  std::string name;     // "notebook", "speech", or a name of the user's
  int sample_rate = 0;  // Hz to resample to; 0: each file's own
  double speed = 1;     // of altered recordings: played so much faster, at another pitch
  double pitch = 0;     // of altered recordings: semitones up, at the same speed
  StftSpec stft;
  std::vector<DescriptorSpec> descriptors;
  bool operator==(const FeatureSpec&) const = default;
};

// A named set ("notebook", "speech") or, if it ends in .json, a file in the format of to_json. Throws
// UsageError with the file's name, the field and the value that is wrong.
FeatureSpec feature_spec(const std::string& name_or_file);

// {"name": .., "sample_rate": .., "speed": .., "pitch": .., "stft": {..}, "descriptors": [{"kind": "mfcc",
// .., "functionals":
// ["mean"]}, ..]}. Canonical: equal specs have equal text.
Json to_json(const FeatureSpec& spec);
// Absent fields have their defaults. Throws UsageError for what check_feature_spec refuses, too.
FeatureSpec feature_spec_from_json(const Json& json);

// Throws UsageError where fields contradict each other or are outside their limits: win_length over n_fft,
// n_mfcc over n_mels, fmin not below fmax, nothing to compute, speech with a companion or another transform.
void check_feature_spec(const FeatureSpec& spec);

// Values in a frame: n_chroma, n_mels, n_mfcc or 1; of speech, values of a clip.
Index n_values(const DescriptorSpec& descriptor);
Index n_features(const FeatureSpec& spec);
// [n_descriptors]: "mfcc"; the second of a kind is "mfcc.2".
std::vector<std::string> descriptor_names(const FeatureSpec& spec);
// [n_features], each once: "mfcc_0_mean", "speech_mfcc_0_mean"
std::vector<std::string> feature_names(const FeatureSpec& spec);
// Where two specs differ, for messages: "hop_length 512 and 256"; empty where they are equal.
std::string difference(const FeatureSpec& a, const FeatureSpec& b);

}  // namespace melgrad
