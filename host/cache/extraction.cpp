#include "host/cache/extraction.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <exception>
#include <limits>
#include <map>
#include <mutex>
#include <new>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>

#include "host/audio/augment.hpp"
#include "host/audio/decode.hpp"
#include "host/audio/resample.hpp"
#include "host/cache/batch_queue.hpp"
#include "host/cache/file_stamp.hpp"
#include "host/cache/rate_extractors.hpp"
#include "host/cache/row_writer.hpp"
#include "host/core/error.hpp"
#include "host/core/parallel.hpp"
#include "host/core/thread_name.hpp"
#include "host/features/feature_plan.hpp"

namespace melgrad {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kBatchBytesPerThread = 1024 * 1024;
constexpr std::string_view kRefused = "refused: ";
constexpr std::chrono::milliseconds kProgressInterval{100};

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Of all threads of this process, seconds.
double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// What one of the working threads has for itself.
struct Worker {
  AudioDecoder decoder;
  std::optional<Resampler> resampler;
  Augmenter augmenter;
  Waveform waveform;
  // By sample rate; null where the engine is a device that clips have to be sent to.
  std::map<int, std::unique_ptr<FeatureExtractor>> extractors;

  explicit Worker(const FeatureSpec& spec) : augmenter(spec.speed, spec.pitch) {
    if (spec.sample_rate > 0) resampler.emplace(spec.sample_rate);
  }
};

// Everything that the threads of one extraction share. Rows of the table are written by one thread each.
class Run {
 public:
  Run(const Manifest& manifest, const FeatureSpec& spec, Engine& engine, const std::filesystem::path& file,
      const ExtractionOptions& options, Progress& progress);
  Extraction finish();

 private:
  // Working threads.
  void work();
  void do_clip(Index clip, Worker& worker);
  bool take_unchanged(Index clip, std::uint64_t stamp);
  bool decode(Index clip, std::uint64_t stamp, Worker& worker);
  void put_cached(Index clip, const FeatureCache::Row& cached);
  bool is_first_of_its_audio(Index clip, const std::string& hash);
  void extract_here(Index clip, const Waveform& waveform, FeatureExtractor& extractor);
  bool put_row(Index clip);
  void refuse(Index clip, std::string_view reason);
  // The calling thread.
  void extract_batches();
  [[noreturn]] void stop_here();
  void extract_batch(const DecodedBatch& batch);
  void copy_identical();
  void show_progress();
  ExtractionReport report() const;

  const Manifest& manifest_;
  const FeatureSpec& spec_;
  Engine& engine_;
  Progress& progress_;
  const ExtractionOptions options_;
  const int n_threads_;
  const Clock::time_point start_ = Clock::now();
  const double cpu_start_ = cpu_seconds();

  FeatureCache cache_;
  FeatureTable table_;
  RateExtractors extractors_;
  BatchQueue queue_;
  RowWriter writer_;

  std::atomic<Index> next_clip_{0}, n_done_{0};
  std::vector<char> is_cached_;  // [n_clips]: written by one thread each
  std::mutex mutex_;             // guards the next three while threads work
  std::unordered_map<std::string, Index> first_of_audio_;
  std::vector<std::pair<Index, Index>> identical_;  // clip and the first clip with its audio
  std::exception_ptr error_;

