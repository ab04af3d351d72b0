#pragma once
// What every engine must compute alike to train the same model: initial weights, row order, minibatches,
// copies, dropout, mixup, targets, learning rates and stopping. Pure functions of numbers, without memory of
// their own and without containers in the parts that kernels need, so that device code can call them too
// (nvcc
// --expt-relaxed-constexpr). Meaning: sklearn/neural_network/_multilayer_perceptron.py and
// _stochastic_optimizers.py; only the random numbers are our own (Philox), because any thread of a GPU must
// be able to have any of them.

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
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
// bias. With batch_norm, biases of hidden layers start at 0 instead, gammas and running variances at 1,
// running means at 0, as torch's.
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
    low_bits_ = (n_bits_ + 1) / 2;
    low_mask_ = (std::uint32_t{1} << low_bits_) - 1;
    high_mask_ = (std::uint32_t{1} << (n_bits_ - low_bits_)) - 1;
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
    Halves halves = split(x);
    for (std::uint32_t round = 0; round < n_rounds_; round += 2) halves = mix_twice(halves, round);
    return join(halves);
  }

  // Its steps, for code that takes many positions through one round after another: `round` goes from 0 by
  // twos to below n_rounds().
  struct Halves {
    std::uint32_t low, high;
  };
  constexpr std::uint32_t n_rounds() const { return n_rounds_; }
  constexpr Halves split(std::uint32_t x) const { return {x & low_mask_, x >> low_bits_}; }
  constexpr Halves mix_twice(Halves x, std::uint32_t round) const {
    x.low ^= hash(x.high + keys_[round]) & low_mask_;
    x.high ^= hash(x.low + keys_[round + 1]) & high_mask_;
    return x;
  }
  constexpr std::uint32_t join(Halves x) const { return x.high << low_bits_ | x.low; }

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
  int low_bits_ = 0;
  std::uint32_t low_mask_ = 0;
  std::uint32_t high_mask_ = 0;
  std::uint32_t n_rounds_ = 0;
  std::array<std::uint32_t, 32> keys_{};
};

// --- Minibatches ----------------------------------------------------------------------------------------

// Rows in a minibatch; the last one of an epoch has what is left over.
constexpr int resolve_batch_size(int batch_size, int n_rows) {
  return std::min(batch_size == 0 ? 200 : batch_size, n_rows);
}

// Rows that an epoch trains on. With batch_norm a last minibatch of one row, which has no variance (and is
// refused by torch), is left out of the epoch.
constexpr int rows_of_epoch(bool batch_norm, int batch_size, int n_rows) {
  return batch_norm && n_rows % resolve_batch_size(batch_size, n_rows) == 1 ? n_rows - 1 : n_rows;
}

// --- Copies ---------------------------------------------------------------------------------------------

// Which of a row's versions is trained on at a position of an epoch's order: 0 is the original, which comes
// with probability 0.3 + 0.7 / n of n versions, and the others are equally likely.
constexpr int copy_of(std::int64_t random_state, int epoch, std::uint32_t position, int n_copies) {
  if (n_copies == 0) return 0;
  const PhiloxBlock bits = philox(
      static_cast<std::uint64_t>(random_state),
      {position, 0, static_cast<std::uint32_t>(epoch), static_cast<std::uint32_t>(RandomStream::copies)});
  const double share_of_original = 0.3 + 0.7 / (1 + n_copies);
  if (bits[0] < static_cast<std::uint32_t>(share_of_original * 4294967296.0)) return 0;
  return 1 + static_cast<int>(bits[1] * static_cast<std::uint64_t>(n_copies) >> 32);
}

// --- Dropout --------------------------------------------------------------------------------------------

// `layer` of what goes into the network.
inline constexpr int layer_of_inputs = -1;

