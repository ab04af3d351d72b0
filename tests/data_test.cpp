#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "host/core/error.hpp"
#include "host/core/philox.hpp"
#include "host/data/dataset.hpp"
#include "host/data/splits.hpp"
#include "host/data/standard_scaler.hpp"

using namespace melgrad;

namespace {

struct Row {
  std::string label;
  std::string group;
  std::string audio;
  std::string sex;
  std::string split;
};

FeatureTable table_of(const std::vector<Row>& rows) {
  FeatureTable table;
  table.columns = {"x"};
  table.features = Matrix<float>(static_cast<Index>(rows.size()), 1);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Clip clip{fmt::format("{}.wav", i), rows[i].label, rows[i].group, rows[i].split, {}};
    if (!rows[i].sex.empty()) clip.attributes["sex"] = rows[i].sex;
    table.clips.push_back(clip);
    table.audio_hash.push_back(rows[i].audio.empty() ? fmt::format("hash {}", i) : rows[i].audio);
    table.status.push_back("ok");
    table.duration_s.push_back(1.5);
    table.features(static_cast<Index>(i), 0) = static_cast<float>(i);
  }
  return table;
}

Dataset dataset_of(const std::vector<Row>& rows) {
  return make_dataset(table_of(rows));
}

// Data sets that the world may bring, each a name and its rows.
std::map<std::string, std::vector<Row>> awkward_datasets() {
  std::map<std::string, std::vector<Row>> sets;
  for (int actor = 1; actor <= 20; ++actor)
    for (int clip = 0; clip < 60; ++clip)
      sets["ravdess"].push_back({fmt::format("emotion {}", clip % 15 / 2), fmt::format("{:02}", actor), "",
                                 actor % 2 ? "male" : "female", ""});
  for (int i = 0; i < 5; ++i) sets["one clip per class"].push_back({fmt::format("{}", i), "", "", "", ""});
  for (int i = 0; i < 21; ++i)
    sets["one class with a single clip"].push_back({i == 7 ? "rare" : i % 2 ? "a" : "b", "", "", "", ""});
  for (int i = 0; i < 30; ++i)
    sets["two speakers"].push_back({fmt::format("{}", i % 3), i % 2 ? "anna" : "bert", "", "", ""});
  for (int i = 0; i < 12; ++i)
    sets["all duplicates"].push_back({i % 2 ? "a" : "b", i % 3 ? "x" : "y", "same", "", ""});
  for (int i = 0; i < 40; ++i)
    sets["every clip twice, by two speakers"].push_back(
        {i % 4 < 2 ? "a" : "b", fmt::format("{}", i % 5), fmt::format("audio {}", i / 2), "", ""});
  for (int i = 0; i < 50; ++i)
    sets["some speakers unknown"].push_back(
        {i % 2 ? "a" : "b", i % 3 ? fmt::format("{}", i % 7) : "", "", i % 7 < 2 ? "male" : "", ""});
  for (int i = 0; i < 120; ++i)
    sets["sixty labels"].push_back({fmt::format("{}", i % 60), fmt::format("{}", i % 7), "", "", ""});
  for (int i = 0; i < 1000; ++i)
    sets["one huge class"].push_back({i < 990 ? "big" : "small", fmt::format("{}", i % 30), "", "", ""});
  return sets;
}

void check_division(const Dataset& dataset, const Split& split) {
  std::vector<int> all;
  for (const auto* side : {&split.train, &split.test, &split.left_out}) {
    CHECK(std::ranges::is_sorted(*side));
    all.insert(all.end(), side->begin(), side->end());
  }
  std::ranges::sort(all);
  std::vector<int> every_row(static_cast<std::size_t>(dataset.n_rows()));
  std::iota(every_row.begin(), every_row.end(), 0);
  CHECK(all == every_row);
  CHECK_FALSE(split.train.empty());
  CHECK_FALSE(split.test.empty());
  std::set<int> tested;
  for (const int row : split.test) tested.insert(dataset.audio[static_cast<std::size_t>(row)]);
  for (const int row : split.train)
    CHECK_FALSE(tested.contains(dataset.audio[static_cast<std::size_t>(row)]));
}

