#include <libsvm/svm.h>
#include <algorithm>
#include <cmath>
#include <memory>
#include <mutex>
#include <numeric>

#include "host/cpu/distances.hpp"
#include "host/models/classical.hpp"
#include "host/models/cross_validation.hpp"

namespace melgrad {
namespace {

struct SvmCandidate {
  double C;
  double gamma;
};
constexpr double costs[] = {1, 10, 100};
// Times scikit-learn's gamma='scale', which of standardised features is 1 / n_features.
constexpr double gamma_factors[] = {0.25, 1};

std::vector<SvmCandidate> candidates_of(Index n_features) {
  std::vector<SvmCandidate> candidates;
  for (const double C : costs)
    for (const double factor : gamma_factors)
      candidates.push_back({C, factor / static_cast<double>(n_features)});
  return candidates;
}

struct FreeModel {
  void operator()(svm_model* model) const { svm_free_and_destroy_model(&model); }
};

// A support vector machine on a precomputed kernel exp(-gamma squared_distance). Rows of libsvm's nodes are
// {0: number of the row from 1 on}, {1: kernel with training row 1}, .., {-1}.
class Machine {
 public:
  // squared [n, n] are the distances of all training rows; `rows` of them are trained on. The rows are sorted
  // by label, so that classes come in the order of the labels, as scikit-learn sees to.
  Machine(const Matrix<double>& squared, std::span<const int> labels, std::vector<int> rows,
          const SvmCandidate& candidate)
      : rows_(std::move(rows)), gamma_(candidate.gamma) {
    std::ranges::stable_sort(rows_, {}, [&](int row) { return labels[static_cast<std::size_t>(row)]; });
    std::vector<double> classes;
    for (const int row : rows_) classes.push_back(labels[static_cast<std::size_t>(row)]);
    const std::size_t n = rows_.size();
    nodes_.resize(n * (n + 2));
    std::vector<svm_node*> starts;
    for (std::size_t i = 0; i < n; ++i) {
      starts.push_back(&nodes_[i * (n + 2)]);
      fill(squared.row(rows_[i]), static_cast<double>(i + 1), starts.back());
    }
    svm_problem problem{static_cast<int>(n), classes.data(), starts.data()};
    svm_parameter parameter{};
    parameter.svm_type = C_SVC;
    parameter.kernel_type = PRECOMPUTED;
    parameter.C = candidate.C;
    parameter.eps = 1e-3;  // as scikit-learn's tol and shrinking, and its cache
    parameter.shrinking = 1;
    parameter.cache_size = 200;
    static std::once_flag silenced;
    std::call_once(silenced, [] { svm_set_print_string_function([](const char*) {}); });
    model_.reset(svm_train(&problem, &parameter));
    classes_.resize(static_cast<std::size_t>(svm_get_nr_class(model_.get())));
    svm_get_labels(model_.get(), classes_.data());
  }

  // SVC.decision_function(decision_function_shape='ovr') of a row with these distances to all training rows:
  // for each label the duels that it won, and less than a third of one for by how much. Labels that were not
  // trained on lose them all.
  std::vector<double> decide(std::span<const double> squared, int n_classes) const {
    std::vector<svm_node> nodes(rows_.size() + 2);
    fill(squared, 0, nodes.data());
    const std::size_t n = classes_.size();
    std::vector<double> duels(n * (n - 1) / 2 + 1);
    svm_predict_values(model_.get(), nodes.data(), duels.data());
    std::vector<double> votes(n), confidence(n);
    std::size_t duel = 0;
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = i + 1; j < n; ++j, ++duel) {
        votes[duels[duel] >= 0 ? i : j] += 1;
        confidence[i] += duels[duel];
        confidence[j] -= duels[duel];
      }
    }
    std::vector<double> decision(static_cast<std::size_t>(n_classes), -1.0);
    for (std::size_t i = 0; i < n; ++i)
      decision[static_cast<std::size_t>(classes_[i])] =
          votes[i] + confidence[i] / (3 * (std::abs(confidence[i]) + 1));
    return decision;
  }

 private:
  void fill(std::span<const double> squared, double number, svm_node* nodes) const {
    *nodes++ = {0, number};
    for (std::size_t i = 0; i < rows_.size(); ++i)
      *nodes++ = {static_cast<int>(i + 1), std::exp(-gamma_ * squared[static_cast<std::size_t>(rows_[i])])};
    *nodes = {-1, 0};
  }

  std::vector<int> rows_;
  double gamma_;
  std::vector<svm_node> nodes_;  // the model points into them
  std::unique_ptr<svm_model, FreeModel> model_;
  std::vector<int> classes_;
};

