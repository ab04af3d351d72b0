#pragma once
// What the kernels ask of memory on realistic work, counted by the emulator (trace.hpp): for the audit
// (tools/audit) and the test of its limits. Needs a program whose accesses are seen.

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/cuda_feature_extractor.hpp"
#include "kernels/mlp_routes.hpp"
#include "trace.hpp"

namespace melgrad::emulated {

// Of one kernel.
struct KernelAudit {
  emulation::KernelTrace trace;
  // Bytes of device memory that a clip of a large batch moves, if caches are perfect within a launch and
  // empty between launches: tables, which a launch reads once, do not count.
  double device_bytes = 0;
  double useful_share = 0;  // of the bytes in the sectors moved, [0, 1]
  emulation::Traffic global, shared;
};

struct FeatureAudit {
  int n_clips = 0;
  double n_frames = 0;          // of all clips
  double compulsory_bytes = 0;  // of a clip: each sample read once, each feature written once
  double device_bytes = 0;      // of a clip, by all kernels
  std::vector<KernelAudit> kernels;
};

// The notebook's features of clips of 3.7 s at 48 kHz, int16, in one part.
FeatureAudit audit_features(ChromaRoute chroma);

// The groups of speech with kernels, of clips at 16 kHz, int16, in one part.
FeatureAudit audit_speech(double duration_s);

struct TrainingAudit {
  int n_models = 0;
  MlpShape shape;
  // Of a model's step: weights and both moments read and written once, rows and labels read once.
  double compulsory_bytes = 0;
  double device_bytes = 0;           // of a model's step, by our own kernels; cuBLAS's move more
  std::vector<KernelAudit> kernels;  // device_bytes: of a model; without products, which are cuBLAS's
};

// One epoch of one minibatch of several models by adam: the notebook's features and classes, hidden layers of
// 100 and 50 units, 128 rows.
TrainingAudit audit_training(MlpRoute route);

}  // namespace melgrad::emulated
