#include <sndfile.h>

#include <array>
#include <cmath>
#include <cstdint>

#include "host/bench/throughput.hpp"
#include "host/core/error.hpp"
#include "host/core/parallel.hpp"
#include "host/core/philox.hpp"
#include "host/engine/cuda_status.hpp"

namespace melgrad {

std::string BenchEngine::who() const {
  return fmt::format("melgrad {} ({})", engine->name(), engine->description());
}

BenchRow BenchEngine::row(std::string work, double n_units, std::string unit) const {
  return {.work = std::move(work),
          .who = who(),
          .n_units = n_units,
          .unit = std::move(unit),
          .n_threads = is_gpu ? 0 : n_threads};
}

std::vector<BenchEngine> bench_engines(const BenchOptions& options) {
  const int n_threads = resolve_threads(options.n_threads);
  std::vector<BenchEngine> engines;
  const auto add = [&](const std::string& device, int threads) {
    engines.push_back(
        {make_engine(device, {.n_threads = threads}).engine, threads, device.starts_with("cuda")});
  };
  add("cpu", 1);
  if (n_threads > 1) add("cpu", n_threads);
  if (options.device == "auto") {
    for (const CudaDevice& device : cuda_status().devices)
      if (device.why_not.empty()) add(fmt::format("cuda:{}", device.index), n_threads);
  } else if (options.device != "cpu") {
    add(options.device, n_threads);
  }
  return engines;
}

Manifest synthetic_recordings(const std::filesystem::path& folder, int n_clips) {
  constexpr int sample_rate = 48'000, n_samples = 37 * sample_rate / 10;
  constexpr std::array labels = {"low", "mid", "high", "top"};
  Manifest manifest;
  manifest.root = folder;
  manifest.labels_from = "synthetic";
  for (int clip = 0; clip < n_clips; ++clip) {
    const int label = clip % 4, speaker = clip / 4 % 6;
    PhiloxSequence random(static_cast<std::uint64_t>(clip), RandomStream::split);
    const double pitch_hz =
        140.0 * std::pow(2.1, label) * (1 + 0.03 * speaker) * (1 + 0.01 * random.next_uniform01());
    std::vector<std::int16_t> samples(n_samples);  // silent at both ends, as recordings are
    for (int i = n_samples / 6; i < n_samples * 5 / 6; ++i) {
      const double phase = 6.283185307179586 * pitch_hz * i / sample_rate;
      const double tone = std::sin(phase) + 0.5 * std::sin(2 * phase) + 0.3 * std::sin(3 * phase);
      samples[static_cast<std::size_t>(i)] =
          static_cast<std::int16_t>(6000 * tone + 900 * (random.next_uniform01() - 0.5));
    }
    Clip& added = manifest.clips.emplace_back();
    added.path = fmt::format("{:05}.wav", clip);
    added.label = labels[static_cast<std::size_t>(label)];
    added.group = fmt::format("s{}", speaker);
    SF_INFO format{};
    format.samplerate = sample_rate;
    format.channels = 1;
    format.format = SF_FORMAT_WAV | SF_FORMAT_PCM_16;
    SNDFILE* file = sf_open((folder / added.path).c_str(), SFM_WRITE, &format);
    if (file == nullptr)
      fail("{}: cannot be written: {}", (folder / added.path).string(), sf_strerror(nullptr));
    const sf_count_t n_written = sf_writef_short(file, samples.data(), n_samples);
    if (sf_close(file) != 0 || n_written != n_samples)
      fail("{}: cannot be written", (folder / added.path).string());
  }
  return manifest;
}

}  // namespace melgrad