// Decision functions of rows whose labels are known.
struct Decisions {
  std::vector<std::vector<double>> values;
  std::vector<int> labels;

  Index n_right() const {
    Index n = 0;
    for (std::size_t i = 0; i < values.size(); ++i)
      n += std::ranges::max_element(values[i]) - values[i].begin() == labels[i];
    return n;
  }
};

std::vector<double> softmax(const std::vector<double>& decision, double factor) {
  const double largest = std::ranges::max(decision);
  std::vector<double> shares;
  for (const double each : decision) shares.push_back(std::exp(factor * (each - largest)));
  const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
  for (double& share : shares) share /= sum;
  return shares;
}

// The factor that makes the softmax of the decisions most likely, between 1/16 and 16; 1 of none. The loss
// has one minimum: it is convex in the factor.
double fitted_factor(const Decisions& decisions) {
  if (decisions.values.empty()) return 1;
  const auto loss = [&](double log_factor) {
    double sum = 0;
    for (std::size_t i = 0; i < decisions.values.size(); ++i)
      sum -= std::log(std::max(
          softmax(decisions.values[i], std::exp2(log_factor))[static_cast<std::size_t>(decisions.labels[i])],
          1e-12));
    return sum;
  };
  constexpr double golden = 0.6180339887498949;
  double low = -4, high = 4;
  double inner_low = high - golden * (high - low), inner_high = low + golden * (high - low);
  double loss_low = loss(inner_low), loss_high = loss(inner_high);
  for (int step = 0; step < 24; ++step) {  // 8 * 0.618^24 is 1e-4
    if (loss_low < loss_high) {
      high = inner_high;
      inner_high = inner_low;
      loss_high = loss_low;
      inner_low = high - golden * (high - low);
      loss_low = loss(inner_low);
    } else {
      low = inner_low;
      inner_low = inner_high;
      loss_low = loss_high;
      inner_high = low + golden * (high - low);
      loss_high = loss(inner_high);
    }
  }
  return std::exp2((low + high) / 2);
}

}  // namespace

Json svm_grid(Index n_features) {
  std::vector<double> gammas;
  for (const double factor : gamma_factors) gammas.push_back(factor / static_cast<double>(n_features));
  return {{"C", costs}, {"gamma", gammas}};
}

ClassicalOutcome run_svm(const ClassicalTask& task) {
  ThreadTimer timer;
  // One matrix of distances serves every candidate and fold.
  Matrix<double> squared(task.train.rows, task.train.rows);
  squared_distances(task.train, task.train, squared.view());
  const std::vector<SvmCandidate> candidates = candidates_of(task.train.cols);
  const std::vector<FoldRows> folds = fold_rows(task.train.rows, task.folds);
  std::vector<Decisions> decisions(candidates.size());
  std::vector<Index> n_right;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    for (const FoldRows& fold : folds) {
      const Machine machine(squared, task.labels, fold.train, candidates[i]);
      for (const int row : fold.test) {
        decisions[i].values.push_back(machine.decide(squared.row(row), task.n_classes));
        decisions[i].labels.push_back(task.labels[static_cast<std::size_t>(row)]);
      }
    }
    n_right.push_back(decisions[i].n_right());
  }
  const std::size_t best = best_candidate(n_right);
  const double factor = fitted_factor(decisions[best]);
  ClassicalOutcome outcome{.probabilities = Matrix<float>(task.test.rows, task.n_classes),
                           .parameters = {{"C", candidates[best].C}, {"gamma", candidates[best].gamma}},
                           .search_accuracy = 0,
                           .search = timer.lap(),
                           .fit = {},
                           .predict = {}};
  if (!folds.empty())
    outcome.search_accuracy = static_cast<double>(n_right[best]) / static_cast<double>(n_tested(task.folds));

  std::vector<int> every_row(static_cast<std::size_t>(task.train.rows));
  std::iota(every_row.begin(), every_row.end(), 0);
  const Machine machine(squared, task.labels, every_row, candidates[best]);
  outcome.fit = timer.lap();
  Matrix<double> to_train(task.test.rows, task.train.rows);
  squared_distances(task.test, task.train, to_train.view());
  for (Index row = 0; row < task.test.rows; ++row) {
    const std::vector<double> shares = softmax(machine.decide(to_train.row(row), task.n_classes), factor);
    for (Index label = 0; label < task.n_classes; ++label)
      outcome.probabilities(row, label) = static_cast<float>(shares[static_cast<std::size_t>(label)]);
  }
  outcome.predict = timer.lap();
  return outcome;
}

}  // namespace melgrad
