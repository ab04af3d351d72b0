#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <set>

#include "example_dataset.hpp"
#include "host/cache/hdf5.hpp"
#include "host/core/error.hpp"
#include "host/cpu/cpu_engine.hpp"
#include "host/evaluation/curves.hpp"
#include "host/report/curve_report.hpp"
#include "host/report/search_report.hpp"
#include "support/audio_files.hpp"
#include "support/golden_file.hpp"

using namespace melgrad;
using namespace melgrad::test;
namespace fs = std::filesystem;

namespace {

// Noisy enough that candidates differ.
Dataset noisy_dataset() {
  Dataset dataset = example_dataset(sixty_clips());
  PhiloxSequence random(7, RandomStream::search);
  for (float& value : dataset.features.values) value += 9 * (random.next_uniform01() - 0.5f);
  return dataset;
}

std::vector<Candidate> candidates_of(const std::string& text) {
  const SearchDefaults defaults;
  return parse_search_grid(text, "grid.toml", defaults);
}

std::vector<Candidate> six_candidates() {
  return candidates_of(
      "[mlp]\nmax_iter = 25\nlearning_rate_init = 0.02\nbatch_size = 20\n[[grid]]\n"
      "hidden_layer_sizes = [[3], [12]]\nactivation = [\"tanh\", \"relu\", \"logistic\"]");
}

// Counts the fits that are done; asks to stop once there are enough.
class CountingProgress final : public Progress {
 public:
  void begin(std::string_view stage, Index n_steps) override {
    CHECK(stage == "search");
    n_expected = n_steps;
  }
  void update(Index n, std::string_view text) override {
    CHECK(n >= done);
    done = n;
    note = text;
  }
  void weigh(double share_done) override {
    CHECK(share_done >= share - 1e-9);
    CHECK(share_done <= 1 + 1e-9);
    share = share_done;
  }
  void end() override { ++n_ended; }
  void warn(std::string_view) override {}
  bool stop_asked() const override { return done >= stop_after; }

  Index n_expected = 0, done = 0, stop_after = 1'000'000;
  double share = 0;
  int n_ended = 0;
  std::string note;
};

// Stacks of a few models, so that a search has many.
constexpr StackLimits small_stacks{.seconds = 0};

SearchResult search(const Dataset& dataset, const std::vector<Candidate>& candidates,
                    const SearchOptions& options, SearchJournal* journal = nullptr) {
  const auto engine = make_cpu_engine({.n_threads = 2});
  NoProgress quiet;
  return run_search(dataset, plan_search(dataset, candidates, options), *engine, journal, quiet,
                    small_stacks);
}

// Everything but what clocks say.
Json without_seconds(const Json& json) {
  Json rest = json;
  if (rest.is_object())
    for (auto item = rest.begin(); item != rest.end();)
      item = item.key().ends_with("seconds") ? rest.erase(item) : std::next(item);
  if (rest.is_structured())
    for (Json& each : rest) each = without_seconds(each);
  return rest;
}

std::vector<double> numbers(const Json& json) {
  return json.get<std::vector<double>>();
}

// Rows of the golden grid search: every clip is its own recording.
Dataset golden_dataset(const Json& golden) {
  FeatureTable table;
  const auto n_rows = static_cast<Index>(golden["rows"].size());
  const auto n_features = static_cast<Index>(golden["rows"][0].size());
  table.features = Matrix<float>(n_rows, n_features);
  for (Index f = 0; f < n_features; ++f) table.columns.push_back(fmt::format("x{}", f));
  for (Index row = 0; row < n_rows; ++row) {
    const auto i = static_cast<std::size_t>(row);
    for (Index f = 0; f < n_features; ++f)
      table.features(row, f) = golden["rows"][i][static_cast<std::size_t>(f)].get<float>();
    table.clips.push_back({fmt::format("{}.wav", i), golden["labels"][i].dump(), "", "", {}});
    table.audio_hash.push_back(fmt::format("{}", i));
    table.status.push_back("ok");
    table.duration_s.push_back(1);
  }
  return make_dataset(table);
}

Dataset labelled_clips(const Json& labels) {
  std::vector<ExampleClip> clips;
  for (const Json& label : labels) clips.push_back({label.get<std::string>(), "", "", ""});
  return example_dataset(clips);
}

}  // namespace

