#pragma once
// What every engine must compute alike to train the same model: initial weights, row order, minibatches,
// learning rates and stopping. Pure functions of numbers, without memory of their own and without containers
// in the parts that kernels need, so that device code can call them too (nvcc --expt-relaxed-constexpr).
// Meaning: sklearn/neural_network/_multilayer_perceptron.py and _stochastic_optimizers.py; only the random
// numbers are our own (Philox), because any thread of a GPU must be able to have any of them.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>

#include "host/core/matrix.hpp"
#include "host/core/philox.hpp"
#include "host/engine/mlp.hpp"

namespace melgrad {

// Units of the output layer: softmax over the classes, but one logistic unit, the probability of class 1,
// for two classes, as scikit-learn.
constexpr int n_outputs(int n_classes) {
  return n_classes == 2 ? 1 : n_classes;
}

// scikit-learn takes the logarithm of probabilities of at least float64's epsilon: no row's loss is above
// -log(2^-52).
inline constexpr float max_row_loss = 36.04365338911715f;

// --- Initial weights ------------------------------------------------------------------------------------

// Glorot's bound as scikit-learn takes it: weights and biases are uniform in [-bound, bound).
inline double initial_bound(Activation activation, Index fan_in, Index fan_out) {
  const double factor = activation == Activation::logistic ? 2.0 : 6.0;
  return std::sqrt(factor / static_cast<double>(fan_in + fan_out));
}

// Weight `index` of a layer, which is row * fan_out + column of [fan_in + 1, fan_out]; the last row is the
// bias.
constexpr float initial_weight(std::int64_t random_state, int layer, std::uint64_t index, float bound) {
  const std::uint64_t block = index / 4;
  const PhiloxBlock bits =
      philox(static_cast<std::uint64_t>(random_state),
             {static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32),
              static_cast<std::uint32_t>(layer), static_cast<std::uint32_t>(RandomStream::initial_weights)});
  return bound * (2.0f * uniform01(bits[index % 4]) - 1.0f);
}

// --- Row order ------------------------------------------------------------------------------------------

// A random permutation of [0, n) as a function: position -> row, computed for any position without the
// others. An alternating Feistel network permutes [0, 2^n_bits), the smallest such range that holds n, and
// positions that fall outside [0, n) walk on along their cycle; as 2^n_bits < 2 n, that takes less than two
// evaluations on average. (Fisher-Yates would need n steps in sequence before the first row is known, and a
// sort by random keys a barrier per merge: both slow in a thread block, which needs each epoch anew.)
//
// 8 rounds put every row at every position, and after every other row, equally often; with few bits a round
// does little, and it takes 32 until all n! orders of up to 8 rows do come equally often (the tests).
class EpochPermutation {
 public:
  constexpr EpochPermutation(std::int64_t random_state, int epoch, int n)
      : n_(static_cast<std::uint32_t>(n)) {
    while ((std::uint64_t{1} << n_bits_) < n_) ++n_bits_;
    n_rounds_ = n_bits_ < 8 ? 32 : 8;
    for (std::uint32_t first = 0; first < n_rounds_; first += 4) {
      const PhiloxBlock keys = philox(
          static_cast<std::uint64_t>(random_state),
          {first, 0, static_cast<std::uint32_t>(epoch), static_cast<std::uint32_t>(RandomStream::shuffle)});
      for (std::uint32_t i = 0; i < 4; ++i) keys_[first + i] = keys[i];
    }
  }

  constexpr std::uint32_t domain() const { return std::uint32_t{1} << n_bits_; }  // n <= domain() < 2 n

  // The permutation of [0, domain()): each round XORs one part of the bits with a hash of the other part.
  constexpr std::uint32_t mix(std::uint32_t x) const {
    const int low_bits = (n_bits_ + 1) / 2;
    const std::uint32_t low_mask = (std::uint32_t{1} << low_bits) - 1;
    const std::uint32_t high_mask = (std::uint32_t{1} << (n_bits_ - low_bits)) - 1;
    std::uint32_t low = x & low_mask;
    std::uint32_t high = x >> low_bits;
    for (std::uint32_t round = 0; round < n_rounds_; round += 2) {
      low ^= hash(high + keys_[round]) & low_mask;
      high ^= hash(low + keys_[round + 1]) & high_mask;
    }
    return high << low_bits | low;
  }

  // The row at `position` < n.
  constexpr std::uint32_t operator()(std::uint32_t position) const {
    do position = mix(position);
    while (position >= n_);
    return position;
  }

