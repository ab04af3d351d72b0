#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include "host/engine/training_rules.hpp"

using namespace melgrad;

namespace {

std::vector<std::uint32_t> rows_of(const EpochPermutation& permutation, int n) {
  std::vector<std::uint32_t> rows;
  for (int i = 0; i < n; ++i) rows.push_back(permutation(static_cast<std::uint32_t>(i)));
  return rows;
}

// Chi squared of counts against equal expectations, in standard deviations from its mean.
double chi_squared_deviation(const std::vector<int>& counts, double expected, double degrees_of_freedom) {
  double chi_squared = 0;
  for (int count : counts) chi_squared += (count - expected) * (count - expected) / expected;
  return (chi_squared - degrees_of_freedom) / std::sqrt(2 * degrees_of_freedom);
}

// The state after epochs with these losses (or scores, with early_stopping).
TrainingState after(const TrainingRules& rules, const std::vector<double>& values) {
  TrainingState state = initial_state(rules);
  for (double value : values) {
    REQUIRE(state.stop_reason == StopReason::running);
    end_epoch(rules, rules.early_stopping ? 1.0 : value, value, true, 100, state);
  }
  return state;
}

}  // namespace

TEST_SUITE("training_rules") {
  TEST_CASE("initial weights fill Glorot's interval evenly, and differ by seed, layer and index") {
    CHECK(initial_bound(Activation::logistic, 180, 300) == doctest::Approx(std::sqrt(2.0 / 480)));
    CHECK(initial_bound(Activation::relu, 180, 300) == doctest::Approx(std::sqrt(6.0 / 480)));
    const int n = 100'000;
    double sum = 0, squares = 0;
    float lowest = 1, highest = -1;
    for (std::uint64_t i = 0; i < n; ++i) {
      const float w = initial_weight(5, 1, i, 0.5f);
      sum += static_cast<double>(w);
      squares += static_cast<double>(w) * static_cast<double>(w);
      lowest = std::min(lowest, w);
      highest = std::max(highest, w);
    }
    CHECK(lowest >= -0.5f);
    CHECK(lowest < -0.4999f);
    CHECK(highest < 0.5f);
    CHECK(highest > 0.4999f);
    CHECK(std::abs(sum / n) < 4 * std::sqrt(1.0 / 12 / n));  // four standard errors
    CHECK(squares / n == doctest::Approx(1.0 / 12).epsilon(0.02));
    CHECK(initial_weight(5, 1, 7, 1.0f) != initial_weight(6, 1, 7, 1.0f));
    CHECK(initial_weight(5, 1, 7, 1.0f) != initial_weight(5, 2, 7, 1.0f));
    CHECK(initial_weight(5, 1, 7, 1.0f) != initial_weight(5, 1, 8, 1.0f));
  }

  TEST_CASE("an epoch's order is a permutation, for any number of rows") {
    for (int n : {1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 100, 128, 129, 1152, 65536, 65537}) {
      std::vector<std::uint32_t> rows = rows_of(EpochPermutation(3, 11, n), n);
      std::ranges::sort(rows);
      bool is_permutation = true;
      for (int i = 0; i < n; ++i)
        is_permutation &= rows[static_cast<std::size_t>(i)] == static_cast<std::uint32_t>(i);
      CAPTURE(n);
      CHECK(is_permutation);
      CHECK(EpochPermutation(3, 11, n).domain() >= static_cast<std::uint32_t>(n));
      CHECK((n == 1 || EpochPermutation(3, 11, n).domain() < 2 * static_cast<std::uint32_t>(n)));
    }
  }

  TEST_CASE("orders differ by epoch and seed") {
    CHECK(rows_of(EpochPermutation(3, 0, 50), 50) != rows_of(EpochPermutation(3, 1, 50), 50));
    CHECK(rows_of(EpochPermutation(3, 0, 50), 50) != rows_of(EpochPermutation(4, 0, 50), 50));
    CHECK(rows_of(EpochPermutation(3, 0, 50), 50) == rows_of(EpochPermutation(3, 0, 50), 50));
  }

  TEST_CASE("all orders of a few rows come equally often") {
    for (int n : {2, 3, 4, 5, 6}) {
      int n_orders = 1;
      for (int i = 2; i <= n; ++i) n_orders *= i;
      std::vector<int> counts(static_cast<std::size_t>(n_orders));
      const int n_epochs = 500 * n_orders;
      for (int epoch = 0; epoch < n_epochs; ++epoch) {
        std::vector<std::uint32_t> rows = rows_of(EpochPermutation(1, epoch, n), n);
        int rank = 0;  // Lehmer code
        for (int i = 0; i < n; ++i) {
          int smaller = 0;
          for (int j = i + 1; j < n; ++j)
            smaller += rows[static_cast<std::size_t>(j)] < rows[static_cast<std::size_t>(i)];
          rank = rank * (n - i) + smaller;
        }
        ++counts[static_cast<std::size_t>(rank)];
      }
      CAPTURE(n);
      CHECK(std::abs(chi_squared_deviation(counts, 500, n_orders - 1)) < 5);
    }
  }

  TEST_CASE("every row comes equally often at every position, and after every other row") {
    for (int n : {7, 16, 100, 128, 129, 200}) {
      const auto size = static_cast<std::size_t>(n);
      std::vector<int> at_position(size * size), follows(size * size);
      const int n_epochs = 100 * n;
      for (int epoch = 0; epoch < n_epochs; ++epoch) {
        const std::vector<std::uint32_t> rows = rows_of(EpochPermutation(2, epoch, n), n);
        for (std::size_t i = 0; i < size; ++i) {
          ++at_position[i * size + rows[i]];
          if (i > 0) ++follows[rows[i - 1] * size + rows[i]];
        }
      }
      for (std::size_t i = size; i-- > 0;)
        follows.erase(follows.begin() + static_cast<std::ptrdiff_t>(i * size + i));
      CAPTURE(n);
      CHECK(std::abs(chi_squared_deviation(at_position, 100, (n - 1) * (n - 1))) < 5);
      CHECK(std::abs(chi_squared_deviation(follows, 100, n * (n - 1) - 1)) < 5);
    }
  }

  TEST_CASE("minibatches are scikit-learn's: 'auto' is 200, and none is larger than the training set") {
    CHECK(resolve_batch_size(0, 1000) == 200);
    CHECK(resolve_batch_size(0, 150) == 150);
    CHECK(resolve_batch_size(256, 1000) == 256);
    CHECK(resolve_batch_size(256, 10) == 10);
  }

  TEST_CASE("training stops once more than n_iter_no_change epochs in a row do not improve by tol") {
    TrainingRules rules{.tol = 0.1, .n_iter_no_change = 2, .max_iter = 100};
    // 0.95 is lower than 1 but by less than tol; so are the next, and the third of them is one too many.
    CHECK(after(rules, {1.0, 0.95, 0.94}).stop_reason == StopReason::running);
    CHECK(after(rules, {1.0, 0.95, 0.94, 0.93}).stop_reason == StopReason::no_improvement);
    // The best loss sinks with every epoch, so a slow descent never counts.
    CHECK(after(rules, {1.0, 0.95, 0.86, 0.85}).stop_reason == StopReason::no_improvement);
    CHECK(after(rules, {1.0, 0.95, 0.84, 0.85}).stop_reason == StopReason::running);
  }

  TEST_CASE("the last epoch allowed ends training, unless it stops for want of improvement") {
    TrainingRules rules{.tol = 0.1, .n_iter_no_change = 2, .max_iter = 4};
    CHECK(after(rules, {4, 3, 2, 1}).stop_reason == StopReason::max_iter);
    CHECK(after(rules, {4, 4, 4, 4}).stop_reason == StopReason::no_improvement);
  }

  TEST_CASE("adaptive divides the learning rate of sgd by 5 until it is 1e-6, and does nothing for adam") {
    TrainingRules rules{.solver = Solver::sgd,
                        .learning_rate = LearningRate::adaptive,
                        .learning_rate_init = 1e-5,
                        .n_iter_no_change = 1,
                        .max_iter = 100};
    // The first epoch improves on infinity; each second one after it exceeds n_iter_no_change.
    CHECK(after(rules, {1, 1, 1}).learning_rate == doctest::Approx(2e-6));
    CHECK(after(rules, {1, 1, 1, 1, 1}).learning_rate == doctest::Approx(4e-7));
    CHECK(after(rules, {1, 1, 1, 1, 1}).stop_reason == StopReason::running);
    CHECK(after(rules, {1, 1, 1, 1, 1, 1, 1}).stop_reason == StopReason::no_improvement);
    rules.solver = Solver::adam;
    CHECK(after(rules, {1, 1, 1}).stop_reason == StopReason::no_improvement);
  }

  TEST_CASE("invscaling divides by a power of the rows seen, once an epoch") {
    TrainingRules rules{.solver = Solver::sgd,
                        .learning_rate = LearningRate::invscaling,
                        .learning_rate_init = 0.1,
                        .power_t = 0.5};
    CHECK(step_rates(rules, initial_state(rules)).learning_rate == 0.1);
    CHECK(step_rates(rules, after(rules, {2, 1})).learning_rate == doctest::Approx(0.1 / std::sqrt(201.0)));
  }

  TEST_CASE("adam corrects its bias") {
    TrainingRules rules;
    TrainingState state = initial_state(rules);
    CHECK(step_rates(rules, state).learning_rate == doctest::Approx(1e-3 * std::sqrt(1 - 0.999) / (1 - 0.9)));
    state.n_steps = 9;
    CHECK(step_rates(rules, state).learning_rate ==
          doctest::Approx(1e-3 * std::sqrt(1 - std::pow(0.999, 10)) / (1 - std::pow(0.9, 10))));
  }

  TEST_CASE("adamw has torch's bias correction and its own decay") {
    TrainingRules rules{.solver = Solver::adamw, .learning_rate_init = 0.01, .alpha = 0.1, .epsilon = 1e-4};
    TrainingState state = initial_state(rules);
    state.n_steps = 4;
    const StepRates rates = step_rates(rules, state);
    const double root = std::sqrt(1 - std::pow(0.999, 5));
    CHECK(rates.learning_rate == doctest::Approx(0.01 * root / (1 - std::pow(0.9, 5))));
    CHECK(rates.epsilon == doctest::Approx(1e-4 * root));
    CHECK(rates.weight_decay == doctest::Approx(0.001));
    rules.solver = Solver::adam;
    CHECK(step_rates(rules, state).epsilon == 1e-4);
    CHECK(step_rates(rules, state).weight_decay == 0);
  }

  TEST_CASE("cosine falls from learning_rate_init to nothing over max_iter epochs, for every solver") {
    for (Solver solver : {Solver::sgd, Solver::adam, Solver::adamw}) {
      TrainingRules rules{
          .solver = solver, .learning_rate = LearningRate::cosine, .learning_rate_init = 0.5, .max_iter = 4};
      // Without adam's bias correction, which only counts steps.
      rules.beta_1 = rules.beta_2 = 0;
      CHECK(step_rates(rules, initial_state(rules)).learning_rate == 0.5);
      CHECK(step_rates(rules, after(rules, {9})).learning_rate ==
            doctest::Approx(0.25 * (1 + std::sqrt(0.5))));
      CHECK(step_rates(rules, after(rules, {9, 8})).learning_rate == doctest::Approx(0.25));
      CHECK(after(rules, {9, 8, 7, 6}).learning_rate == doctest::Approx(0).scale(1));
    }
  }

  TEST_CASE("one_cycle rises over 30 % of the steps and falls over the rest, for every solver") {
    for (Solver solver : {Solver::sgd, Solver::adam, Solver::adamw}) {
      MlpSpec spec{.solver = solver,
                   .batch_size = 10,
                   .learning_rate = LearningRate::one_cycle,
                   .learning_rate_init = 0.5,
                   .max_iter = 10};
      spec.beta_1 = spec.beta_2 = 0;
      const TrainingRules rules = training_rules(spec, 95);
      CHECK(rules.n_steps == 100);
      TrainingState state = initial_state(rules);
      const auto rate = [&](int step) {
        state.n_steps = step;
        return step_rates(rules, state).learning_rate;
      };
      // torch.optim.lr_scheduler.OneCycleLR(max_lr=0.5, total_steps=100, cycle_momentum=False)
      CHECK(rate(0) == doctest::Approx(0.02));
      CHECK(rate(10) == doctest::Approx(0.14758197).epsilon(1e-7));
      CHECK(rate(29) == doctest::Approx(0.5));
      CHECK(rate(64) == doctest::Approx(0.250001).epsilon(1e-7));
      CHECK(rate(99) == doctest::Approx(2e-6));
    }
    CHECK(std::isfinite(one_cycle_rate(0.1, 0, 1)));
    CHECK(training_rules({.batch_size = 10, .max_iter = 7, .batch_norm = true}, 41).n_steps == 28);
  }

  TEST_CASE("an original comes with its probability and the copies equally often, anew in each epoch") {
    for (int n_copies : {1, 4}) {
      const int n = 50'000;
      std::vector<int> counts(static_cast<std::size_t>(1 + n_copies));
      int n_changed = 0;
      for (int position = 0; position < n; ++position) {
        const auto at = static_cast<std::uint32_t>(position);
        const int copy = copy_of(3, 2, at, n_copies);
        ++counts.at(static_cast<std::size_t>(copy));
        n_changed += copy != copy_of(3, 3, at, n_copies);
      }
      const double share = 0.3 + 0.7 / (1 + n_copies);
      CHECK(std::abs(counts[0] - share * n) < 4 * std::sqrt(n * share * (1 - share)));
      const double rest = (1 - share) / n_copies;
      for (std::size_t copy = 1; copy < counts.size(); ++copy)
        CHECK(std::abs(counts[copy] - rest * n) < 4 * std::sqrt(n * rest * (1 - rest)));
      const double stays = share * share + n_copies * rest * rest;
      CHECK(std::abs(n_changed - (1 - stays) * n) < 4 * std::sqrt(n * stays * (1 - stays)));
    }
    CHECK(copy_of(3, 2, 5, 0) == 0);
  }

  TEST_CASE("a last minibatch of one row is left out with batch_norm only") {
    CHECK(rows_of_epoch(true, 10, 41) == 40);
    CHECK(rows_of_epoch(false, 10, 41) == 41);
    CHECK(rows_of_epoch(true, 10, 42) == 42);
    CHECK(rows_of_epoch(true, 0, 201) == 200);
    CHECK(rows_of_epoch(true, 100, 41) == 41);
  }

  TEST_CASE("dropout leaves out its share, anew for every epoch, layer, row and unit") {
    const double rate = 0.3;
    const std::uint32_t threshold = dropout_threshold(rate);
    int n_left_out = 0;
    std::set<PhiloxBlock> blocks;
    for (int epoch = 0; epoch < 10; ++epoch) {
      for (int layer = 0; layer < 3; ++layer) {
        for (std::uint32_t position = 0; position < 50; ++position) {
          for (std::uint32_t block = 0; block < 10; ++block) {
            const PhiloxBlock bits = dropout_bits(7, epoch, layer, position, block);
            blocks.insert(bits);
            for (std::uint32_t each : bits) n_left_out += dropout_factor(each, threshold, 2.0f) == 0;
          }
        }
      }
    }
    const int n = 10 * 3 * 50 * 10;
    CHECK(blocks.size() == n);
    CHECK(std::abs(n_left_out - rate * 4 * n) < 4 * std::sqrt(4 * n * rate * (1 - rate)));
    CHECK(dropout_factor(threshold, threshold, 2.0f) == 2.0f);
    CHECK(dropout_threshold(0) == 0);
  }

  TEST_CASE("mixup's lambda has the moments of Beta(alpha, alpha), and its shifts are even") {
    for (double alpha : {0.001, 0.2, 1.0, 4.0}) {
      const int n = 20'000, n_rows = 10;
      double sum = 0, squares = 0;
      std::vector<int> shifts(n_rows);
      for (int i = 0; i < n; ++i) {
        const Mixup draw = mixup(3, i / 100, i % 100, n_rows, alpha);
        const double lambda = static_cast<double>(draw.lambda);
        REQUIRE(lambda >= 0);
        REQUIRE(lambda <= 1);
        sum += lambda;
        squares += (lambda - 0.5) * (lambda - 0.5);
        ++shifts.at(draw.shift);
      }
      const double variance = 1 / (4 * (2 * alpha + 1));
      CAPTURE(alpha);
      CHECK(std::abs(sum / n - 0.5) < 4 * std::sqrt(variance / n));
      // A square is at most 1/4, so four standard errors of the mean square are at most this.
      CHECK(std::abs(squares / n - variance) < 4 * std::sqrt(variance * 0.25 / n));
      CHECK(std::abs(chi_squared_deviation(shifts, n / n_rows, n_rows - 1)) < 5);
    }
    CHECK(mixup(3, 1, 2, 10, 0).lambda == 1);
    CHECK(Mixup{0.5f, 7}.partner(2, 10) == 9);
    CHECK(Mixup{0.5f, 7}.partner(3, 10) == 0);
  }

  TEST_CASE("targets add up to the row's weight but for what smoothing spreads") {
    const float weights[] = {0.5f, 2, 3};
    const RowTarget target = row_target(1, 2, 0.75f, 0.3f, weights);
    CHECK(target.weight == doctest::Approx(0.75 * 2 + 0.25 * 3));
    CHECK(target_of_class(target, 0, smoothed_share(0.3f, 3, 0.5f)) == doctest::Approx(0.1 * 0.5));
    CHECK(target_of_class(target, 1, smoothed_share(0.3f, 3, 2)) == doctest::Approx(0.1 * 2 + 0.7 * 1.5));
    CHECK(target_of_class(target, 2, smoothed_share(0.3f, 3, 3)) == doctest::Approx(0.1 * 3 + 0.7 * 0.75));
    const RowTarget plain = row_target(1, 1, 1, 0, nullptr);
    CHECK(target_of_class(plain, 1, 0) == 1);
    CHECK(target_of_class(plain, 0, 0) == 0);
  }

  TEST_CASE("early stopping goes by the score and marks the best epochs, the first of equals") {
    TrainingRules rules{.tol = 0.01, .early_stopping = true, .n_iter_no_change = 2, .max_iter = 100};
    CHECK(after(rules, {0.5}).is_best);
    CHECK(after(rules, {0.5, 0.6}).is_best);
    CHECK_FALSE(after(rules, {0.5, 0.6, 0.6}).is_best);
    CHECK(after(rules, {0.5, 0.6, 0.605}).is_best);  // better, though not by tol
    CHECK(after(rules, {0.5, 0.6, 0.605}).n_no_improvement == 1);
    CHECK(after(rules, {0.5, 0.6, 0.6, 0.6}).stop_reason == StopReason::running);
    CHECK(after(rules, {0.5, 0.6, 0.6, 0.6, 0.6}).stop_reason == StopReason::no_improvement);
  }

  TEST_CASE("a loss or parameters that are not finite stop a model") {
    TrainingRules rules;
    for (double loss : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
      TrainingState state = initial_state(rules);
      end_epoch(rules, loss, 0, true, 10, state);
      CHECK(state.stop_reason == StopReason::not_finite);
    }
    TrainingState state = initial_state(rules);
    end_epoch(rules, 1.0, 0, false, 10, state);
    CHECK(state.stop_reason == StopReason::not_finite);
  }
}
