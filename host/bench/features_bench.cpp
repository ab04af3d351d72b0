#include <sndfile.h>

#include <algorithm>
#include <cmath>

#include "host/audio/batch.hpp"
#include "host/audio/decode.hpp"
#include "host/bench/peers.hpp"
#include "host/bench/throughput.hpp"
#include "host/cache/extraction.hpp"
#include "host/core/error.hpp"
#include "host/core/parallel.hpp"

namespace melgrad {
namespace {

constexpr int peer_clips = 1200;  // that a peer is timed with at least, where there are enough repeats

// Writes up to max_clips clips, evenly spread over the manifest, as PCM16 WAV files: every one of the peers
// can read them, and their decoding costs next to nothing.
Manifest write_wav_files(const Manifest& manifest, int max_clips, const std::filesystem::path& folder) {
  const std::size_t n = std::min(manifest.clips.size(), static_cast<std::size_t>(std::max(1, max_clips)));
  Manifest wav;
  wav.root = folder;
  for (std::size_t i = 0; i < n; ++i) {
    Clip clip = manifest.clips[i * manifest.clips.size() / n];
    Waveform waveform;
    try {
      waveform = decode_audio(manifest.file(clip));
    } catch (const Error&) {
      continue;  // a bench measures what can be measured
    }
    clip.path = fmt::format("{:05}.wav", i);
    SF_INFO format{};
    format.samplerate = waveform.sample_rate;
    format.channels = 1;
    format.format = SF_FORMAT_WAV | SF_FORMAT_PCM_16;
    SNDFILE* file = sf_open((folder / clip.path).c_str(), SFM_WRITE, &format);
    if (file == nullptr)
      fail("{}: cannot be written: {}", (folder / clip.path).string(), sf_strerror(nullptr));
    if (waveform.is_int16)
      sf_writef_short(file, waveform.int16.data(), waveform.n_samples());
    else
      sf_writef_float(file, waveform.float32.data(), waveform.n_samples());
    if (sf_close(file) != 0) fail("{}: cannot be written", (folder / clip.path).string());
    wav.clips.push_back(std::move(clip));
  }
  if (wav.clips.empty()) fail("{}: no clip can be decoded", manifest.root.string());
  return wav;
}

// Features of clips that are in memory already, batch by batch of one sample rate.
class ResidentClips {
 public:
  ResidentClips(const Manifest& manifest, Engine& engine) {
    const FeatureSpec spec = feature_spec("notebook");
    AudioDecoder decoder;
    Waveform waveform;
    for (const Clip& clip : manifest.clips) {
      decoder.decode(manifest.file(clip), waveform);
      auto same_rate = std::find_if(parts_.begin(), parts_.end(), [&](const Part& part) {
        return part.sample_rate == waveform.sample_rate;
      });
      if (same_rate == parts_.end()) {
        parts_.push_back({waveform.sample_rate, {}, nullptr, {}});
        same_rate = parts_.end() - 1;
      }
      same_rate->batch.append(waveform);
    }
    for (Part& part : parts_) {
      part.extractor = engine.feature_extractor(make_feature_plan(spec, part.sample_rate));
      part.rows = Matrix<float>(part.batch.n_clips(), n_features(spec));
    }
  }
  void extract() {
    for (Part& part : parts_) part.extractor->extract(part.batch.view(), part.rows.view());
  }

