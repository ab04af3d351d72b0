// Altered copies and speaker normalisation: what becomes of a data set.

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "host/core/error.hpp"
#include "host/data/altered_copies.hpp"
#include "host/data/dataset.hpp"
#include "host/data/speaker_normalisation.hpp"
#include "host/features/alterations.hpp"

using namespace melgrad;

namespace {

// Clip i is audio[i], has the label "a" or "b" in turns and the features (10 audio + offset, i % 3).
FeatureTable table_of(const std::vector<int>& audio, float offset,
                      const std::vector<std::string>& groups = {}) {
  FeatureTable table;
  table.columns = {"x", "y"};
  table.features = Matrix<float>(static_cast<Index>(audio.size()), 2);
  for (std::size_t i = 0; i < audio.size(); ++i) {
    const std::string label = i % 2 == 0 ? "a" : "b";
    table.clips.push_back({fmt::format("{}.wav", i), label, groups.empty() ? "" : groups[i], "", {}});
    table.audio_hash.push_back(fmt::format("hash {}", audio[i]));
    table.status.push_back("ok");
    table.duration_s.push_back(1);
    table.features(static_cast<Index>(i), 0) = static_cast<float>(10 * audio[i]) + offset;
    table.features(static_cast<Index>(i), 1) = static_cast<float>(i % 3);
  }
  return table;
}

}  // namespace

TEST_SUITE("altered_copies") {
  TEST_CASE("copies are found by their audio, wherever they lie, and originals stand in for refused ones") {
    Dataset dataset = make_dataset(table_of({1, 2, 3, 4}, 0));
    FeatureTable second = table_of({3, 1, 4, 2}, 0.5f);
    second.status[3] = "refused: too short";
    const std::vector copies = {table_of({4, 3, 2, 1}, 0.25f), second};
    CHECK(add_altered_copies(dataset, copies) == 1);
    CHECK(dataset.n_copies == 2);
    CHECK(dataset.versions.rows == 12);
    CHECK(dataset.n_rows() == 4);
    std::vector<float> x;
    for (Index row = 0; row < 12; ++row) x.push_back(dataset.all_versions()(row, 0));
    CHECK(x == std::vector<float>{10, 20, 30, 40, 10.25f, 20.25f, 30.25f, 40.25f, 10.5f, 20, 30.5f, 40.5f});
    const Dataset part = subset(dataset, std::vector{3, 1});
    CHECK(part.n_copies == 2);
    x.clear();
    for (Index row = 0; row < 6; ++row) x.push_back(part.all_versions()(row, 0));
    CHECK(x == std::vector<float>{40, 20, 40.25f, 20.25f, 40.5f, 20});
  }

  TEST_CASE("a data set without copies gives its originals to train on") {
    const Dataset dataset = make_dataset(table_of({1, 2, 3}, 0));
    CHECK(dataset.all_versions().rows == 3);
    CHECK(dataset.all_versions().data == dataset.features.values.data());
  }

  TEST_CASE("speakers are standardised each by their own clips, copies by the originals, strangers as one") {
    const std::vector<std::string> groups = {"p", "p", "q", "q", "", "", "p", "q", ""};
    Dataset dataset = make_dataset(table_of({1, 2, 3, 4, 5, 6, 7, 8, 9}, 0, groups));
    const Dataset before = dataset;
    const std::vector copies = {table_of({1, 2, 3, 4, 5, 6, 7, 8, 9}, 5, groups)};
    add_altered_copies(dataset, copies);
    normalise_speakers(dataset);
    CHECK(dataset.is_speaker_normalised);
    for (int group : {-1, 0, 1}) {
      double mean = 0, squares = 0, n = 0;
      for (std::size_t row = 0; row < 9; ++row)
        if (dataset.groups[row] == group)
          mean += static_cast<double>(before.features(static_cast<Index>(row), 0)), ++n;
      mean /= n;
      for (std::size_t row = 0; row < 9; ++row)
        if (dataset.groups[row] == group)
          squares += std::pow(static_cast<double>(before.features(static_cast<Index>(row), 0)) - mean, 2);
      const double std = std::sqrt(squares / n);
      for (Index row = 0; row < 9; ++row) {
        if (dataset.groups[static_cast<std::size_t>(row)] != group) continue;
        const double x = static_cast<double>(before.features(row, 0));
        CHECK(static_cast<double>(dataset.features(row, 0)) == doctest::Approx((x - mean) / std));
        CHECK(dataset.versions(row, 0) == dataset.features(row, 0));
        CHECK(static_cast<double>(dataset.versions(row + 9, 0)) == doctest::Approx((x + 5 - mean) / std));
      }
    }
  }

  TEST_CASE("copies have specifications, names and caches of their own") {
    const FeatureSpec spec = feature_spec("notebook");
    const std::vector<FeatureSpec> copies = altered_copies(spec);
    REQUIRE(copies.size() == 4);
    std::vector<std::string> names, files;
    for (const FeatureSpec& copy : copies) {
      names.push_back(alteration_name(copy));
      files.push_back(copy_file("results/features.h5", copy).string());
      CHECK(feature_spec_from_json(to_json(copy)) == copy);
      CHECK_FALSE(copy == spec);
      CHECK_THROWS_AS(altered_copies(copy), UsageError);
    }
    CHECK(names == std::vector<std::string>{"speed-0.9", "speed-1.1", "pitch-1.5", "pitch+1.5"});
    CHECK(files[0] == "results/features.speed-0.9.h5");
    CHECK(copies[0].name == "notebook, speed-0.9");
    CHECK(difference(spec, copies[3]) == "name \"notebook\" and \"notebook, pitch+1.5\"; pitch 0.0 and 1.5");
    CHECK(alteration_name(spec).empty());
    FeatureSpec both = spec;
    both.speed = 2;
    both.pitch = -12;
    CHECK(alteration_name(both) == "speed-2-pitch-12");
    both.pitch = -13;
    CHECK_THROWS_AS(check_feature_spec(both), UsageError);
  }
}