// Distinct recordings of each label among the rows.
std::map<int, int> recordings_per_label(const Dataset& dataset, const std::vector<int>& rows) {
  std::map<int, int> first_label_of_audio, counts;
  for (std::size_t row = 0; row < dataset.labels.size(); ++row)
    first_label_of_audio.try_emplace(dataset.audio[row], dataset.labels[row]);
  std::set<int> audio;
  for (const int row : rows) audio.insert(dataset.audio[static_cast<std::size_t>(row)]);
  for (const int each : audio) ++counts[first_label_of_audio[each]];
  return counts;
}

std::vector<int> all_rows(const Dataset& dataset) {
  std::vector<int> rows(static_cast<std::size_t>(dataset.n_rows()));
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

}  // namespace

TEST_SUITE("data") {
  TEST_CASE("a data set has sorted labels and groups, and duplicates share an audio id") {
    const Dataset dataset = dataset_of({{"sad", "2", "p", "", ""},
                                        {"angry", "10", "q", "", ""},
                                        {"sad", "", "p", "", ""},
                                        {"calm", "2", "r", "", ""}});
    CHECK(dataset.label_names == std::vector<std::string>{"angry", "calm", "sad"});
    CHECK(dataset.labels == std::vector<int>{2, 0, 2, 1});
    CHECK(dataset.group_names == std::vector<std::string>{"10", "2"});
    CHECK(dataset.groups == std::vector<int>{1, 0, -1, 1});
    CHECK(dataset.audio == std::vector<int>{0, 1, 0, 2});
    CHECK(dataset.audio_hash == std::vector<std::string>{"p", "q", "r"});
  }

  TEST_CASE("refused rows are dropped and named with their reason") {
    FeatureTable table = table_of({{"a", "", "", "", ""},
                                   {"b", "", "", "", ""},
                                   {"a", "", "", "", ""},
                                   {"", "", "", "", ""},
                                   {"c", "", "", "", ""}});
    table.status[2] = "refused: the file is empty";
    table.features(2, 0) = NAN;
    table.features(4, 0) = INFINITY;
    const Dataset dataset = make_dataset(table);
    CHECK(dataset.n_rows() == 2);
    CHECK(dataset.features.values == std::vector<float>{0, 1});
    CHECK(dataset.label_names == std::vector<std::string>{"a", "b"});
    CHECK(dataset.refused == std::vector<Refusal>{{"2.wav", "the file is empty"},
                                                  {"3.wav", "no label"},
                                                  {"4.wav", "feature x is inf"}});
  }

  TEST_CASE("fewer than two labels are an error that says what was found") {
    CHECK_THROWS_WITH_AS(make_dataset(table_of({})), "no usable clips", Error);
    FeatureTable table = table_of({{"a", "", "", "", ""}, {"a", "", "", "", ""}, {"b", "", "", "", ""}});
    table.status[2] = "refused: silence";
    CHECK_THROWS_WITH_AS(
        make_dataset(table),
        "all 2 usable clips (1 were refused) are labelled 'a'; to learn to tell labels apart "
        "takes clips of at least 2",
        Error);
    CHECK(make_dataset(table, 1).n_rows() == 2);
  }

  TEST_CASE("the scaler takes the population's deviation, over its rows alone") {
    Matrix<float> features(4, 3);
    features.values = {1,  5, 3e8f,   //
                       2,  5, 3e8f,   //
                       4,  5, 3e8f,   //
                       99, 7, 1e9f};  // not fitted
    const FeatureScaling scaling = fit_standard_scaler(features.view(), std::vector<int>{0, 1, 2});
    CHECK(scaling.mean[0] == doctest::Approx(7.0 / 3));
    CHECK(scaling.scale[0] == doctest::Approx(std::sqrt(14.0 / 9)));  // numpy.std([1, 2, 4])
    CHECK(scaling.mean[1] == 5);
    CHECK(scaling.scale[1] == 1);
    CHECK(scaling.scale[2] == 1);
  }

  TEST_CASE("a constant that double cannot hold exactly has scale 1") {
    Matrix<float> features(1000, 1);
    std::ranges::fill(features.values, 0.1f);
    std::vector<int> rows(1000);
    std::iota(rows.begin(), rows.end(), 0);
    const FeatureScaling scaling = fit_standard_scaler(features.view(), rows);
    CHECK(scaling.mean[0] == 0.1f);
    CHECK(scaling.scale[0] == 1);
  }

  TEST_CASE("random splits are whole divisions that keep the shares of the labels") {
    for (const auto& [name, rows] : awkward_datasets()) {
      CAPTURE(name);
      const Dataset dataset = dataset_of(rows);
      const auto total = recordings_per_label(dataset, all_rows(dataset));
      const auto n_recordings = static_cast<double>(dataset.audio_hash.size());
      for (const double fraction : {0.05, 0.2, 0.5, 0.9}) {
        for (std::int64_t seed = 0; seed < 10; ++seed) {
          const SplitPlan plan = random_splits(dataset, 3, fraction, seed);
          if (name == "one clip per class" || name == "all duplicates") {
            CHECK(plan.splits.empty());
            CHECK_FALSE(plan.why_not.empty());
            continue;
          }
          REQUIRE(plan.splits.size() == 3);
          for (const Split& split : plan.splits) {
            check_division(dataset, split);
            CHECK(split.left_out.empty());
            auto tested = recordings_per_label(dataset, split.test);
            const double share = std::ceil(fraction * n_recordings) / n_recordings;
            for (const auto& [label, count] : total) {
              CHECK(std::abs(tested[label] - share * count) <= 1);
              CHECK(tested[label] < count);  // something is left to train on
            }
          }
        }
      }
    }
  }

  TEST_CASE("random splits test exactly the fraction, rounded up, where every label has clips enough") {
    const Dataset dataset = dataset_of(awkward_datasets()["ravdess"]);
    CHECK(random_splits(dataset, 1, 0.2, 0).splits[0].test.size() == 240);
    CHECK(random_splits(dataset, 1, 0.1999, 0).splits[0].test.size() == 240);
    CHECK(random_splits(dataset, 1, 0.2001, 0).splits[0].test.size() == 241);
  }

  TEST_CASE("random splits differ from split to split and seed to seed, and repeat with the seed") {
    const Dataset dataset = dataset_of(awkward_datasets()["ravdess"]);
    const auto plan = random_splits(dataset, 2, 0.2, 1);
    CHECK(plan.splits[0].test != plan.splits[1].test);
    CHECK(plan.splits[0].test == random_splits(dataset, 1, 0.2, 1).splits[0].test);
    CHECK(plan.splits[0].test != random_splits(dataset, 1, 0.2, 2).splits[0].test);
  }

  TEST_CASE("over many random splits every clip is tested about as often as every other") {
    const Dataset dataset = dataset_of(awkward_datasets()["two speakers"]);
    std::vector<int> n_tested(30);
    for (const Split& split : random_splits(dataset, 2000, 0.3, 5).splits)
      for (const int row : split.test) ++n_tested[static_cast<std::size_t>(row)];
    // Binomial with mean 600 and standard deviation 20.5: five deviations.
    for (const int count : n_tested) CHECK(std::abs(count - 600) < 103);
  }

  TEST_CASE("a label with one recording is trained on and named") {
    const auto plan =
        random_splits(dataset_of(awkward_datasets()["one class with a single clip"]), 2, 0.2, 0);
    REQUIRE(plan.notes.size() == 1);
    CHECK(plan.notes[0] == "never tested, because only one recording has the label: rare");
  }

  TEST_CASE("speaker folds test each clip of a known speaker once, and never a speaker that was trained on") {
    for (const auto& [name, rows] : awkward_datasets()) {
      CAPTURE(name);
      const Dataset dataset = dataset_of(rows);
      for (std::int64_t seed = 0; seed < 10; ++seed) {
        const SplitPlan plan = speaker_folds(dataset, 0, seed);
        if (dataset.group_names.empty() || name == "all duplicates") {
          CHECK(plan.splits.empty());
          CHECK_FALSE(plan.why_not.empty());
          continue;
        }
        CHECK(static_cast<int>(plan.splits.size()) ==
              default_speaker_folds(static_cast<int>(dataset.group_names.size())));
        std::vector<int> n_tested(rows.size());
        std::size_t fewest = rows.size(), most = 0;
        for (const Split& split : plan.splits) {
          check_division(dataset, split);
          std::set<int> test_groups;
          for (const int row : split.test) {
            ++n_tested[static_cast<std::size_t>(row)];
            test_groups.insert(dataset.groups[static_cast<std::size_t>(row)]);
          }
          for (const int row : split.train)
            CHECK_FALSE(test_groups.contains(dataset.groups[static_cast<std::size_t>(row)]));
          fewest = std::min(fewest, test_groups.size());
          most = std::max(most, test_groups.size());
        }
        CHECK(most - fewest <= 1);
        for (std::size_t row = 0; row < rows.size(); ++row)
          CHECK(n_tested[row] == (dataset.groups[row] >= 0 ? 1 : 0));
      }
    }
  }

  TEST_CASE("twenty actors make five folds of two men and two women") {
    const Dataset dataset = dataset_of(awkward_datasets()["ravdess"]);
    std::set<std::string> names;
    for (std::int64_t seed = 0; seed < 10; ++seed) {
      const auto plan = speaker_folds(dataset, 0, seed);
      REQUIRE(plan.splits.size() == 5);
      for (const Split& split : plan.splits) {
        std::map<std::string, std::set<std::string>> actors;
        for (const int row : split.test) {
          const Clip& clip = dataset.clips[static_cast<std::size_t>(row)];
          actors[clip.attributes.at("sex")].insert(clip.group);
        }
        CHECK(actors["male"].size() == 2);
        CHECK(actors["female"].size() == 2);
        names.insert(split.name);
      }
    }
    CHECK(names.size() > 25);  // other actors together with another seed
    CHECK(names.begin()->starts_with("speakers "));
  }

  TEST_CASE("speakers of uneven numbers of each sex are spread as evenly as they can be") {
    std::vector<Row> rows;
    for (int speaker = 0; speaker < 11; ++speaker)
      for (int clip = 0; clip < 4; ++clip)
        rows.push_back({clip % 2 ? "a" : "b", fmt::format("{}", speaker), "",
                        speaker < 4   ? "female"
                        : speaker < 9 ? "male"
                                      : "",
                        ""});
    const Dataset dataset = dataset_of(rows);
    for (std::int64_t seed = 0; seed < 20; ++seed) {
      for (const Split& split : speaker_folds(dataset, 3, seed).splits) {
        std::map<std::string, std::set<std::string>> speakers;
        for (const int row : split.test) {
          const Clip& clip = dataset.clips[static_cast<std::size_t>(row)];
          const auto sex = clip.attributes.find("sex");
          speakers[sex == clip.attributes.end() ? "" : sex->second].insert(clip.group);
        }
        CHECK(speakers["female"].size() >= 1);
        CHECK(speakers["female"].size() <= 2);
        CHECK(speakers["male"].size() >= 1);
        CHECK(speakers["male"].size() <= 2);
      }
    }
  }

  TEST_CASE("speaker folds say why they cannot be") {
    CHECK(speaker_folds(dataset_of(awkward_datasets()["one clip per class"]), 0, 0).why_not ==
          "the data names no speakers");
    CHECK(speaker_folds(dataset_of({{"a", "eva", "", "", ""}, {"b", "eva", "", "", ""}}), 0, 0).why_not ==
          "all clips are of one speaker, 'eva'");
    CHECK(speaker_folds(dataset_of({{"eva", "eva", "", "", ""}, {"max", "max", "", "", ""}}), 0, 0).why_not ==
          "each label has clips of one speaker alone, so no other can be tested on it");
    CHECK(speaker_folds(dataset_of(awkward_datasets()["all duplicates"]), 0, 0)
              .why_not.starts_with("no other recordings than those of speaker "));
    CHECK_THROWS_WITH_AS(speaker_folds(dataset_of(awkward_datasets()["two speakers"]), 3, 0),
                         "n_folds 3: must be from 2 to the number of speakers, 2", UsageError);
  }

  TEST_CASE("clips that two speakers share are not trained on where they are tested, and this is noted") {
    const Dataset dataset = dataset_of({{"a", "1", "p", "", ""},
                                        {"b", "1", "q", "", ""},
                                        {"a", "2", "p", "", ""},
                                        {"b", "2", "r", "", ""},
                                        {"a", "", "s", "", ""}});
    const SplitPlan plan = speaker_folds(dataset, 2, 0);
    for (const Split& split : plan.splits) {
      CHECK(split.train.size() == 1);
      CHECK(split.left_out.size() == 2);
    }
    CHECK(plan.notes ==
          std::vector<std::string>{"2 clips were left out of training: audio identical to a test clip's",
                                   "left out, because their speaker is not known: 1 of 5 clips"});
  }

  TEST_CASE("the number of folds fits the number of speakers") {
    CHECK(default_speaker_folds(2) == 2);
    CHECK(default_speaker_folds(6) == 6);
    CHECK(default_speaker_folds(20) == 5);
    CHECK(default_speaker_folds(24) == 6);
    CHECK(default_speaker_folds(600) == 6);
  }

  TEST_CASE("stratified folds test each clip once and spread every label evenly") {
    for (const auto& [name, rows] : awkward_datasets()) {
      CAPTURE(name);
      const Dataset dataset = dataset_of(rows);
      const auto total = recordings_per_label(dataset, all_rows(dataset));
      for (const int n_folds : {2, 3, 10}) {
        const SplitPlan plan = stratified_k_fold(dataset, n_folds, 3);
        if (n_folds > static_cast<int>(dataset.audio_hash.size())) {
          CHECK_FALSE(plan.why_not.empty());
          continue;
        }
        REQUIRE(static_cast<int>(plan.splits.size()) == n_folds);
        std::vector<int> tested;
        for (const Split& split : plan.splits) {
          check_division(dataset, split);
          tested.insert(tested.end(), split.test.begin(), split.test.end());
          auto counts = recordings_per_label(dataset, split.test);
          for (const auto& [label, count] : total)
            CHECK(std::abs(counts[label] - static_cast<double>(count) / n_folds) < 1);
        }
        std::ranges::sort(tested);
        CHECK(tested == all_rows(dataset));
      }
    }
    const Dataset dataset = dataset_of(awkward_datasets()["two speakers"]);
    CHECK_THROWS_AS(stratified_k_fold(dataset, 1, 0), UsageError);
    CHECK(stratified_k_fold(dataset, 3, 0).splits[0].test != stratified_k_fold(dataset, 3, 1).splits[0].test);
  }

  TEST_CASE("the manifest's own split is taken, but for training clips that are tested") {
    const std::vector<Row> rows = {{"a", "", "p", "", "train"}, {"b", "", "q", "", "train"},
                                   {"a", "", "p", "", "test"},  {"b", "", "r", "", "test"},
                                   {"b", "", "s", "", ""},      {"b", "", "t", "", "dev"}};
    const SplitPlan plan = given_split(dataset_of(rows));
    REQUIRE(plan.splits.size() == 1);
    CHECK(plan.splits[0].train == std::vector<int>{1});
    CHECK(plan.splits[0].test == std::vector<int>{2, 3});
    CHECK(plan.splits[0].left_out == std::vector<int>{0, 4, 5});
    CHECK(plan.notes ==
          std::vector<std::string>{"1 clip was left out of training: audio identical to a test clip's",
                                   "left out, because their split is neither train nor test: 2 of 6 clips"});
    CHECK(given_split(dataset_of({{"a", "", "", "", ""}, {"b", "", "", "", ""}})).why_not ==
          "the manifest gives no split");
    CHECK(given_split(dataset_of({{"a", "", "", "", "train"}, {"b", "", "", "", "train"}})).why_not ==
          "the manifest's split has no test clips");
    CHECK(given_split(dataset_of({{"a", "", "x", "", "train"}, {"b", "", "x", "", "test"}})).why_not ==
          "the manifest's split has no training clips that are not tested");
  }

  TEST_CASE("hold_out divides the given rows and no others") {
    const Dataset dataset = dataset_of(awkward_datasets()["every clip twice, by two speakers"]);
    std::vector<int> rows;
    for (int row = 0; row < 40; row += 1)
      if (row % 8 != 0) rows.push_back(row);
    for (std::int64_t seed = 0; seed < 20; ++seed) {
      const Split split = hold_out(dataset, rows, 0.1, seed);
      std::vector<int> both = split.train;
      both.insert(both.end(), split.test.begin(), split.test.end());
      std::ranges::sort(both);
      CHECK(both == rows);
      CHECK_FALSE(split.test.empty());
      std::set<int> held_out;
      for (const int row : split.test) held_out.insert(dataset.audio[static_cast<std::size_t>(row)]);
      for (const int row : split.train)
        CHECK_FALSE(held_out.contains(dataset.audio[static_cast<std::size_t>(row)]));
    }
  }
}
