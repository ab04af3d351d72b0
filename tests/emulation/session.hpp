#pragma once
// One emulated device, its memory and its streams. A test makes a Session, runs code that calls CUDA, and
// finishes it.

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "block.hpp"
#include "fault.hpp"
#include "memory.hpp"
#include "sabotage.hpp"
#include "shadow.hpp"
#include "timeline.hpp"
#include "trace.hpp"

namespace melgrad::emulation {

// The strictest of the devices that the kernels are built for (an sm_89 or sm_120 board), with little memory.
struct DeviceModel {
  std::string name = "emulated device";
  int major = 8, minor = 9;
  int multiprocessors = 128;
  unsigned max_threads_per_block = 1024;
  int max_threads_per_multiprocessor = 1536;
  int max_blocks_per_multiprocessor = 24;
  std::size_t shared_per_block = 48 << 10;        // without opt-in
  std::size_t shared_per_block_optin = 99 << 10;  // with cudaFuncSetAttribute
  std::size_t shared_per_multiprocessor = 100 << 10;
  std::size_t memory = std::size_t{1} << 30;
};

// What is installed on the emulated machine.
struct DriverModel {
  int version = 13000;          // of CUDA, as cudaDriverGetVersion has it; 0: no driver
  int runtime_version = 13000;  // what the program was built with
  bool has_device = true;
  std::vector<DeviceModel> other_devices = {};  // after Options::device; they share its memory
};

struct Options {
  FiberOrder order = FiberOrder::ascending;
  Schedule schedule = Schedule::late;
  std::uint64_t seed = 1;  // of everything that is random
  DeviceModel device = {};
  DriverModel driver = {};
  bool allow_pageable = false;        // in cudaMemcpyAsync; CUDA then waits for the copy or not, as it likes
  bool allow_exited_threads = false;  // before a __syncthreads or warp operation of the others
  bool trace = false;                 // count traffic; needs a program whose accesses are seen
  int broken_lane = -1;               // a device that computes wrong: see BlockOptions
  Saboteur* saboteur = nullptr;       // spoils the code under test
  int fail_call = 0;                  // the n-th call of the runtime returns cudaErrorUnknown; 0: none
};

class Graphs;

class Session {
 public:
  // At most one at a time.
  explicit Session(Options options = {});
  // finish() must have been called, or an exception be on its way.
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Everything must be in order: all work synchronised, all memory freed, all errors fetched. Throws Fault.
  void finish();

  // Of the kernels run so far, with Options::trace.
  std::vector<KernelTrace> kernel_traces() const { return tracer_.kernels(); }
  std::uint64_t n_calls() const { return n_calls_; }  // of the runtime
  std::uint64_t n_allocations() const { return device_.allocations().size() + pinned_.allocations().size(); }

  // ---- for the runtime
  static Session& current();  // faults if there is none
  static Session* active();   // null if there is none

  const Options& options() const { return options_; }
  int n_devices() const;
  const DeviceModel& device_model(int device) const;
  const DeviceModel& device_model() const { return device_model(current_device_); }  // of cudaSetDevice's
  int& current_device() { return current_device_; }
  Timeline& timeline() { return timeline_; }
  Arena& device() { return device_; }
  Arena& pinned() { return pinned_; }
  Graphs& graphs() { return *graphs_; }
  std::recursive_mutex& mutex() { return mutex_; }

  Allocation* find_allocation(std::uintptr_t address);
  std::size_t& dynamic_shared_limit(const void* kernel);
  // Runs timeline work: device memory can be touched meanwhile.
  template <class Work>
  void run_device(Work&& work);
  void run_kernel(Launch launch, std::uint32_t operation);
  // A copy or memset has touched device or pinned memory. Races are faults.
  void note_range(std::uint32_t operation, std::uintptr_t address, std::size_t size, bool is_write);
  // For accesses of kernels; see access.cpp.
  Shadow& shadow(Space space) { return space == Space::device ? device_shadow_ : pinned_shadow_; }
  Shadow& shared_shadow() { return shared_shadow_; }
  Tracer& tracer() { return tracer_; }

  // Faults of calls that are made by destructors are kept for the next other call.
  void keep_fault(std::string message);
  void throw_kept_fault();
  bool is_dead() const { return is_dead_; }
  void die(std::string why);
  const std::string& why_dead() const { return death_; }
  bool count_call() { return static_cast<int>(++n_calls_) == options_.fail_call; }
  void set_last_error(int error, std::string call);
  int take_last_error(bool clear);

 private:
  Options options_;
  Timeline timeline_;
  Arena device_{Space::device};
  Arena pinned_{Space::pinned};
  Shadow device_shadow_, pinned_shadow_, shared_shadow_;
  Tracer tracer_;
  std::unique_ptr<Graphs> graphs_;
  std::unordered_map<const void*, std::size_t> dynamic_shared_limits_;
  std::recursive_mutex mutex_;
  std::optional<std::string> kept_fault_;
  std::uint64_t n_calls_ = 0;
  int last_error_ = 0;
  std::string last_error_call_;
  int device_depth_ = 0;
  int current_device_ = 0;
  bool is_dead_ = false;
  std::string death_;
  bool is_finished_ = false;
};

template <class Work>
void Session::run_device(Work&& work) {
  struct Opening {
    Session& s;
    explicit Opening(Session& session) : s(session) {
      if (s.device_depth_++ == 0) s.device_.set_accessible(true);
    }
    ~Opening() {
      if (--s.device_depth_ == 0) s.device_.set_accessible(false);
    }
  } opening(*this);
  work();
}

}  // namespace melgrad::emulation