// The numbers of units 4 * block .. 4 * block + 3 of hidden layer `layer`, for the row at `position` in the
// order of the epoch. The same for every model of one random_state.
constexpr PhiloxBlock dropout_bits(std::int64_t random_state, int epoch, int layer, std::uint32_t position,
                                   std::uint32_t block) {
  return philox(static_cast<std::uint64_t>(random_state),
                {block, position, static_cast<std::uint32_t>(epoch),
                 static_cast<std::uint32_t>(RandomStream::dropout) | static_cast<std::uint32_t>(layer) << 8});
}

// A unit is left out if its number is below the threshold; the others are scaled by 1 / (1 - rate), as
// torch.nn.Dropout's.
constexpr std::uint32_t dropout_threshold(double rate) {
  return static_cast<std::uint32_t>(rate * 4294967296.0);  // 2^32; rate < 1
}
constexpr float dropout_factor(std::uint32_t bits, std::uint32_t threshold, float scale) {
  return bits < threshold ? 0.0f : scale;
}

// --- Batch normalisation --------------------------------------------------------------------------------

inline constexpr float batch_norm_epsilon = 1e-5f;
inline constexpr float batch_norm_momentum = 0.1f;

// After a minibatch of n_rows rows of which a unit has mean and (biased) variance, as torch.
constexpr float running_mean_after(float running, float mean) {
  return running + batch_norm_momentum * (mean - running);
}
constexpr float running_var_after(float running, float var, int n_rows) {
  const float unbiased = var * (static_cast<float>(n_rows) / static_cast<float>(n_rows - 1));
  return running + batch_norm_momentum * (unbiased - running);
}

// --- Mixup ----------------------------------------------------------------------------------------------

// H. Zhang et al., "mixup: beyond empirical risk minimization", ICLR 2018, and its code: in each minibatch
// one lambda is drawn from Beta(alpha, alpha); row i becomes lambda x_i + (1 - lambda) x_j, and its loss
// lambda times that of its own label plus (1 - lambda) times that of row j's. The paper draws j by a random
// permutation; here j = (i + shift) mod n_rows with a random shift, as the order of rows is random already.
struct Mixup {
  float lambda = 1;
  std::uint32_t shift = 0;

  constexpr int partner(int i, int n_rows) const {
    const int j = i + static_cast<int>(shift);
    return j < n_rows ? j : j - n_rows;
  }
};

// The logarithm of a number drawn from Gamma(shape, 1): Marsaglia and Tsang, "A simple method for generating
// gamma variables", ACM TOMS 26 (2000), whose boost for shapes below 1 is u^(1 / shape) of one more uniform
// u.
constexpr double log_gamma_variate(std::uint64_t key, PhiloxBlock counter, std::floating_point auto shape) {
  const auto open01 = [](std::uint32_t bits) { return (static_cast<double>(bits) + 0.5) * 0x1p-32; };
  const double d = (shape < 1 ? shape + 1 : shape) - 1.0 / 3.0;
  const double c = 1 / std::sqrt(9 * d);
  for (;; ++counter[0]) {
    const PhiloxBlock bits = philox(key, counter);
    const double normal =
        std::sqrt(-2 * std::log(open01(bits[0]))) * std::cos(6.283185307179586 * open01(bits[1]));
    const double root = 1 + c * normal;
    if (root <= 0) continue;
    const double v = root * root * root;
    if (std::log(open01(bits[2])) >= 0.5 * normal * normal + d - d * v + d * std::log(v)) continue;
    const double boost = shape < 1 ? std::log(open01(bits[3])) / shape : 0.0;
    return std::log(d * v) + boost;
  }
}