 private:
  // The finaliser of MurmurHash3 (A. Appleby): every input bit changes every output bit.
  static constexpr std::uint32_t hash(std::uint32_t x) {
    x = (x ^ x >> 16) * 0x85ebca6bu;
    x = (x ^ x >> 13) * 0xc2b2ae35u;
    return x ^ x >> 16;
  }

  std::uint32_t n_;
  int n_bits_ = 0;
  std::uint32_t n_rounds_ = 0;
  std::array<std::uint32_t, 32> keys_{};
};

// --- Minibatches ----------------------------------------------------------------------------------------

// Rows in a minibatch; the last one of an epoch has what is left over.
constexpr int resolve_batch_size(int batch_size, int n_rows) {
  return std::min(batch_size == 0 ? 200 : batch_size, n_rows);
}

// --- Learning rate and stopping -------------------------------------------------------------------------

// What the rules read of a specification, flat enough for device memory.
struct TrainingRules {
  Solver solver = Solver::adam;
  LearningRate learning_rate = LearningRate::constant;
  double learning_rate_init = 1e-3;
  double power_t = 0.5;
  double beta_1 = 0.9;
  double beta_2 = 0.999;
  double tol = 1e-4;
  bool early_stopping = false;
  int n_iter_no_change = 10;
  int max_iter = 200;
};

inline TrainingRules training_rules(const MlpSpec& spec) {
  return {spec.solver, spec.learning_rate, spec.learning_rate_init, spec.power_t,          spec.beta_1,
          spec.beta_2, spec.tol,           spec.early_stopping,     spec.n_iter_no_change, spec.max_iter};
}

// What the rules remember of one model between its epochs.
struct TrainingState {
  double learning_rate = 0;  // of the next sgd step
  std::int64_t n_steps = 0;  // minibatches done
  std::int64_t n_seen = 0;   // rows seen, over all epochs
  int n_iter = 0;            // epochs done
  int n_no_improvement = 0;  // epochs since the last one that counted
  double best = 0;           // lowest loss, or highest score with early_stopping
  bool is_best = false;      // the last epoch has the highest score so far: its parameters are to be kept
  StopReason stop_reason = StopReason::running;
};

inline TrainingState initial_state(const TrainingRules& rules) {
  TrainingState state;
  state.learning_rate = rules.learning_rate_init;
  constexpr double infinity = std::numeric_limits<double>::infinity();
  state.best = rules.early_stopping ? -infinity : infinity;
  return state;
}

// The learning rate of the minibatch after state.n_steps others: adam's with its bias correction.
inline double step_learning_rate(const TrainingRules& rules, const TrainingState& state) {
  if (rules.solver != Solver::adam) return state.learning_rate;
  const auto t = static_cast<double>(state.n_steps + 1);
  return rules.learning_rate_init * std::sqrt(1 - std::pow(rules.beta_2, t)) /
         (1 - std::pow(rules.beta_1, t));
}

// After an epoch over n_rows rows: `loss` is its mean over rows, penalty included; `score` the accuracy on
// the validation rows, read with early_stopping only. A model whose loss or parameters are not finite stops.
inline void end_epoch(const TrainingRules& rules, double loss, double score, bool parameters_are_finite,
                      int n_rows, TrainingState& state) {
  ++state.n_iter;
  state.n_seen += n_rows;
  state.is_best = false;
  if (!std::isfinite(loss) || !parameters_are_finite) {
    state.stop_reason = StopReason::not_finite;
    return;
  }
  bool improved = false;
  if (rules.early_stopping) {
    improved = !(score < state.best + rules.tol);
    state.is_best = score > state.best;
    state.best = std::max(state.best, score);
  } else {
    improved = !(loss > state.best - rules.tol);
    state.best = std::min(state.best, loss);
  }
  state.n_no_improvement = improved ? 0 : state.n_no_improvement + 1;
  if (rules.learning_rate == LearningRate::invscaling)
    state.learning_rate =
        rules.learning_rate_init / std::pow(static_cast<double>(state.n_seen + 1), rules.power_t);
  if (state.n_no_improvement > rules.n_iter_no_change) {
    // scikit-learn obeys `adaptive` for sgd only.
    const bool adapts = rules.solver == Solver::sgd && rules.learning_rate == LearningRate::adaptive;
    if (!adapts || state.learning_rate <= 1e-6) {
      state.stop_reason = StopReason::no_improvement;
      return;
    }
    state.learning_rate /= 5;
    state.n_no_improvement = 0;
  }
  if (state.n_iter >= rules.max_iter) state.stop_reason = StopReason::max_iter;
}

}  // namespace melgrad
