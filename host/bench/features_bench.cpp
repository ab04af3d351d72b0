#include <fcntl.h>
#include <sndfile.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <system_error>
#include <variant>

#include "host/audio/batch.hpp"
#include "host/audio/decode.hpp"
#include "host/bench/peers.hpp"
#include "host/bench/throughput.hpp"
#include "host/cache/extraction.hpp"
#include "host/core/clock.hpp"
#include "host/core/error.hpp"
#include "host/core/temporary_folder.hpp"
#include "host/features/feature_plan.hpp"

namespace melgrad {
namespace {

constexpr std::size_t peer_clips = 240;  // that a peer is timed with at most, each time

// So many clips at most, evenly spread.
Manifest spread(const Manifest& manifest, std::size_t max_clips) {
  Manifest some = manifest;
  const std::size_t n = std::min(manifest.clips.size(), max_clips);
  some.clips.clear();
  for (std::size_t i = 0; i < n; ++i) some.clips.push_back(manifest.clips[i * manifest.clips.size() / n]);
  return some;
}

// Writes them as PCM16 WAV files: every one of the peers can read these, and their decoding costs next to
// nothing.
Manifest write_wav_files(const Manifest& manifest, const std::filesystem::path& folder) {
  Manifest wav;
  wav.root = folder;
  for (Clip clip : manifest.clips) {
    Waveform waveform;
    try {
      waveform = decode_audio(manifest.file(clip));
    } catch (const Error&) {
      continue;  // a bench measures what can be measured
    }
    clip.path = fmt::format("{:05}.wav", wav.clips.size());
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

// Bytes of the clips' files and samples in them; a sample is two bytes.
struct DataSize {
  double seconds = 0, samples = 0, frames = 0, file_bytes = 0;
};
DataSize size_of(const Manifest& wav, const FeatureSpec& spec) {
  DataSize size;
  AudioDecoder decoder;
  Waveform waveform;
  for (const Clip& clip : wav.clips) {
    decoder.decode(wav.file(clip), waveform);
    size.seconds += waveform.duration_s();
    size.samples += static_cast<double>(waveform.n_samples());
    size.frames +=
        static_cast<double>(make_feature_plan(spec, waveform.sample_rate).n_frames(waveform.n_samples()));
    size.file_bytes += static_cast<double>(std::filesystem::file_size(wav.file(clip)));
  }
  return size;
}

// Asks the kernel to forget what it has of a file.
void forget(const std::filesystem::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail("{}: cannot be opened: {}", file.string(), std::system_category().message(errno));
  ::fsync(descriptor);
  ::posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
  ::close(descriptor);
}

// Of the notebook's set what torchaudio has.
FeatureSpec without_chroma(FeatureSpec spec) {
  std::erase_if(spec.descriptors,
                [](const auto& each) { return std::holds_alternative<ChromaStft>(each.descriptor); });
  spec.name = "mel and MFCC";
  return spec;
}

}  // namespace

BenchReport bench_features(const Manifest& manifest, const BenchOptions& options, Progress& progress) {
  const TemporaryFolder folder;
  progress.begin("features: writing WAV files", 0);
  const Manifest wav =
      write_wav_files(spread(manifest, static_cast<std::size_t>(options.max_clips)), folder.path());
  const auto n_clips = static_cast<double>(wav.clips.size());
  const FeatureSpec spec = feature_spec("notebook");
  const DataSize size = size_of(wav, spec);
  const auto row_bytes = static_cast<double>(n_features(spec) * Index{sizeof(float)});
  const std::vector<BenchEngine> engines = bench_engines(options);
  SilentProgress quiet(progress);
  BenchReport report;
  report.description = fmt::format("{} clips, {:.1f} s each on average, {} features", wav.clips.size(),
                                   size.seconds / n_clips, n_features(spec));

  const auto add = [&](const BenchEngine& engine, const std::string& work,
                       const Timing& timing) -> BenchRow& {
    BenchRow row = engine.row(work, n_clips, "clip");
    row.cpu_seconds = timing.cpu_seconds;
    row.wall_seconds = timing.wall_seconds;
    row.audio_seconds = size.seconds;
    row.n_samples = size.samples;
    row.bytes = 2 * size.samples + n_clips * row_bytes;
    return report.rows.emplace_back(std::move(row));
  };
  const auto cache = folder.path() / "features.h5";
  const auto end_to_end = [&](const Manifest& clips, Engine& engine, int n_threads,
                              const FeatureSpec& which) {
    std::filesystem::remove(cache);
    return extract_features(clips, which, engine, cache, {.n_threads = n_threads}, quiet).table.features;
  };

  progress.begin("features: end to end", 0);
  const std::string warm = "features: WAV file in the page cache to cached row";
  for (const BenchEngine& engine : engines) {
    const Timing timing =
        measure([&] { end_to_end(wav, *engine.engine, engine.n_threads, spec); }, options.repeats);
    add(engine, warm, timing);
    if (&engine != &engines.front())
      report.rows.back().note =
          fmt::format("{:.2f} times one thread by the clock",
                      report.rows.front().wall_seconds.median / timing.wall_seconds.median);
  }
  if (!options.python.empty()) {
    const BenchRow ours = report.rows.front();
    const Manifest some = spread(wav, peer_clips);
    Json request = {{"clips", Json::array()}};
    for (const Clip& clip : some.clips) request["clips"].push_back(some.file(clip).string());
    const FeatureSpec fewer = without_chroma(spec);
    const auto on_some = [&](const FeatureSpec& which) {
      return end_to_end(some, *engines.front().engine, 1, which);
    };
    const auto seconds_of_all = [&] { return cpu_seconds_of([&] { on_some(spec); }); };
    const auto seconds_of_fewer = [&] { return cpu_seconds_of([&] { on_some(fewer); }); };
    const std::array<PeerWork, 3> works = {{{"librosa", request, seconds_of_all},
                                            {"torch-features", request, seconds_of_all},
                                            {"torchaudio", request, seconds_of_fewer}}};
    const std::vector<PeerComparison> comparisons = compare_with_peers(
        options.python, works, folder.path(), options.repeats, options.least_peer_seconds, progress);
    const auto add_peer = [&](std::size_t i, const BenchRow& beside, const std::vector<double>& our_means) {
      report.rows.push_back(beside.of_peer(comparisons[i], static_cast<double>(some.clips.size()),
                                           works[i].name, agreement(our_means, comparisons[i].values)));
    };
    const std::vector<double> means = feature_means(on_some(spec));
    add_peer(0, ours, means);
    add_peer(1, ours, means);
    const BenchRow ours_of_fewer =
        add(engines.front(), "features: the same without chroma, which torchaudio lacks",
            measure([&] { end_to_end(wav, *engines.front().engine, 1, fewer); }, options.repeats));
    add_peer(2, ours_of_fewer, feature_means(on_some(fewer)));
  }

  progress.begin("features: cold", 0);
  for (const BenchEngine& engine : engines) {
    std::vector<double> cpu, wall;
    for (int repeat = 0; repeat < std::max(1, options.repeats); ++repeat) {
      for (const Clip& clip : wav.clips) forget(wav.file(clip));
      const double cpu_begin = process_cpu_seconds(), wall_begin = wall_seconds();
      const auto fresh = make_engine(engine.engine->name(), {.n_threads = engine.n_threads}).engine;
      end_to_end(wav, *fresh, engine.n_threads, spec);
      cpu.push_back(process_cpu_seconds() - cpu_begin);
      wall.push_back(wall_seconds() - wall_begin);
    }
    BenchRow& row =
        add(engine, "features: cold, with a new engine and files that the kernel was asked to forget",
            {median_range(cpu), median_range(wall)});
    row.note = fmt::format("{:.2f} s by the clock", row.wall_seconds.median);
  }

  progress.begin("features: stages", 0);
  AudioDecoder decoder;
  Waveform waveform;
  BenchRow& decoding = add(engines.front(), "features: decoding alone",
                           measure(
                               [&] {
                                 for (const Clip& clip : wav.clips) decoder.decode(wav.file(clip), waveform);
                               },
                               options.repeats));
  decoding.bytes = size.file_bytes + 2 * size.samples;
  for (const BenchEngine& engine : engines) {
    ResidentClips resident(wav, *engine.engine);
    BenchRow& row = add(engine,
                        engine.is_gpu ? "features: kernels alone, samples in the host's memory"
                                      : "features: kernels alone, samples in memory",
                        measure([&] { resident.extract(); }, options.repeats));
    row.flops = size.frames * real_fft_flops(spec.stft.n_fft);
    row.flops_are_ffts = true;
  }
  progress.end();
  return report;
}

}  // namespace melgrad
