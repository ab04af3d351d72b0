#pragma once
// Faults put into correct code, one at a time, without touching its source: what a forgotten line or an array
// that is too short would do. Shows for the code under test that its every synchronisation is needed and that
// the emulator notices where one is missing.

#include <set>
#include <string>
#include <utility>

#include "fault.hpp"

namespace melgrad::emulation {

enum class Sabotage {
  none,
  no_barrier,        // a __syncthreads is not there
  no_syncwarp,       // a __syncwarp is not there
  short_mask,        // a lane of a warp operation has a mask without its highest lane
  short_array,       // a shared array is a byte too short for its last element
  short_allocation,  // likewise memory from cudaMalloc or cudaMallocHost
  no_call,           // a copy, memset, event or wait of the host is not there
};

// One place in the code under test: "__syncthreads in clip_kernels.cu:45".
struct SabotagedPlace {
  Sabotage how = Sabotage::none;
  std::string place;
  bool operator<(const SabotagedPlace& o) const { return std::pair(how, place) < std::pair(o.how, o.place); }
};

class Saboteur {
 public:
  // Spoils `target`; or, if it is none, notes all places where something could be spoilt.
  explicit Saboteur(SabotagedPlace target) : target_(std::move(target)) {}
  bool strikes(Sabotage how, const char* operation, const Site& site) {
    return strikes(how, std::string(operation) + " in " + describe(site));
  }
  bool strikes(Sabotage how, std::string place) {
    if (target_.how == Sabotage::none) {
      seen_.insert({how, std::move(place)});
      return false;
    }
    return target_.how == how && target_.place == place;
  }
  // For calls of the runtime: whether they can be left out, and this one is.
  bool leaves_out(const char* call, const Site& site);
  const std::set<SabotagedPlace>& seen() const { return seen_; }

 private:
  SabotagedPlace target_;
  std::set<SabotagedPlace> seen_;
};

}  // namespace melgrad::emulation
