// The loss of a minibatch and its gradient by the logits: see "Targets of the loss" in training_rules.hpp.
// Included once per target of Highway.

#if defined(MELGRAD_HOST_CPU_MLP_LOSS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef MELGRAD_HOST_CPU_MLP_LOSS_INL
#undef MELGRAD_HOST_CPU_MLP_LOSS_INL
#else
#define MELGRAD_HOST_CPU_MLP_LOSS_INL
#endif

#include <hwy/highway.h>

#include "hwy/contrib/math/math-inl.h"

#include <algorithm>

#include "host/cpu/cpu_mlp_kernels.hpp"
#include "host/cpu/mlp_epilogues-inl.hpp"
#include "host/cpu/vector_math-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace melgrad {
namespace HWY_NAMESPACE {

// Row r of z [n_rows, n_classes] becomes its softmax; sum of exponentials and maximum are returned.
struct SoftmaxRow {
  float sum;
  float maximum;
};
HWY_INLINE SoftmaxRow softmax_row(float* z, Index n_classes) {
  const FloatTag d;
  const Index lanes = n_lanes();
  // Lanes beyond the classes take the lowest float, whose exponential must count as 0.
  const auto load = [&](Index c) HWY_ATTR {
    const FloatVec x = hn::Load(d, z + c);
    return hn::IfThenElse(hn::FirstN(d, static_cast<std::size_t>(n_classes - c)), x,
                          hn::Set(d, hwy::LowestValue<float>()));
  };
  FloatVec maximum = load(0);
  for (Index c = lanes; c < n_classes; c += lanes) maximum = hn::Max(maximum, load(c));
  maximum = hn::MaxOfLanes(d, maximum);
  FloatVec sum = hn::Zero(d);
  for (Index c = 0; c < n_classes; c += lanes) {
    const auto is_class = hn::FirstN(d, static_cast<std::size_t>(n_classes - c));
    const FloatVec e = hn::IfThenElseZero(is_class, exp(d, hn::Sub(load(c), maximum)));
    sum = hn::Add(sum, e);
    hn::Store(e, d, z + c);
  }
  sum = hn::SumOfLanes(d, sum);
  const FloatVec scale = hn::Div(hn::Set(d, 1.0f), sum);
  for (Index c = 0; c < n_classes; c += lanes) hn::Store(hn::Mul(hn::Load(d, z + c), scale), d, z + c);
  return {hn::GetLane(sum), hn::GetLane(maximum)};
}

// Sum over the rows of at most max_row_loss each: log(sums) + gaps.
inline double sum_of_losses(float* sums, float* gaps, Index n_rows) {
  const FloatTag d;
  for (Index row = n_rows; row < padded_columns(n_rows); ++row) {
    sums[row] = 1;
    gaps[row] = 0;
  }
  FloatVec total = hn::Zero(d);
  for (Index row = 0; row < n_rows; row += n_lanes()) {
    const FloatVec loss = hn::Add(hn::Log(d, hn::Load(d, sums + row)), hn::Load(d, gaps + row));
    total = hn::Add(total, at_most(d, loss, max_row_loss));
  }
  return static_cast<double>(hn::GetLane(hn::SumOfLanes(d, total)));
}

// --- One label a row, of weight 1 ---

// Softmax and cross-entropy: z [n_rows, n_classes] becomes probability - target; gives the sum over the rows
// of -log(probability of the label).
inline double softmax_loss(const MlpNetwork& network, Index n_rows, MlpWorkspace& workspace) {
  const Index n_classes = network.layers.back().fan_out;
  float* sums = workspace.row_terms[0].data();
  float* gaps = workspace.row_terms[1].data();
  for (Index row = 0; row < n_rows; ++row) {
    float* z = workspace.activations.back().data() + row * row_stride(n_classes + 1);
    const int label = workspace.labels[static_cast<std::size_t>(row)];
    const float z_label = z[label];
    const SoftmaxRow softmax = softmax_row(z, n_classes);
    z[label] -= 1.0f;
    sums[row] = softmax.sum;
    gaps[row] = softmax.maximum - z_label;
  }
  return sum_of_losses(sums, gaps, n_rows);
}

// One logistic output and binary cross-entropy: z [n_rows] becomes probability - label, with
// loss = log(1 + e^-|z|) + max(z, 0) - z label, and no cancellation for large |z|.
inline double logistic_loss(const MlpNetwork& network, Index n_rows, MlpWorkspace& workspace) {
  const Index stride = row_stride(network.layers.back().fan_out + 1);
  float* sums = workspace.row_terms[0].data();
  float* gaps = workspace.row_terms[1].data();
  float* z = workspace.activations.back().data();
  const FloatTag d;
  const FloatVec one = hn::Set(d, 1.0f);
  for (Index first = 0; first < n_rows; first += n_lanes()) {
    const Index n = std::min(n_lanes(), n_rows - first);
    HWY_ALIGN float z_lanes[16] = {};
    HWY_ALIGN float labels[16] = {};
    HWY_ALIGN float delta[16];
    for (Index i = 0; i < n; ++i) {
      z_lanes[i] = z[(first + i) * stride];
      labels[i] = static_cast<float>(workspace.labels[static_cast<std::size_t>(first + i)]);
    }
    const FloatVec x = hn::Load(d, z_lanes);
    const FloatVec label = hn::Load(d, labels);
    const FloatVec e = exp(d, hn::Neg(hn::Abs(x)));
    const FloatVec sum = hn::Add(one, e);
    const FloatVec rest = reciprocal(d, sum);  // of the likelier class
    const FloatVec probability = hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Mul(e, rest), rest);
    hn::Store(hn::Sub(probability, label), d, delta);
    hn::Store(sum, d, sums + first);
    hn::Store(hn::NegMulAdd(x, label, at_least(d, x, 0.0f)), d, gaps + first);
    for (Index i = 0; i < n; ++i) z[(first + i) * stride] = delta[i];
  }
  return sum_of_losses(sums, gaps, n_rows);
}

