#pragma once
// The CUDA engine's FeatureExtractor: samples go up as they are, feature rows come back. MELGRAD_KERNELS is
// `cuda` under nvcc and `emulated` in the tests (kernels/launch.cuh).

#include <cstddef>
#include <memory>

#include "host/engine/engine.hpp"
#include "host/features/feature_plan.hpp"

namespace melgrad::MELGRAD_KERNELS {

// Where the second pass, which chroma with an estimated tuning needs, has its magnitudes from.
enum class ChromaRoute {
  automatic,   // by the device: see chroma_route() in cuda_feature_extractor.cu
  recomputed,  // transforms the samples again
  stored,      // the first pass keeps them, as 16 bits of the frame's largest
};

// Which transform computes spectra.
enum class TransformRoute {
  automatic,  // fused where n_fft is a power of two in [256, 4096]
  vendor,     // cuFFT, for every n_fft
};

struct CudaFeatureOptions {
  int device = 0;
  // Of device memory, for all that a batch needs; 0: what most of the free memory allows. Batches are cut by
  // it.
  std::size_t device_bytes = 0;
  // Samples of a part of a batch, whose upload overlaps with the kernels of the part before.
  std::size_t part_bytes = std::size_t{16} << 20;
  ChromaRoute chroma = ChromaRoute::automatic;
  TransformRoute transform = TransformRoute::automatic;
};

// extract and tracks throw Error for a clip without a frame, and for one that device_bytes do not hold. A
// clip's row does not depend on its batch, on how that is cut, or on device_bytes.
std::unique_ptr<FeatureExtractor> make_cuda_feature_extractor(const FeaturePlan& plan,
                                                              const CudaFeatureOptions& options = {});

}  // namespace melgrad::MELGRAD_KERNELS