TEST_SUITE("search") {
  TEST_CASE("folds that are not shuffled are those of scikit-learn's StratifiedKFold") {
    const Json cases = testing::golden_file("search.json")["k_fold"];
    REQUIRE(cases.size() == 3);
    for (const Json& each : cases) {
      const SplitPlan plan = stratified_k_fold(labelled_clips(each["labels"]), each["n_folds"], 0, false);
      REQUIRE(plan.splits.size() == each["tests"].size());
      for (std::size_t fold = 0; fold < plan.splits.size(); ++fold)
        CHECK(plan.splits[fold].test == each["tests"][fold].get<std::vector<int>>());
    }
  }

  TEST_CASE(
      "means, deviations and ranks are GridSearchCV's, with ties and candidates that cannot be scored") {
    const Json cases = testing::golden_file("search.json")["ranking"];
    REQUIRE(cases.size() == 2);
    for (const Json& each : cases) {
      std::vector<std::vector<std::optional<double>>> scores;
      for (const Json& candidate : each["scores"]) {
        auto& row = scores.emplace_back();
        for (const Json& score : candidate)
          row.push_back(score.is_null() ? std::nullopt : std::optional(score.get<double>()));
      }
      const auto summaries = summarise_scores(scores);
      for (std::size_t i = 0; i < scores.size(); ++i) {
        CHECK(summaries[i].rank == each["rank"][i].get<int>());
        CHECK(summaries[i].mean.has_value() == !each["mean"][i].is_null());
        if (!summaries[i].mean) continue;
        CHECK(*summaries[i].mean == doctest::Approx(each["mean"][i].get<double>()).epsilon(1e-12));
        CHECK(*summaries[i].std == doctest::Approx(each["std"][i].get<double>()).epsilon(1e-12));
      }
    }
  }

  TEST_CASE("equal scores in another order of the folds are a tie") {
    const std::vector<std::vector<std::optional<double>>> scores = {{0.1, 0.2, 0.7}, {0.7, 0.1, 0.2}};
    const auto summaries = summarise_scores(scores);
    CHECK(summaries[0].rank == 1);
    CHECK(summaries[1].rank == 1);
  }

  TEST_CASE("a search over networks without hidden layers scores as scikit-learn's GridSearchCV") {
    const Json golden = testing::golden_file("search.json")["grid_search"];
    const Dataset dataset = golden_dataset(golden);
    std::string text =
        "[mlp]\nbatch_size = 1000\nlearning_rate_init = 0.02\nmax_iter = 3000\ntol = 0.0\n"
        "n_iter_no_change = 3000\n[[grid]]\nhidden_layer_sizes = [[]]\nalpha = ";
    text += golden["alphas"].dump();
    const SearchResult result =
        search(dataset, candidates_of(text),
               {.folds = golden["n_folds"], .shuffle_folds = false, .return_train_score = true});
    const Json json = to_json(result);
    REQUIRE(json["candidates"].size() == golden["alphas"].size());
    for (std::size_t i = 0; i < json["candidates"].size(); ++i) {
      const Json& candidate = json["candidates"][i];
      CHECK(numbers(candidate["test_accuracy"]) == numbers(golden["test_scores"][i]));
      CHECK(numbers(candidate["train_accuracy"]) == numbers(golden["train_scores"][i]));
      CHECK(candidate["rank_test_accuracy"] == golden["rank"][i]);
      CHECK(candidate["mean_test_accuracy"].get<double>() ==
            doctest::Approx(golden["mean"][i].get<double>()));
      CHECK(candidate["std_test_accuracy"].get<double>() == doctest::Approx(golden["std"][i].get<double>()));
    }
    CHECK(json["candidates"][2]["same_as"] == 1);
    CHECK(json["n_trained"] == 3);
  }

  TEST_CASE("scores are those of each candidate trained alone on each fold, standardised over its rows") {
    const Dataset dataset = noisy_dataset();
    const SearchResult result = search(dataset, six_candidates(), {.folds = 4, .seeds = 2});
    const auto engine = make_cpu_engine({.n_threads = 1});
    REQUIRE(result.candidates.size() == 6);
    for (std::size_t i : {std::size_t{0}, std::size_t{5}}) {
      REQUIRE(result.candidates[i].fits.size() == 8);
      for (std::size_t fit = 0; fit < 8; ++fit) {
        FitTask task{result.plan.candidates[i].spec, &result.plan.folds[fit / 2]};
        task.spec.random_state += static_cast<int>(fit % 2);
        NoProgress quiet;
        score_fits(dataset, {&task, 1}, {}, *engine, quiet, [&](std::span<const ScoredTask> scored) {
          REQUIRE(scored.size() == 1);
          FitScore found = result.candidates[i].fits[fit], expected = scored[0].score;
          for (FitScore* score : {&found, &expected})
            score->fit_seconds = score->fit_cpu_seconds = score->score_seconds = 0;
          CHECK(found == expected);
        });
      }
    }
    CHECK(result.candidates[result.best].accuracy.rank == 1);
    CHECK(result.fit_cpu_seconds > 0);
  }

  TEST_CASE("clips of identical audio are never trained on and tested, and unheard speakers are unheard") {
    std::vector<ExampleClip> clips = sixty_clips();
    for (std::size_t i = 0; i < 60; i += 6)
      clips[i].audio = clips[(i + 21) % 60].audio = fmt::format("twin {}", i);
    const Dataset dataset = example_dataset(clips);
    for (const SearchProtocol protocol : {SearchProtocol::random, SearchProtocol::speaker}) {
      const SearchPlan plan =
          plan_search(dataset, six_candidates(), {.protocol = protocol, .folds = 3, .nested = 3});
      REQUIRE(plan.folds.size() == 3);
      REQUIRE(plan.outer.size() == 3);
      REQUIRE(plan.inner.size() == 3);
      std::vector<const Split*> splits;
      for (const Split& split : plan.folds) splits.push_back(&split);
      for (std::size_t outer = 0; outer < 3; ++outer) {
        splits.push_back(&plan.outer[outer]);
        REQUIRE(plan.inner[outer].size() == 3);
        for (const Split& split : plan.inner[outer]) {
          splits.push_back(&split);
          // What an inner search sees is what its outer fold trains on.
          for (const auto* side : {&split.train, &split.test, &split.left_out})
            for (const int row : *side) CHECK(std::ranges::binary_search(plan.outer[outer].train, row));
          CHECK(split.train.size() + split.test.size() + split.left_out.size() ==
                plan.outer[outer].train.size());
        }
      }
      for (const Split* split : splits) {
        REQUIRE(!split->test.empty());
        REQUIRE(!split->train.empty());
        std::set<int> audio, groups;
        for (const int row : split->test) {
          audio.insert(dataset.audio[static_cast<std::size_t>(row)]);
          groups.insert(dataset.groups[static_cast<std::size_t>(row)]);
        }
        for (const int row : split->train) {
          CHECK_FALSE(audio.contains(dataset.audio[static_cast<std::size_t>(row)]));
          if (protocol == SearchProtocol::speaker)
            CHECK_FALSE(groups.contains(dataset.groups[static_cast<std::size_t>(row)]));
        }
      }
    }
  }

  TEST_CASE("the nested estimate tests each outer fold with the candidate that its own search chose") {
    const Dataset dataset = noisy_dataset();
    const SearchResult result = search(dataset, six_candidates(), {.folds = 3, .nested = 2});
    REQUIRE(result.outer.size() == 2);
    double sum = 0;
    for (std::size_t fold = 0; fold < 2; ++fold) {
      const SearchResult inner =
          search(subset(dataset, result.plan.outer[fold].train), six_candidates(), {.folds = 3});
      CHECK(result.outer[fold].best == inner.best);
      CHECK(result.outer[fold].best_score == inner.candidates[inner.best].accuracy.mean);
      REQUIRE(result.outer[fold].fits.size() == 1);
      sum += result.outer[fold].fits[0].test_accuracy.value();
    }
    CHECK(*result.nested_accuracy.mean == doctest::Approx(sum / 2));
    CHECK(result.plan.n_fits() == 6 * 3 * 3 + 2);
    // The search of the whole data set is as without nesting.
    const SearchResult plain = search(dataset, six_candidates(), {.folds = 3});
    CHECK(without_seconds(to_json(plain))["candidates"] == without_seconds(to_json(result))["candidates"]);
  }

  TEST_CASE("candidates that are the same model are trained once and score as if each had been trained") {
    const Dataset dataset = noisy_dataset();
    const auto candidates = candidates_of(
        "[mlp]\nmax_iter = 10\n[[grid]]\nsolver = [\"sgd\", \"adam\"]\nepsilon = [1e-8, 0.1]\n"
        "learning_rate = [\"adaptive\", \"constant\"]");
    const SearchResult once = search(dataset, candidates, {.folds = 3});
    const SearchResult each = search(dataset, candidates, {.folds = 3, .reuse = false});
    CHECK(once.plan.n_trained() == 4);
    CHECK(each.plan.n_trained() == 8);
    for (std::size_t i = 0; i < 8; ++i) {
      CHECK(once.candidates[i].accuracy == each.candidates[i].accuracy);
      for (std::size_t fit = 0; fit < 3; ++fit)
        CHECK(once.candidates[i].fits[fit].loss == each.candidates[i].fits[fit].loss);
    }
  }

  TEST_CASE("a candidate that diverges has no score and comes last") {
    const Dataset dataset = noisy_dataset();
    const auto candidates = candidates_of(
        "[mlp]\nactivation = \"identity\"\nsolver = \"sgd\"\nmax_iter = 200\n[[grid]]\n"
        "learning_rate_init = [1000.0, 0.01]");
    const SearchResult result = search(dataset, candidates, {.folds = 3});
    CHECK(result.candidates[0].accuracy == ScoreSummary{std::nullopt, std::nullopt, 2});
    CHECK(result.candidates[0].fits[0].stop_reason == StopReason::not_finite);
    CHECK(result.best == 1);
    const Json json = to_json(result);
    CHECK(json["candidates"][0]["mean_test_accuracy"].is_null());
    CHECK(json["candidates"][0]["test_accuracy"] == Json{nullptr, nullptr, nullptr});
    CHECK(search_text(result, {}).find("none") != std::string::npos);
  }

  TEST_CASE("an interrupted search goes on where it stopped, and its results are the same bits") {
    const Dataset dataset = noisy_dataset();
    const SearchOptions options{.folds = 3, .nested = 2, .return_train_score = true};
    const Json undisturbed = without_seconds(to_json(search(dataset, six_candidates(), options)));
    const TemporaryFolder folder;
    const auto engine = make_cpu_engine({.n_threads = 2});
    const fs::path file = folder / "sweep.journal";
    const Json key = search_key(dataset, plan_search(dataset, six_candidates(), options), "cpu");
    Index n_before = 0;
    int n_interrupted = 0;
    for (;; ++n_interrupted) {
      SearchJournal journal(file, key, {{"features", "f.h5"}}, false);
      CHECK(static_cast<Index>(journal.finished().size()) == n_before);
      CountingProgress progress;
      progress.stop_after = 10;
      try {
        const SearchResult result = run_search(dataset, plan_search(dataset, six_candidates(), options),
                                               *engine, &journal, progress, small_stacks);
        CHECK(without_seconds(to_json(result)) == undisturbed);
        CHECK(progress.n_ended == 1);
        CHECK(progress.n_expected + n_before == static_cast<Index>(result.plan.n_fits()));
        CHECK(progress.note.find("best of 6 candidates") != std::string::npos);
        break;
      } catch (const Interrupted&) {
        CHECK(static_cast<Index>(journal.finished().size()) > n_before);
        n_before = static_cast<Index>(journal.finished().size());
      }
    }
    CHECK(n_interrupted > 2);

    SUBCASE("of a finished search nothing is trained again") {
      SearchJournal journal(file, key, {{"features", "f.h5"}}, false);
      SpyEngine untouched;
      CountingProgress progress;
      const SearchResult result = run_search(dataset, plan_search(dataset, six_candidates(), options),
                                             untouched, &journal, progress, small_stacks);
      CHECK(untouched.seen.empty());
      CHECK(progress.n_expected == 0);
      CHECK(without_seconds(to_json(result)) == undisturbed);
    }
    SUBCASE("another search is refused with both named, unless it is to begin anew") {
      SearchOptions other_options = options;
      other_options.folds = 4;
      const Json other = search_key(dataset, plan_search(dataset, six_candidates(), other_options), "cpu");
      std::string message;
      try {
        SearchJournal(file, other, {{"features", "g.h5"}}, false);
      } catch (const UsageError& error) {
        message = error.what();
      }
      CHECK(message.find("{\"features\":\"f.h5\"}") != std::string::npos);
      CHECK(message.find("{\"features\":\"g.h5\"}") != std::string::npos);
      CHECK(message.find("splits: {\"folds\":3,") != std::string::npos);
      CHECK(message.find("{\"folds\":4,") != std::string::npos);
      CHECK(message.find("features: {") == std::string::npos);
      CHECK(SearchJournal(file, other, {{"features", "g.h5"}}, true).finished().empty());
      CHECK_THROWS_AS(SearchJournal(file, key, {{"features", "f.h5"}}, false), UsageError);
    }
  }

  TEST_CASE("a journal of something else is no journal of a search") {
    const TemporaryFolder folder;
    const fs::path file = folder / "sweep.journal";
    const Json key = {{"splits", 1}};
    const std::vector<std::string> records[] = {
        {"[1]"}, {"{\"fit\":0}"}, {"{\"fit\":0,\"score\":{\"n_iter\":\"x\"}}"}};
    for (const auto& each : records) {
      Journal journal(file);
      journal.start(Json{{"search", key}, {"files", Json::object()}}.dump());
      journal.append(each);
      CHECK_THROWS_WITH_AS(SearchJournal(file, key, {}, false), doctest::Contains(file.c_str()), Error);
    }
    Journal(file).start("of cakes");
    CHECK_THROWS_WITH_AS(SearchJournal(file, key, {}, false), doctest::Contains("not the journal of a sweep"),
                         Error);
  }

  TEST_CASE("a search's key changes with the features, the candidates, the splits and the engine") {
    const Dataset dataset = noisy_dataset();
    const auto key_of = [](const Dataset& data, const std::vector<Candidate>& candidates,
                           const SearchOptions& options, const char* engine) {
      return search_key(data, plan_search(data, candidates, options), engine).dump();
    };
    std::set<std::string> keys = {key_of(dataset, six_candidates(), {.folds = 3}, "cpu")};
    Dataset changed = dataset;
    changed.features(59, 1) = std::nextafter(changed.features(59, 1), 1e9f);
    keys.insert(key_of(changed, six_candidates(), {.folds = 3}, "cpu"));
    std::vector<Candidate> fewer = six_candidates();
    fewer.pop_back();
    keys.insert(key_of(dataset, fewer, {.folds = 3}, "cpu"));
    keys.insert(key_of(dataset, six_candidates(), {.folds = 3, .random_state = 1}, "cpu"));
    keys.insert(key_of(dataset, six_candidates(), {.folds = 3, .seeds = 2}, "cpu"));
    keys.insert(key_of(dataset, six_candidates(), {.folds = 3}, "cuda:0"));
    CHECK(keys.size() == 6);
    CHECK(keys.contains(key_of(dataset, six_candidates(), {.folds = 3}, "cpu")));
  }

  TEST_CASE("what the data or the options do not allow is refused with the reason") {
    const Dataset dataset = noisy_dataset();
    const auto error_of = [&](const Dataset& data, const SearchOptions& options) {
      try {
        plan_search(data, six_candidates(), options);
      } catch (const Error& error) {
        return std::string(error.what());
      }
      return std::string("no error");
    };
    CHECK(error_of(dataset, {.folds = 1}) == "folds 1: must be at least 2");
    CHECK(error_of(dataset, {.nested = 1}) == "nested 1: must be 0 or at least 2");
    CHECK(error_of(dataset, {.folds = 61}) ==
          "61 folds for protocol random: 61 folds of 60 different recordings");
    CHECK(error_of(dataset, {.protocol = SearchProtocol::speaker, .folds = 8}) ==
          "n_folds 8: must be from 2 to the number of speakers, 7");
    CHECK(error_of(dataset, {.protocol = SearchProtocol::speaker, .folds = 7, .nested = 7})
              .find("n_folds 7: must be from 2 to the number of speakers, 6") != std::string::npos);
    std::vector<ExampleClip> clips = sixty_clips();
    for (ExampleClip& clip : clips) clip.group.clear();
    CHECK(error_of(example_dataset(clips), {.protocol = SearchProtocol::speaker}).find("names no speakers") !=
          std::string::npos);
  }

  TEST_CASE("folds that are not given are 10 of clips, and of speakers as many as they allow") {
    const Dataset dataset = noisy_dataset();  // 7 speakers
    CHECK(plan_search(dataset, six_candidates(), {}).folds.size() == 10);
    CHECK(plan_search(dataset, six_candidates(), {.protocol = SearchProtocol::speaker}).folds.size() == 5);
    CHECK(plan_search(dataset, six_candidates(), {.protocol = SearchProtocol::speaker, .nested = 2})
              .inner[0]
              .size() == 3);
  }

  TEST_CASE("the HDF5 file has the tables of the JSON") {
    const Dataset dataset = noisy_dataset();
    const SearchResult result = search(dataset, six_candidates(), {.folds = 3, .seeds = 2});
    const Json json = to_json(result);
    const TemporaryFolder folder;
    const std::vector<std::byte> bytes = search_hdf5(result, json);
    std::ofstream(folder / "sweep.h5", std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    const hdf5::Reader reader(folder / "sweep.h5");
    CHECK(reader.string_attribute("format") == "melgrad search");
    CHECK(Json::parse(reader.strings("search").front())["best"] == json["best"]);
    const auto accuracy = reader.doubles("fits/test_accuracy");
    const auto candidate = reader.unsigned_integers("fits/candidate");
    const auto mean = reader.doubles("candidates/mean_test_accuracy");
    REQUIRE(accuracy.size() == 36);
    for (std::size_t i = 0; i < 36; ++i) {
      CHECK(candidate[i] == i / 6);
      CHECK(accuracy[i] == json["candidates"][i / 6]["test_accuracy"][i % 6].get<double>());
      CHECK(mean[i / 6] == json["candidates"][i / 6]["mean_test_accuracy"].get<double>());
    }
    CHECK(reader.unsigned_integers("fits/fold")[35] == 2);
    CHECK(reader.unsigned_integers("fits/seed")[35] == 1);
    CHECK(Json::parse(reader.strings("candidates/parameters")[5]) == json["candidates"][5]["parameters"]);
    CHECK(reader.strings("folds").size() == 3);
  }

  TEST_CASE("a validation curve has training and test scores of each value") {
    const Dataset dataset = noisy_dataset();
    const auto engine = make_cpu_engine({.n_threads = 2});
    NoProgress quiet;
    const MlpSpec spec{.batch_size = 20, .learning_rate_init = 0.02, .max_iter = 60};
    const Curve curve = validation_curve(dataset, spec, "alpha", {0.0, 3000.0}, {.folds = 3}, *engine, quiet);
    REQUIRE(curve.points.size() == 2);
    CHECK(curve.points[0].x == 0.0);
    // A strong penalty leaves nothing to learn from.
    CHECK(*curve.points[0].result.train_accuracy.mean > *curve.points[1].result.train_accuracy.mean);
    MlpSpec zero = spec;
    zero.alpha = 0;
    CHECK(search(dataset, {{Json::object(), zero}}, {.folds = 3}).candidates[0].accuracy.mean ==
          curve.points[0].result.accuracy.mean);
    const Json json = to_json(curve);
    CHECK(json["points"][1]["alpha"] == 3000.0);
    CHECK(json["points"][1]["test_accuracy"].size() == 3);
    CHECK(curve_text(curve, {}).find("best on test clips: alpha 0") != std::string::npos);
  }

  TEST_CASE("a learning curve trains on more and more of each fold's clips, the whole of them at last") {
    const Dataset dataset = noisy_dataset();
    SpyEngine engine;
    NoProgress quiet;
    const MlpSpec spec{.random_state = 5};
    const Curve curve = learning_curve(dataset, spec, {1.0, 12, 0.5}, {.folds = 3}, engine, quiet);
    REQUIRE(curve.points.size() == 3);
    REQUIRE(engine.seen.size() == 9);
    const SearchPlan plan = plan_search(dataset, {{Json::object(), spec}}, {.folds = 3});
    const std::size_t sizes[] = {12, 20, 40};
    for (std::size_t point = 0; point < 3; ++point)
      for (std::size_t fold = 0; fold < 3; ++fold) {
        CHECK(curve.points[point].x == sizes[point]);
        const std::vector<int>& rows = engine.seen[point * 3 + fold].rows;
        CHECK(rows.size() == sizes[point]);
        const std::vector<int>& more =
            point < 2 ? engine.seen[point * 3 + 3 + fold].rows : plan.folds[fold].train;
        CHECK(std::ranges::includes(more, rows));
      }
    CHECK_THROWS_AS(learning_curve(dataset, spec, {41}, {.folds = 3}, engine, quiet), UsageError);
    CHECK_THROWS_AS(learning_curve(dataset, spec, {0.001}, {.folds = 3}, engine, quiet), UsageError);
    CHECK_THROWS_AS(learning_curve(dataset, spec, {12.5}, {.folds = 3}, engine, quiet), UsageError);
  }
}