// --- Soft targets: workspace.targets and workspace.smoothed ---

// t [padded classes] of a row, in workspace.target_row; gives the sum of them.
inline float fill_target_row(const RowTarget& target, Index n_classes, MlpWorkspace& workspace) {
  float* t = workspace.target_row.data();
  std::copy_n(workspace.smoothed.data(), n_classes, t);
  t[target.label] += target.share;
  t[target.partner_label] += target.partner_share;
  return workspace.smoothed_sum + target.share + target.partner_share;
}

// z [n_rows, n_classes] becomes the gradient T p - t; gives the sum of t_c times -log(p_c).
inline double soft_softmax_loss(const MlpNetwork& network, Index n_rows, MlpWorkspace& workspace) {
  const FloatTag d;
  const Index n_classes = network.layers.back().fan_out;
  float* t = workspace.target_row.data();
  float* logits = workspace.logit_row.data();
  double loss = 0;
  for (Index row = 0; row < n_rows; ++row) {
    float* z = workspace.activations.back().data() + row * row_stride(n_classes + 1);
    const float total =
        fill_target_row(workspace.targets[static_cast<std::size_t>(row)], n_classes, workspace);
    std::copy_n(z, n_classes, logits);
    const SoftmaxRow softmax = softmax_row(z, n_classes);
    const FloatVec log_sum = hn::Add(hn::Log(d, hn::Set(d, softmax.sum)), hn::Set(d, softmax.maximum));
    FloatVec terms = hn::Zero(d);
    for (Index c = 0; c < n_classes; c += n_lanes()) {
      const FloatVec target = hn::Load(d, t + c);  // 0 beyond the classes
      const FloatVec surprise = at_most(d, hn::Sub(log_sum, hn::Load(d, logits + c)), max_row_loss);
      terms = hn::MulAdd(target, surprise, terms);
      hn::Store(hn::MulSub(hn::Set(d, total), hn::Load(d, z + c), target), d, z + c);
    }
    loss += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, terms)));
  }
  return loss;
}

// Likewise for the one logistic output of two classes: z [n_rows].
inline double soft_logistic_loss(const MlpNetwork& network, Index n_rows, MlpWorkspace& workspace) {
  const FloatTag d;
  const Index stride = row_stride(network.layers.back().fan_out + 1);
  float* z = workspace.activations.back().data();
  const FloatVec one = hn::Set(d, 1.0f);
  FloatVec terms = hn::Zero(d);
  for (Index first = 0; first < n_rows; first += n_lanes()) {
    const Index n = std::min(n_lanes(), n_rows - first);
    HWY_ALIGN float z_lanes[16] = {};
    HWY_ALIGN float t_lanes[2][16] = {};  // rows that are not there count for nothing
    for (Index i = 0; i < n; ++i) {
      z_lanes[i] = z[(first + i) * stride];
      fill_target_row(workspace.targets[static_cast<std::size_t>(first + i)], 2, workspace);
      for (int c = 0; c < 2; ++c) t_lanes[c][i] = workspace.target_row.data()[c];
    }
    const FloatVec x = hn::Load(d, z_lanes);
    const FloatVec t_0 = hn::Load(d, t_lanes[0]), t_1 = hn::Load(d, t_lanes[1]);
    const FloatVec e = exp(d, hn::Neg(hn::Abs(x)));
    const FloatVec rest = reciprocal(d, hn::Add(one, e));  // of the likelier class
    const FloatVec probability = hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Mul(e, rest), rest);
    const FloatVec log_sum = hn::Log(d, hn::Add(one, e));
    const FloatVec surprise_0 = at_most(d, hn::Add(log_sum, at_least(d, x, 0.0f)), max_row_loss);
    const FloatVec surprise_1 = at_most(d, hn::Add(log_sum, at_least(d, hn::Neg(x), 0.0f)), max_row_loss);
    terms = hn::MulAdd(t_0, surprise_0, hn::MulAdd(t_1, surprise_1, terms));
    HWY_ALIGN float delta[16];
    hn::Store(hn::MulSub(hn::Add(t_0, t_1), probability, t_1), d, delta);
    for (Index i = 0; i < n; ++i) z[(first + i) * stride] = delta[i];
  }
  return static_cast<double>(hn::GetLane(hn::SumOfLanes(d, terms)));
}

// The last activations, logits, become the gradient; gives the sum of the rows' losses.
inline double loss_and_gradient(const MlpNetwork& network, Index n_rows, MlpWorkspace& workspace) {
  if (network.n_classes == 2)
    return workspace.soft_targets ? soft_logistic_loss(network, n_rows, workspace)
                                  : logistic_loss(network, n_rows, workspace);
  return workspace.soft_targets ? soft_softmax_loss(network, n_rows, workspace)
                                : softmax_loss(network, n_rows, workspace);
}

}  // namespace HWY_NAMESPACE
}  // namespace melgrad
HWY_AFTER_NAMESPACE();

#endif  // include guard per target
