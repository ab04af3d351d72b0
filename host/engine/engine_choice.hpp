#pragma once
// Which engine "--device X" means, whatever engines a build has.

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "host/engine/cuda_status.hpp"
#include "host/engine/engine.hpp"

namespace melgrad {

struct EngineMakers {
  std::function<std::unique_ptr<Engine>()> cpu;
  std::function<CudaStatus()> cuda_status;
  // The engine on this device, checked; an Error where it cannot be used. Called for usable devices only.
  std::function<std::unique_ptr<Engine>(int device)> cuda;
};

// make_engine's rules.
MadeEngine choose_engine(std::string_view device, const EngineMakers& makers);

// The device of one process of several on a machine: each takes one of the usable GPUs in turn where any GPU
// was asked for. local_index counts the machine's processes from 0.
std::string device_of_process(std::string_view device, int local_index, const CudaStatus& cuda);

}  // namespace melgrad
