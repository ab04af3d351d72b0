#include "host/cpu/feature_kernels.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "host/cpu/feature_kernels.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h, which includes this file once per target.
#include "host/cpu/cpu_features-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace melgrad {
namespace HWY_NAMESPACE {
namespace {

FeatureKernels kernels_of_target() {
  return {lanes, fft_columns, &transform, &decibels, &extract_clip};
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace melgrad
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace melgrad {

HWY_EXPORT(kernels_of_target);

FeatureKernels feature_kernels() {
  return HWY_DYNAMIC_DISPATCH(kernels_of_target)();
}

}  // namespace melgrad
#endif
