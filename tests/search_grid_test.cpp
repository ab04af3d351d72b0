#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "host/core/error.hpp"
#include "host/cpu/cpu_engine.hpp"
#include "host/models/search_grid.hpp"
#include "host/models/trainer.hpp"
#include "support/golden_file.hpp"
#include "support/mlp_problem.hpp"

using namespace melgrad;
using namespace melgrad::testing;

namespace {

// Not inlined: g++ 12 takes the vector of a temporary MlpSpec for uninitialised.
[[gnu::noinline]] SearchDefaults seeded(std::int64_t random_state) {
  SearchDefaults defaults;
  defaults.random_state = random_state;
  return defaults;
}

std::vector<Candidate> parse(const std::string& text, const SearchDefaults& defaults = seeded(0)) {
  return parse_search_grid(text, "grid.toml", defaults);
}

std::string error_of(const std::string& text, const SearchDefaults& defaults = seeded(0)) {
  try {
    parse(text, defaults);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_SUITE("search_grid") {
  TEST_CASE("combinations come in the order of scikit-learn's ParameterGrid") {
    const Json cases = golden_file("search.json")["parameter_grid"];
    REQUIRE(cases.size() == 2);
    for (const Json& each : cases) {
      const std::vector<Candidate> candidates = parse(each["toml"]);
      REQUIRE(candidates.size() == each["candidates"].size());
      for (std::size_t i = 0; i < candidates.size(); ++i)
        CHECK(candidates[i].parameters == each["candidates"][i]);
    }
  }

  TEST_CASE("the speech set's grid has eight candidates, all of them different models") {
    const std::vector<Candidate> candidates = read_search_grid(MELGRAD_GRIDS "/speech.toml", seeded(0));
    std::set<std::string> models;
    for (const Candidate& each : candidates) models.insert(to_json_fields(effective_spec(each.spec)).dump());
    CHECK(candidates.size() == 8);
    CHECK(models.size() == 8);
  }

  TEST_CASE("the notebook's grid has 360 candidates, 180 of them different models") {
    const std::vector<Candidate> candidates = read_search_grid(MELGRAD_GRIDS "/notebook.toml", seeded(0));
    REQUIRE(candidates.size() == 360);
    std::set<std::string> models;
    for (const Candidate& each : candidates) {
      models.insert(to_json_fields(effective_spec(each.spec)).dump());
      CHECK(each.spec.batch_size == 256);
      CHECK(each.spec.random_state == 69);
      CHECK(each.spec.max_iter == 200);
    }
    CHECK(models.size() == 180);
    CHECK(candidates[0].spec.activation == Activation::tanh);
    CHECK(candidates[359].parameters == Json{{"activation", "logistic"},
                                             {"alpha", 0.01},
                                             {"epsilon", 0.1},
                                             {"hidden_layer_sizes", {10, 10, 10}},
                                             {"learning_rate", "constant"},
                                             {"solver", "adam"}});
  }

  TEST_CASE("the table comes before the command line, that before [mlp], and that before the defaults") {
    SearchDefaults defaults;
    defaults.spec = {.alpha = 7, .max_iter = 11, .tol = 0.5, .momentum = 0.25};
    defaults.given = {{"max_iter", 22}};
    const auto candidates =
        parse("[mlp]\nmax_iter = 33\ntol = 0.125\n[[grid]]\nalpha = [1, 2]\n[[grid]]\ntol = [0.0]", defaults);
    REQUIRE(candidates.size() == 3);
    CHECK(candidates[1].spec == MlpSpec{.alpha = 2, .max_iter = 22, .tol = 0.125, .momentum = 0.25});
    CHECK(candidates[2].spec == MlpSpec{.alpha = 7, .max_iter = 22, .tol = 0, .momentum = 0.25});
    CHECK(candidates[2].parameters == Json{{"tol", 0.0}});
    CHECK(error_of("[[grid]]\nalpha=[1]\nmax_iter = [1]", defaults) ==
          "grid.toml: line 3: max_iter is given on the command line, too");
  }

  TEST_CASE("draws stay within their ends, are whole where the field is, and come again with their seed") {
    const std::string text =
        "[[random]]\nn_iter = 400\nrandom_state = 5\nmax_iter = {uniform = [3, 6]}\n"
        "batch_size = {log_uniform = [1, 1000]}\nalpha = {log_uniform = [1e-6, 1e-2]}\n"
        "tol = {uniform = [0.25, 0.5]}\nactivation = [\"relu\", \"tanh\", \"logistic\"]";
    const auto candidates = parse(text);
    REQUIRE(candidates.size() == 400);
    std::array<int, 7> max_iter{};
    std::array<int, 4> activation{};
    int n_small_alpha = 0, n_small_batch = 0;
    double tol = 0;
    for (const Candidate& each : candidates) {
      REQUIRE(each.spec.max_iter >= 3);
      REQUIRE(each.spec.max_iter <= 6);
      CHECK(each.parameters["max_iter"].is_number_integer());
      ++max_iter[static_cast<std::size_t>(each.spec.max_iter)];
      ++activation[static_cast<std::size_t>(each.spec.activation)];
      CHECK(each.spec.alpha >= 1e-6);
      CHECK(each.spec.alpha <= 1e-2);
      n_small_alpha += each.spec.alpha < 1e-4;
      CHECK(each.spec.batch_size >= 1);
      CHECK(each.spec.batch_size <= 1000);
      n_small_batch += each.spec.batch_size < 32;
      tol += each.spec.tol / 400;
    }
    // Five standard deviations of a binomial of 400 draws: 5 * sqrt(400 p (1 - p)), and of a uniform mean.
    for (std::size_t i = 3; i <= 6; ++i) CHECK(std::abs(max_iter[i] - 100) < 44);
    for (std::size_t i = 1; i < 4; ++i) CHECK(std::abs(activation[i] - 400 / 3) < 48);
    CHECK(std::abs(n_small_alpha - 200) < 50);
    CHECK(std::abs(n_small_batch - 200) < 50);
    CHECK(std::abs(tol - 0.375) < 5 * 0.25 / std::sqrt(12.0 * 400));

    CHECK(parse(text) == candidates);
    std::string other = text;
    other.replace(other.find("= 5"), 3, "= 6");
    CHECK(parse(other) != candidates);
  }

  TEST_CASE(
      "a [[random]] table without a seed takes the command's, and each table draws numbers of its own") {
    const std::string table = "[[random]]\nn_iter = 3\nalpha = {uniform = [0, 1]}\n";
    const auto candidates = parse(table + table, seeded(4));
    REQUIRE(candidates.size() == 6);
    CHECK(candidates[0] != candidates[3]);
    CHECK(parse(table, seeded(4))[1] == candidates[1]);
    CHECK(parse(table, seeded(5))[1] != candidates[1]);
    CHECK(parse(table + "random_state = 4", seeded(5))[1] == candidates[1]);
  }

  TEST_CASE("lists alone are drawn without repetition, and all of them where they are few") {
    const std::string lists = "alpha = [1, 2, 3, 4]\nactivation = [\"relu\", \"tanh\"]\n";
    for (int seed = 0; seed < 50; ++seed) {
      const auto six = parse("[[random]]\nn_iter = 6\n" + lists, seeded(seed));
      std::set<std::string> different;
      for (const Candidate& each : six) different.insert(each.parameters.dump());
      CHECK(different.size() == 6);
    }
    const auto all = parse("[[grid]]\n" + lists);
    CHECK(parse("[[random]]\nn_iter = 9\n" + lists) == all);
    CHECK(sample_candidates(all, 9, 0) == all);
    const auto three = sample_candidates(all, 3, 1);
    REQUIRE(three.size() == 3);
    CHECK(three == sample_candidates(all, 3, 1));
    CHECK(three != sample_candidates(all, 3, 2));
    for (const Candidate& each : three) CHECK(std::ranges::count(all, each) == 1);
    CHECK(std::ranges::count(three, three[0]) == 1);
  }

  TEST_CASE("what is wrong in a file is named with line, key and limit") {
    CHECK(error_of("[[grid]]\nalpha = [1,\n -1.5]") ==
          "grid.toml: line 3: alpha: -1.5 is not in [0, 1000000]");
    CHECK(error_of("[[grid]]\n\nalhpa = [1]")
              .starts_with("grid.toml: line 3: unknown name 'alhpa'; known are: hidden_layer_sizes, "
                           "activation"));
    CHECK(error_of("[mlp]\nmax_iter = 2.5\n[[grid]]") ==
          "grid.toml: line 2: max_iter: 2.5 is not a whole number");
    CHECK(error_of("[mlp]\nshuffle = 1\n[[grid]]") == "grid.toml: line 2: shuffle: 1 is not true or false");
    CHECK(error_of("[[grid]]\nsolver = [\"lbfgs\"]")
              .starts_with("grid.toml: line 2: solver: 'lbfgs' is not one of: sgd, adam"));
    CHECK(error_of("[[grid]]\nhidden_layer_sizes = [100, 50]")
              .ends_with("hidden_layer_sizes: each choice is a list: [[100, 50]] is one network of two "
                         "layers, [[100], [50]] two networks of one"));
    CHECK(error_of("[[grid]]\nalpha = 1") == "grid.toml: line 2: alpha: expected a list of choices");
    CHECK(error_of("[[grid]]\nalpha = []") == "grid.toml: line 2: alpha: a list of no choices");
    CHECK(error_of("[[grid]]\nalpha = [nan]") == "grid.toml: line 2: nan is not a finite number");
    CHECK(error_of("[[grid]]\nalpha = [2020-01-01]") ==
          "grid.toml: line 2: a date where a number, a text, true, false or a list is "
          "expected");
    CHECK(error_of("[[grid]]\nalpha = {uniform = [0, 1]}") ==
          "grid.toml: line 2: alpha: expected a list of choices");
    CHECK(error_of("[[random]]\nalpha = [1]") == "grid.toml: line 1: [[random]] without n_iter");
    CHECK(error_of("[[random]]\nn_iter = 0\nalpha = [1]") ==
          "grid.toml: line 2: n_iter: 0 is not a whole number of at least 1");
    CHECK(error_of("[[random]]\nn_iter = 1") == "grid.toml: line 1: [[random]] without a parameter to draw");
    CHECK(error_of("[[random]]\nn_iter = 1\nalpha = {normal = [0, 1]}") ==
          "grid.toml: line 3: alpha: 'normal' is not one of: uniform, log_uniform");
    CHECK(error_of("[[random]]\nn_iter = 1\nalpha = {uniform = [2, 1]}") ==
          "grid.toml: line 3: alpha: [2,1] is not [low, high]");
    CHECK(error_of("[[random]]\nn_iter = 1\nalpha = {uniform = [0, 2e6]}") ==
          "grid.toml: line 3: alpha: 2000000.0 is not in [0, 1000000]");
    CHECK(error_of("[[random]]\nn_iter = 1\nalpha = {log_uniform = [0, 1]}") ==
          "grid.toml: line 3: alpha: log_uniform from 0: must begin above 0");
    CHECK(error_of("[[random]]\nn_iter = 1\nmax_iter = {uniform = [1.5, 3]}") ==
          "grid.toml: line 3: max_iter: 1.5 is not a whole number");
    CHECK(error_of("[[random]]\nn_iter = 1\nsolver = {uniform = [1, 3]}")
              .starts_with("grid.toml: line 3: solver: 1 is not one of: sgd"));
    CHECK(error_of("grids = 1").starts_with("grid.toml: line 1: unknown name 'grids'; known are: [mlp]"));
    CHECK(error_of("grid = 1") == "grid.toml: line 1: 'grid' is not a table: [[grid]]");
    CHECK(error_of("mlp = 1\n[[grid]]") == "grid.toml: line 1: 'mlp' is not a table: [mlp]");
    CHECK(error_of("") == "grid.toml: neither [[grid]] nor [[random]]");
    CHECK(error_of("[[grid]]\nalpha = [1").starts_with("grid.toml: line 2: "));
    CHECK(error_of("[[grid]]\nalpha = [1]\nalpha = [2]").starts_with("grid.toml: line 3: "));
    CHECK_THROWS_WITH_AS(read_search_grid("/nowhere/grid.toml", seeded(0)),
                         "/nowhere/grid.toml: cannot be read: No such file or directory", Error);
    std::string axes;
    for (const char* name : {"alpha", "tol", "power_t"}) {
      axes += fmt::format("{} = [0", name);
      for (int i = 0; i < 100; ++i) axes += ",0";
      axes += "]\n";
    }
    CHECK(error_of("[[grid]]\n" + axes) == "grid.toml: line 1: [[grid]] of more than 1000000 combinations");
  }

  TEST_CASE(
      "options that do not act under a solver train the same bits, and are one effective specification") {
    const MlpProblem problem(60, 11, 4);
    const auto engine = make_cpu_engine({.n_threads = 2});
    const auto fit = [&](const MlpSpec& spec) {
      NoProgress quiet;
      const MlpJob job = problem.job(spec);
      return Trainer(*engine).fit(problem.training_set(), {&job, 1}, quiet).front();
    };
    const MlpSpec sgd{.solver = Solver::sgd, .batch_size = 16, .max_iter = 40, .tol = 0.05};
    const MlpSpec adam{.batch_size = 16, .max_iter = 40, .tol = 0.05};
    const auto varied = [](MlpSpec spec, const Json& changes) {
      Json json = to_json_fields(spec);
      json.update(changes);
      return from_json_fields<MlpSpec>(json);
    };
    const Json of_adam = {
        {"beta_1", 0.5}, {"beta_2", 0.5}, {"epsilon", 0.1}, {"power_t", 0.9}, {"validation_fraction", 0.5}};
    const Json of_sgd = {{"momentum", 0.1}, {"nesterovs_momentum", false}, {"power_t", 0.9}};
    const std::vector<std::pair<MlpSpec, MlpSpec>> same = {
        {sgd, varied(sgd, of_adam)},
        {adam, varied(adam, of_sgd)},
        {adam, varied(adam, {{"learning_rate", "adaptive"}})},
        {adam, varied(adam, {{"learning_rate", "invscaling"}, {"power_t", 0.9}})},
        {varied(sgd, {{"learning_rate", "adaptive"}}),
         varied(sgd, {{"learning_rate", "adaptive"}, {"power_t", 0.9}})}};
    for (const auto& [a, b] : same) {
      CHECK(effective_spec(a) == effective_spec(b));
      CHECK(fit(a).parameters == fit(b).parameters);
      CHECK(fit(a).progress == fit(b).progress);
    }
    const std::vector<std::pair<MlpSpec, MlpSpec>> different = {
        {sgd, adam},
        {sgd, varied(sgd, {{"momentum", 0.1}})},
        {sgd, varied(sgd, {{"learning_rate", "adaptive"}})},
        {sgd, varied(sgd, {{"learning_rate", "invscaling"}})},
        {varied(sgd, {{"learning_rate", "invscaling"}}),
         varied(sgd, {{"learning_rate", "invscaling"}, {"power_t", 0.9}})},
        {adam, varied(adam, {{"epsilon", 0.1}})}};
    for (const auto& [a, b] : different) {
      CHECK(effective_spec(a) != effective_spec(b));
      CHECK(fit(a).parameters != fit(b).parameters);
    }
  }
}