// The draw of minibatch `batch` of an epoch, which has n_rows rows. Beta(a, a) is g / (g + h) with two gamma
// variates, taken from their logarithms, because both may be below the smallest double.
constexpr Mixup mixup(std::int64_t random_state, int epoch, int batch, int n_rows, double alpha) {
  if (alpha == 0) return {};
  const auto key = static_cast<std::uint64_t>(random_state);
  const auto counter = [&](std::uint32_t draw) -> PhiloxBlock {
    return {0, static_cast<std::uint32_t>(batch), static_cast<std::uint32_t>(epoch),
            static_cast<std::uint32_t>(RandomStream::mixup) | draw << 8};
  };
  const double log_ratio =
      log_gamma_variate(key, counter(1), alpha) - log_gamma_variate(key, counter(0), alpha);
  const std::uint64_t scaled = philox(key, counter(2))[0] * static_cast<std::uint64_t>(n_rows);
  return {static_cast<float>(1 / (1 + std::exp(log_ratio))), static_cast<std::uint32_t>(scaled >> 32)};
}

// --- Targets of the loss --------------------------------------------------------------------------------

// The loss of a row is sum over classes c of t_c times -log(probability of c), and its gradient by the logit
// of class c is T p_c - t_c with T = sum of t_c. Two classes have one output, which is the logit of class 1;
// that of class 0 is 0. The minibatch's loss is the sum over its rows (and of the penalty) divided by the
// sum of their weights: torch's CrossEntropyLoss(weight, label_smoothing), and for weights scikit-learn's
// sample_weight.
struct RowTarget {
  int label = 0;
  int partner_label = 0;    // of the row that it is mixed with; without mixup its own
  float share = 1;          // of its own label in t
  float partner_share = 0;  // of its partner's label
  float weight = 1;         // of the row
};

// class_weights [n_classes], or null where all are 1.
constexpr RowTarget row_target(int label, int partner_label, float lambda, float label_smoothing,
                               const float* class_weights) {
  const float own = lambda * (class_weights != nullptr ? class_weights[label] : 1.0f);
  const float other = (1 - lambda) * (class_weights != nullptr ? class_weights[partner_label] : 1.0f);
  return {label, partner_label, (1 - label_smoothing) * own, (1 - label_smoothing) * other, own + other};
}

// t_c of class c, whose smoothed share, smoothed_share(), is the same for every row.
constexpr float target_of_class(const RowTarget& row, int c, float smoothed) {
  return smoothed + (c == row.label ? row.share : 0.0f) + (c == row.partner_label ? row.partner_share : 0.0f);
}
constexpr float smoothed_share(float label_smoothing, int n_classes, float class_weight) {
  return label_smoothing / static_cast<float>(n_classes) * class_weight;
}

// --- Learning rate and stopping -------------------------------------------------------------------------

// What the rules read of a specification, flat enough for device memory.
struct TrainingRules {
  Solver solver = Solver::adam;
  LearningRate learning_rate = LearningRate::constant;
  double learning_rate_init = 1e-3;
  double power_t = 0.5;
  double alpha = 1e-4;
  double beta_1 = 0.9;
  double beta_2 = 0.999;
  double epsilon = 1e-8;
  double tol = 1e-4;
  bool early_stopping = false;
  int n_iter_no_change = 10;
  int max_iter = 200;
  std::int64_t n_steps = 0;  // of all max_iter epochs
};

// Of a model that trains on n_rows rows.
inline TrainingRules training_rules(const MlpSpec& spec, int n_rows) {
  std::int64_t n_steps = 0;
  if (n_rows > 0) {
    const int batch_size = resolve_batch_size(spec.batch_size, n_rows);
    const int n_used = rows_of_epoch(spec.batch_norm, spec.batch_size, n_rows);
    n_steps = std::int64_t{spec.max_iter} * ((n_used + batch_size - 1) / batch_size);
  }
  return {.solver = spec.solver,
          .learning_rate = spec.learning_rate,
          .learning_rate_init = spec.learning_rate_init,
          .power_t = spec.power_t,
          .alpha = spec.alpha,
          .beta_1 = spec.beta_1,
          .beta_2 = spec.beta_2,
          .epsilon = spec.epsilon,
          .tol = spec.tol,
          .early_stopping = spec.early_stopping,
          .n_iter_no_change = spec.n_iter_no_change,
          .max_iter = spec.max_iter,
          .n_steps = n_steps};
}

