#include "fuzz/targets.hpp"

#include <cmath>
#include <stdexcept>

#include "fuzz/hdf5_checksums.hpp"
#include "fuzz/memory_file.hpp"
#include "fuzz/seeds.hpp"
#include "host/audio/decode.hpp"
#include "host/audio/manifest.hpp"
#include "host/audio/naming.hpp"
#include "host/audio/utf8.hpp"
#include "host/cache/feature_cache.hpp"
#include "host/cache/journal.hpp"
#include "host/core/error.hpp"
#include "host/core/parse_json.hpp"
#include "host/features/feature_plan.hpp"
#include "host/models/model_file.hpp"
#include "host/models/search_grid.hpp"
#include "host/report/results.hpp"
#include "host/report/terminal.hpp"

namespace melgrad::fuzz {
namespace {

void require(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

// Reads, and takes refusal for an answer.
template <class Read>
void try_to(Read&& read) {
  try {
    read();
  } catch (const Error& error) {
    require(error.what()[0] != '\0', "an error without a word");
  }
}

void read_audio(std::string_view bytes) {
  const MemoryFile file(bytes);
  try_to([&] {
    const DecodeOptions options{.max_duration_s = 20};
    const Waveform waveform = decode_audio(file.path(), options);
    require(waveform.n_samples() > 0, "a waveform without samples");
    require(waveform.duration_s() <= options.max_duration_s, "a waveform over the limit");
    require(waveform.sample_rate >= min_sample_rate && waveform.sample_rate <= max_sample_rate,
            "a rate out of range");
    if (!waveform.is_int16)
      for (const float sample : waveform.float32)
        require(std::isfinite(sample), "a sample that is not finite");
  });
}

void read_cache_file(std::string_view bytes) {
  const MemoryFile file(bytes);
  try_to([&] {
    const FeatureTable table = read_feature_table(file.path());
    require(table.features.rows == table.n_clips(), "rows without clips");
    require(table.columns == feature_names(table.spec), "other columns than the features'");
  });
}

void read_cache(std::string_view bytes) {
  read_cache_file(bytes);
  read_cache_file(with_right_checksums(bytes));
}

void read_model_file(std::string_view bytes) {
  const MemoryFile file(bytes);
  try_to([&] {
    const Classifier classifier = load_classifier(file.path());
    require(classifier.labels.size() >= 2, "a classifier without labels");
  });
}

void read_model(std::string_view bytes) {
  read_model_file(bytes);
  read_model_file(with_right_checksums(bytes));
}

void read_journal(std::string_view bytes) {
  const MemoryFile file(bytes);
  try_to([&] {
    const Journal journal(file.path());
    require(journal.header() || journal.records().empty(), "records of nothing");
  });
}

void read_results_file(std::string_view bytes) {
  const MemoryFile file(bytes);
  try_to([&] {
    const Results results = read_results(file.path());
    require(!results_text(results, {}).empty(), "results without a word");
    require(to_json(results_from_json(to_json(results))) == to_json(results),
            "results that change when written");
  });
}

void read_feature_spec(std::string_view text) {
  try_to([&] {
    const FeatureSpec spec = feature_spec_from_json(parse_json(text));
    require(feature_spec_from_json(to_json(spec)) == spec, "a specification that changes when written");
    require(static_cast<Index>(feature_names(spec).size()) == n_features(spec), "features without names");
    // Larger tables are as sound, and take seconds.
    if (spec.stft.n_fft <= 2048) make_feature_plan(spec, spec.sample_rate > 0 ? spec.sample_rate : 16'000);
  });
}

void read_grid(std::string_view text) {
  try_to([&] {
    const std::vector<Candidate> candidates = parse_search_grid(text, "grid.toml", {});
    require(!candidates.empty() && candidates.size() <= most_candidates, "a grid of too few or too many");
  });
}

void read_manifest(std::string_view text) {
  const MemoryFile file(text);
  try_to([&] {
    for (const Clip& clip : read_csv_manifest(file.path()).clips)
      require(!clip.path.empty() && !clip.label.empty() && is_utf8(clip.path),
              "a clip without path or label");
  });
}

void read_pattern(std::string_view text) {
  const std::size_t line_end = std::min(text.find('\n'), text.size());
  try_to([&] {
    const NamePattern pattern{std::string(text.substr(0, line_end))};
    Clip clip;
    pattern.apply(text.substr(std::min(line_end + 1, text.size())), clip);
    require(!clip.label.empty(), "a label of nothing");
  });
}

const Target all_targets[] = {{"audio", read_audio, audio_seeds},
                              {"cache", read_cache, cache_seeds},
                              {"model", read_model, model_seeds},
                              {"journal", read_journal, journal_seeds},
                              {"results", read_results_file, results_seeds},
                              {"feature_spec", read_feature_spec, feature_spec_seeds},
                              {"grid", read_grid, grid_seeds},
                              {"manifest", read_manifest, manifest_seeds},
                              {"pattern", read_pattern, pattern_seeds}};

}  // namespace

std::span<const Target> targets() {
  return all_targets;
}

}  // namespace melgrad::fuzz