  Matrix<float> batch_rows_;
  bool was_stopped_ = false;
};

std::size_t batch_bytes(const ExtractionOptions& options, int n_threads) {
  return options.batch_bytes > 0 ? options.batch_bytes
                                 : kBatchBytesPerThread * static_cast<std::size_t>(n_threads);
}

Run::Run(const Manifest& manifest, const FeatureSpec& spec, Engine& engine, const std::filesystem::path& file,
         const ExtractionOptions& options, Progress& progress)
    : manifest_(manifest),
      spec_(spec),
      engine_(engine),
      progress_(progress),
      options_(options),
      n_threads_(resolve_threads(options.n_threads)),
      cache_(file, spec, progress, options.whole),
      table_(make_feature_table(spec, engine.name(),
                                static_cast<Index>(manifest.clips.size() + manifest.refused.size()))),
      extractors_(spec, engine),
      queue_(batch_bytes(options, n_threads_), n_threads_),
      writer_(cache_, table_, options.commit_interval_s) {
  table_.part = options.part;
  is_cached_.resize(table_.clips.size());
  std::ranges::copy(manifest.clips, table_.clips.begin());
  for (std::size_t i = 0; i < manifest.refused.size(); ++i) {
    const auto row = static_cast<Index>(manifest.clips.size() + i);
    table_.clips[static_cast<std::size_t>(row)].path = manifest.refused[i].path;
    refuse(row, manifest.refused[i].reason);
  }
  // A rate of the user's choice that suits no plan is the user's error, not that of every clip.
  if (spec.sample_rate > 0) extractors_.at(spec.sample_rate);
}

void Run::refuse(Index clip, std::string_view reason) {
  table_.status[static_cast<std::size_t>(clip)] = fmt::format("{}{}", kRefused, reason);
  table_.audio_hash[static_cast<std::size_t>(clip)].clear();
  table_.file_stamp[static_cast<std::size_t>(clip)] = 0;
  table_.duration_s[static_cast<std::size_t>(clip)] = 0;
  std::ranges::fill(table_.features.row(clip), std::numeric_limits<float>::quiet_NaN());
  ++n_done_;
}

bool Run::is_first_of_its_audio(Index clip, const std::string& hash) {
  const std::lock_guard lock(mutex_);
  const auto [first, is_first] = first_of_audio_.try_emplace(hash, clip);
  if (!is_first) identical_.emplace_back(clip, first->second);
  return is_first;
}

void Run::put_cached(Index clip, const FeatureCache::Row& cached) {
  const auto i = static_cast<std::size_t>(clip);
  std::ranges::copy(cached.features, table_.features.row(clip).begin());
  table_.status[i] = "ok";
  is_cached_[i] = true;
  ++n_done_;
}

// A row of the cache by the clip's path, if the file is still the one that was read then.
bool Run::take_unchanged(Index clip, std::uint64_t stamp) {
  const auto i = static_cast<std::size_t>(clip);
  const auto cached = cache_.find_file(manifest_.clips[i].path, stamp);
  if (!cached) return false;
  table_.audio_hash[i] = cached->audio_hash;
  table_.duration_s[i] = cached->duration_s;
  table_.file_stamp[i] = stamp;
  put_cached(clip, *cached);
  return true;
}

// Fills worker.waveform. Whether the clip is to be extracted: not if its audio is known already.
bool Run::decode(Index clip, std::uint64_t stamp, Worker& worker) {
  const auto i = static_cast<std::size_t>(clip);
  const auto file = manifest_.file(manifest_.clips[i]);
  Waveform& waveform = worker.waveform;
  worker.decoder.decode(file, waveform);
  // A file that changed while it was read is of an age that has no stamp, or of another stamp.
  if (file_stamp(file, options_.min_file_age_s) == stamp) table_.file_stamp[i] = stamp;
  table_.audio_hash[i] = audio_hash(waveform);
  table_.duration_s[i] = waveform.duration_s();
  if (const auto cached = cache_.find(table_.audio_hash[i])) {
    put_cached(clip, *cached);
    return false;
  }
  if (!is_first_of_its_audio(clip, table_.audio_hash[i])) return false;
  if (worker.resampler) worker.resampler->resample(waveform);
  worker.augmenter.apply(waveform);
  extractors_.check_length(waveform.sample_rate, waveform.n_samples());
  return true;
}

void Run::do_clip(Index clip, Worker& worker) {
  const Waveform& waveform = worker.waveform;
  try {
    const auto file = manifest_.file(manifest_.clips[static_cast<std::size_t>(clip)]);
    const std::uint64_t stamp = file_stamp(file, options_.min_file_age_s);
    if (take_unchanged(clip, stamp) || !decode(clip, stamp, worker)) return;
  } catch (const Error& error) {
    return refuse(clip, error.what());
  } catch (const std::bad_alloc&) {
    return refuse(clip, "needs more memory than there is");
  }
  auto [own, is_new] = worker.extractors.try_emplace(waveform.sample_rate);
  if (is_new) own->second = extractors_.at(waveform.sample_rate).for_another_thread();
  if (own->second)
    extract_here(clip, waveform, *own->second);
  else
    queue_.append(clip, waveform);
}

// While the samples are still in the core's cache.
void Run::extract_here(Index clip, const Waveform& waveform, FeatureExtractor& extractor) {
  const std::array<Index, 2> offsets{0, waveform.n_samples()};
  extractor.extract({waveform.sample_rate, waveform.samples(), offsets},
                    table_.features.view().rows_from(clip, 1));
  if (put_row(clip)) writer_.push({&clip, 1});
}

void Run::work() {
  try {
    Worker worker(spec_);
    const auto n_clips = static_cast<Index>(manifest_.clips.size());
    for (Index clip = next_clip_++; clip < n_clips && !queue_.is_stopped(); clip = next_clip_++)
      do_clip(clip, worker);
  } catch (...) {
    const std::lock_guard lock(mutex_);
    error_ = std::current_exception();
    queue_.stop();
  }
  queue_.producer_is_done();
}

// Whether the clip's row, now in the table, holds features; else it is refused.
bool Run::put_row(Index clip) {
  const auto row = std::as_const(table_.features).row(clip);
  const auto bad = std::ranges::find_if_not(row, [](float value) { return std::isfinite(value); });
  if (bad != row.end()) {
    refuse(clip, fmt::format("its feature {} is {}",
                             table_.columns[static_cast<std::size_t>(bad - row.begin())], *bad));
    return false;
  }
  table_.status[static_cast<std::size_t>(clip)] = "ok";
  ++n_done_;
  return true;
}

void Run::extract_batch(const DecodedBatch& batch) {
  const WaveformBatch waveforms = batch.samples.view();
  const auto n_clips = static_cast<Index>(batch.clips.size());
  if (batch_rows_.rows < n_clips) batch_rows_ = Matrix<float>(n_clips, table_.features.cols);
  extractors_.at(waveforms.sample_rate).extract(waveforms, batch_rows_.view().rows_from(0, n_clips));
  std::vector<Index> finished;
  finished.reserve(batch.clips.size());
  for (Index i = 0; i < n_clips; ++i) {
    const Index clip = batch.clips[static_cast<std::size_t>(i)];
    std::ranges::copy(std::as_const(batch_rows_).row(i), table_.features.row(clip).begin());
    if (put_row(clip)) finished.push_back(clip);
  }
  writer_.push(finished);
}

void Run::extract_batches() {
  auto last_shown = start_;
  while (!queue_.is_drained()) {
    if (auto batch = queue_.take(kProgressInterval)) {
      extract_batch(*batch);
      queue_.give_back(std::move(batch));
    }
    if (progress_.stop_asked()) {
      was_stopped_ = true;
      queue_.stop();
    }
    if (Clock::now() - last_shown < kProgressInterval) continue;
    show_progress();
    last_shown = Clock::now();
  }
}

// Once the threads have ended: what they finished is committed, for the next run.
void Run::stop_here() {
  writer_.finish(true);
  progress_.end();
  progress_.warn(
      fmt::format("interrupted: {} of {} clips are done, and what was computed is kept for the next run",
                  Index{n_done_}, table_.n_clips()));
  throw Interrupted();
}

void Run::show_progress() {
  const Index n_done = n_done_;
  progress_.update(n_done,
                   fmt::format("{:.0f} clips/s", static_cast<double>(n_done) / seconds_since(start_)));
}

void Run::copy_identical() {
  for (const auto& [clip, first] : identical_) {
    const auto to = static_cast<std::size_t>(clip), from = static_cast<std::size_t>(first);
    table_.status[to] = table_.status[from];
    table_.audio_hash[to] = table_.audio_hash[from];
    table_.duration_s[to] = table_.duration_s[from];
    if (!table_.is_ok(clip)) table_.file_stamp[to] = 0;
    std::ranges::copy(std::as_const(table_.features).row(first), table_.features.row(clip).begin());
    ++n_done_;
  }
}

Extraction Run::finish() {
  progress_.begin("features", table_.n_clips());
  {
    std::vector<std::jthread> workers;
    workers.reserve(static_cast<std::size_t>(n_threads_));
    struct StopAtEnd {  // before the threads are joined, whatever is thrown here
      BatchQueue& queue;
      ~StopAtEnd() { queue.stop(); }
    } stop_at_end{queue_};
    for (int i = 0; i < n_threads_; ++i)
      workers.emplace_back([this, i] {
        name_this_thread(fmt::format("decode {}", i));
        work();
      });
    extract_batches();
  }
  if (error_) std::rethrow_exception(error_);
  if (was_stopped_) stop_here();
  copy_identical();
  writer_.finish(false);
  const bool any_cached = std::ranges::find(is_cached_, true) != is_cached_.end();
  std::set<std::string> engines = any_cached ? cache_.engines() : std::set<std::string>();
  if (!any_cached || !first_of_audio_.empty()) engines.emplace(engine_.name());
  table_.engine = fmt::format("{}", fmt::join(engines, ", "));
  cache_.finish(table_);
  show_progress();
  progress_.end();
  ExtractionReport done = report();
  return {std::move(table_), std::move(done)};
}

ExtractionReport Run::report() const {
  ExtractionReport report;
  report.n_clips = table_.n_clips();
  for (std::size_t i = 0; i < table_.clips.size(); ++i) {
    report.audio_seconds += table_.duration_s[i];
    report.n_cached += is_cached_[i];
    if (is_cached_[i]) report.cached_audio_seconds += table_.duration_s[i];
    if (table_.is_ok(static_cast<Index>(i))) continue;
    report.refused.push_back({table_.clips[i].path, table_.status[i].substr(kRefused.size())});
  }
  report.n_refused = static_cast<Index>(report.refused.size());
  for (const auto& [clip, first] : identical_) report.n_identical += table_.is_ok(clip);
  report.n_computed = report.n_clips - report.n_refused - report.n_cached - report.n_identical;
  report.seconds = seconds_since(start_);
  report.cpu_seconds = cpu_seconds() - cpu_start_;
  return report;
}

}  // namespace

Extraction extract_features(const Manifest& manifest, const FeatureSpec& spec, Engine& engine,
                            const std::filesystem::path& file, const ExtractionOptions& options,
                            Progress& progress) {
  return Run(manifest, spec, engine, file, options, progress).finish();
}

}  // namespace melgrad