// What the rules remember of one model between its epochs.
struct TrainingState {
  double learning_rate = 0;  // as its schedule has it
  std::int64_t n_steps = 0;  // minibatches done
  std::int64_t n_seen = 0;   // rows seen, over all epochs
  int n_iter = 0;            // epochs done
  int n_no_improvement = 0;  // epochs since the last one that counted
  double best = 0;           // lowest loss, or highest score with early_stopping
  bool is_best = false;      // the last epoch has the highest score so far: its parameters are to be kept
  StopReason stop_reason = StopReason::running;
};

constexpr TrainingState initial_state(const TrainingRules& rules) {
  TrainingState state;
  state.learning_rate = rules.learning_rate_init;
  constexpr double infinity = std::numeric_limits<double>::infinity();
  state.best = rules.early_stopping ? -infinity : infinity;
  return state;
}

// What the minibatch after state.n_steps others is taken with.
//   sgd:   velocity = momentum velocity - learning_rate g;  w += velocity, or as Nesterov
//   adam:  w -= learning_rate m / (sqrt(v) + epsilon), with scikit-learn's bias correction in the rate
//   adamw: w -= weight_decay w first; then as adam, with torch's bias correction, which has epsilon in it
// g is the gradient of the mean loss; sgd's and adam's has alpha w / (sum of weights of the rows) in it.
struct StepRates {
  double learning_rate = 0;
  double epsilon = 0;
  double weight_decay = 0;  // of weights; not of biases and gammas
};

// torch's OneCycleLR(max_lr=highest, total_steps=n_steps, cycle_momentum=False) before step `step`: from 1/25
// of `highest` up to it over the first 30 % of the steps, then down to 1/10000 of the first rate, along half
// waves of cosines.
constexpr double one_cycle_rate(double highest, std::int64_t step, std::int64_t n_steps) {
  const double first = highest / 25, last = first / 1e4;
  const double top = 0.3 * static_cast<double>(n_steps) - 1;  // the step of the highest rate
  const auto between = [](double from, double to, double share) {
    return to + (from - to) * 0.5 * (1 + std::cos(3.141592653589793 * share));
  };
  const auto at = static_cast<double>(step);
  if (at < top) return between(first, highest, at / top);
  return between(highest, last, (at - top) / (static_cast<double>(n_steps) - 1 - top));
}

// scikit-learn's schedules act for sgd only; torch's act for all.
constexpr double learning_rate_of_step(const TrainingRules& rules, const TrainingState& state) {
  if (rules.learning_rate == LearningRate::one_cycle)
    return one_cycle_rate(rules.learning_rate_init, state.n_steps, rules.n_steps);
  const bool is_scheduled = rules.solver == Solver::sgd || rules.learning_rate == LearningRate::cosine;
  return is_scheduled ? state.learning_rate : rules.learning_rate_init;
}

constexpr StepRates step_rates(const TrainingRules& rules, const TrainingState& state) {
  const double rate = learning_rate_of_step(rules, state);
  if (rules.solver == Solver::sgd) return {rate, 0, 0};
  const auto t = static_cast<double>(state.n_steps + 1);
  const double root = std::sqrt(1 - std::pow(rules.beta_2, t));
  const double corrected = rate * root / (1 - std::pow(rules.beta_1, t));
  if (rules.solver == Solver::adam) return {corrected, rules.epsilon, 0};
  return {corrected, rules.epsilon * root, rate * rules.alpha};
}

// After an epoch over n_rows rows: `loss` is its mean over rows, penalty included; `score` the accuracy on
// the validation rows, read with early_stopping only. A model whose loss or parameters are not finite stops.
constexpr void end_epoch(const TrainingRules& rules, double loss, double score, bool parameters_are_finite,
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
  if (rules.learning_rate == LearningRate::cosine)  // torch's CosineAnnealingLR(T_max=max_iter)
    state.learning_rate =
        rules.learning_rate_init * 0.5 * (1 + std::cos(3.141592653589793 * state.n_iter / rules.max_iter));
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