 private:
  struct Part {
    int sample_rate;
    BatchBuilder batch;
    std::unique_ptr<FeatureExtractor> extractor;
    Matrix<float> rows;
  };
  std::vector<Part> parts_;
};

// Mean of each feature over the clips, and the largest deviation of a peer's from ours in parts of our
// feature family's spread, so that a peer that computed something else is seen.
std::vector<double> feature_means(const Matrix<float>& features) {
  std::vector<double> means(static_cast<std::size_t>(features.cols));
  for (Index row = 0; row < features.rows; ++row)
    for (Index col = 0; col < features.cols; ++col)
      means[static_cast<std::size_t>(col)] += features(row, col);
  for (double& mean : means) mean /= static_cast<double>(features.rows);
  return means;
}

std::string agreement(const std::vector<double>& ours, const std::vector<double>& theirs) {
  double worst = 0;
  for (std::size_t i = 0; i < std::min(ours.size(), theirs.size()); ++i)
    worst = std::max(worst, std::abs(ours[i] - theirs[i]) / std::max(1.0, std::abs(ours[i])));
  return fmt::format("mean features differ by {:.1e} at most", worst);
}

}  // namespace

BenchReport bench_features(const Manifest& manifest, const BenchOptions& options, Progress& progress) {
  const TemporaryFolder folder;
  const int n_threads = resolve_threads(options.n_threads);
  progress.begin("writing WAV files", 0);
  const Manifest wav = write_wav_files(manifest, options.max_clips, folder.path());
  const auto n_clips = static_cast<double>(wav.clips.size());
  const FeatureSpec spec = feature_spec("notebook");
  const auto one = make_engine(options.device, {.n_threads = 1}).engine;
  const auto many = make_engine(options.device, {.n_threads = n_threads}).engine;
  NoProgress quiet;
  BenchReport report;

  auto add = [&](std::string work, const Engine& engine, const Timing& timing) -> BenchRow& {
    return report.rows.emplace_back(
        BenchRow{.work = std::move(work),
                 .who = fmt::format("melgrad {} ({})", engine.name(), engine.description()),
                 .n_units = n_clips,
                 .unit = "clip",
                 .cpu_seconds = timing.cpu_seconds,
                 .wall_seconds = timing.wall_seconds});
  };

  Extraction extraction;
  const auto cache = folder.path() / "features.h5";
  auto end_to_end = [&](Engine& engine, int threads) {
    return measure(
        [&] {
          std::filesystem::remove(cache);
          extraction = extract_features(wav, spec, engine, cache, {.n_threads = threads}, quiet);
        },
        options.repeats);
  };
  progress.begin("features: end to end", 0);
  const Timing whole = end_to_end(*one, 1);
  add("features: WAV file to cached row", *one, whole);
  report.description = fmt::format("{} clips, {:.1f} s each on average, {} features", wav.clips.size(),
                                   extraction.report.audio_seconds / n_clips, n_features(spec));

  if (!options.python.empty()) {
    Json clips = Json::array();
    for (const Clip& clip : wav.clips) clips.push_back(wav.file(clip).string());
    // Peers take long, and over more clips their figures vary less.
    const int repeats = std::clamp(peer_clips / static_cast<int>(wav.clips.size()), 1, options.repeats);
    const Json request = {{"clips", clips}, {"repeats", repeats}};
    const auto ours = feature_means(extraction.table.features);
    for (const char* name : {"librosa", "torch-features"}) {
      progress.begin(fmt::format("features: {}", name), 0);
      const PeerResult peer = run_peer(options.python, name, request, folder.path());
      BenchRow row{.work = report.rows.front().work,
                   .who = fmt::format("{} {}", name, peer.version),
                   .missing = peer.missing,
                   .n_units = n_clips,
                   .unit = "clip",
                   .cpu_seconds = peer.cpu_seconds};
      if (peer.missing.empty()) {
        row.ratio = peer.cpu_seconds.median / whole.cpu_seconds.median;
        row.note = agreement(ours, peer.values);
      }
      report.rows.push_back(row);
    }
  }
  if (n_threads > 1) {
    const Timing timing = end_to_end(*many, n_threads);
    add(report.rows.front().work, *many, timing).note = fmt::format(
        "{:.2f} times one thread by the clock", whole.wall_seconds.median / timing.wall_seconds.median);
  }

  progress.begin("features: stages", 0);
  AudioDecoder decoder;
  Waveform waveform;
  add("features: decoding alone", *one,
      measure(
          [&] {
            for (const Clip& clip : wav.clips) decoder.decode(wav.file(clip), waveform);
          },
          options.repeats));
  ResidentClips alone(wav, *one);
  const Timing kernels = measure([&] { alone.extract(); }, options.repeats);
  add("features: kernels alone, samples in memory", *one, kernels);
  if (n_threads > 1) {
    ResidentClips shared(wav, *many);
    const Timing timing = measure([&] { shared.extract(); }, options.repeats);
    add("features: kernels alone, samples in memory", *many, timing).note = fmt::format(
        "{:.2f} times one thread by the clock", kernels.wall_seconds.median / timing.wall_seconds.median);
  }
  progress.end();
  return report;
}

}  // namespace melgrad
