#include "session.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>

#include "device_functions.hpp"
#include "graphs.hpp"
#include "runtime_api.hpp"
#include "sanitizer.hpp"

namespace melgrad::emulation {
namespace {

Session* active_session = nullptr;
struct sigaction previous_handler;

// A wild access to memory that is protected. There is no way back from here: says what it was and ends the
// program.
void on_segmentation_fault(int, siginfo_t* info, void*) {
  const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
  const Thread* thread = running_thread();
  std::string text;
  if (active_session) {
    const Allocation* allocation = active_session->find_allocation(address);
    if (allocation && !thread && !allocation->freed_at && allocation->holds(address, 1))
      text = fmt::format("host code touches device memory: {}", describe(*allocation, address, 1));
    else if (allocation)
      text = fmt::format("wild access: {}", describe(*allocation, address, 1));
  }
  if (text.empty() && thread && fiber_stacks().is_guard(address))
    text = fmt::format("a thread's local memory exceeds {} bytes", fiber_stacks().usable_size());
  if (text.empty()) {  // none of ours
    sigaction(SIGSEGV, &previous_handler, nullptr);
    return;
  }
  if (thread) text = describe_running_thread() + ": " + text;
  text = "melgrad emulation: " + text + "\n";
  if (write(STDERR_FILENO, text.data(), text.size()) < 0) _exit(87);
  _exit(86);
}

// For as long as a Session lives; test frameworks have handlers too. On a stack of its own: a fiber's may
// have overflowed.
stack_t previous_stack;
void install_handler() {
  static std::array<char, 1 << 16> stack;
  stack_t alternative{};
  alternative.ss_sp = stack.data();
  alternative.ss_size = stack.size();
  sigaltstack(&alternative, &previous_stack);
  struct sigaction action {};
  action.sa_sigaction = on_segmentation_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGSEGV, &action, &previous_handler);
}
void restore_handler() {
  sigaction(SIGSEGV, &previous_handler, nullptr);
  sigaltstack(&previous_stack, nullptr);
}

}  // namespace

Session::Session(Options options)
    : options_(std::move(options)),
      timeline_(options_.schedule, options_.seed),
      graphs_(std::make_unique<Graphs>()) {
  if (active_session) throw Fault("a second emulation::Session while another is in use");
  if (options_.trace && !accesses_are_seen())
    throw Fault("Options::trace needs kernels that are compiled with -fsanitize=thread");
  active_session = this;
  device_shadow_.set_base(device_.base());
  pinned_shadow_.set_base(pinned_.base());
  shared_shadow_.set_base(shared_memory_begin());
  install_handler();
}

Session::~Session() {
  active_session = nullptr;
  restore_handler();
  if (is_finished_ || is_dead_ || std::uncaught_exceptions() > 0) return;
  std::fputs("melgrad emulation: a Session was not finished\n", stderr);
  std::abort();
}

Session& Session::current() {
  if (!active_session) throw Fault("CUDA is called and there is no emulation::Session");
  return *active_session;
}

Session* Session::active() {
  return active_session;
}

int Session::n_devices() const {
  return options_.driver.has_device ? 1 + static_cast<int>(options_.driver.other_devices.size()) : 0;
}

const DeviceModel& Session::device_model(int device) const {
  return device == 0 ? options_.device
                     : options_.driver.other_devices.at(static_cast<std::size_t>(device - 1));
}

Allocation* Session::find_allocation(std::uintptr_t address) {
  if (Allocation* allocation = device_.find(address)) return allocation;
  return pinned_.find(address);
}

std::size_t& Session::dynamic_shared_limit(const void* kernel) {
  return dynamic_shared_limits_.try_emplace(kernel, device_model().shared_per_block).first->second;
}

void Session::run_kernel(Launch launch, std::uint32_t operation) {
  launch.operation = operation;
  BlockOptions block;
  block.order = options_.order;
  block.seed = options_.seed + operation;
  block.allow_exited_threads = options_.allow_exited_threads;
  block.static_shared_limit = device_model().shared_per_block;
  block.broken_lane = options_.broken_lane;
  block.saboteur = options_.saboteur;
  block.shared_limit = device_model().shared_per_block_optin;
  const std::uint64_t n_blocks = std::uint64_t{launch.grid.x} * launch.grid.y * launch.grid.z;
  if (options_.trace)
    tracer_.begin_launch(launch.kernel, n_blocks, launch.block.x * launch.block.y * launch.block.z);
  run_device([&] { run_grid(launch, block); });
  if (options_.trace) tracer_.end_launch();
}

void Session::keep_fault(std::string message) {
  if (!is_dead_ && !kept_fault_) kept_fault_ = std::move(message);
}

void Session::throw_kept_fault() {
  if (!kept_fault_) return;
  die(*kept_fault_);
  throw Fault(*kept_fault_);
}

void Session::die(std::string why) {
  if (!is_dead_) death_ = std::move(why);
  is_dead_ = true;
}

void Session::set_last_error(int error, std::string call) {
  last_error_ = error;
  last_error_call_ = std::move(call);
}

int Session::take_last_error(bool clear) {
  const int error = last_error_;
  if (clear) last_error_ = 0;
  return error;
}

void Session::finish() {
  is_finished_ = true;
  if (is_dead_) throw Fault(death_);
  throw_kept_fault();
  const auto refuse = [&](const std::string& message) {
    die(message);
    throw Fault(message);
  };
  if (graphs_->is_capturing()) refuse(fmt::format("the end: {}", graphs_->describe_capture()));
  if (last_error_ != 0)
    refuse(fmt::format("the end: the error {} of {} was never fetched with cudaGetLastError",
                       emulated::cudaGetErrorName(static_cast<emulated::cudaError>(last_error_)),
                       last_error_call_));
  for (const std::uint32_t number : timeline_.unsynchronized())
    if (timeline_.operation(number).needs_synchronization)
      refuse(fmt::format("the end: nothing has waited for {}", timeline_.operation(number).name));
  const auto check_arena = [&](Arena& arena) {
    for (const auto& allocation : arena.allocations())
      if (!allocation->freed_at && !allocation->freed_by_stream_at)
        refuse(fmt::format("the end: never freed: the {}-byte allocation made in {}", allocation->size,
                           describe(allocation->allocated_at)));
  };
  check_arena(device_);
  check_arena(pinned_);
  const auto check_handles = [&](const auto& handles, const char* what) {
    for (const auto& handle : handles)
      if (!handle->is_destroyed)
        refuse(
            fmt::format("the end: never destroyed: the {} made in {}", what, describe(handle->created_at)));
  };
  check_handles(graphs_->events(), "event");
  check_handles(graphs_->graphs(), "graph");
  check_handles(graphs_->execs(), "executable graph");
  for (std::uint32_t i = 1; i < timeline_.n_streams(); ++i)
    if (!timeline_.stream(i).is_destroyed)
      refuse(fmt::format("the end: never destroyed: the stream made in {}",
                         describe(timeline_.stream(i).created_at)));
}

uint3 thread_index() {
  return running_thread()->index;
}
uint3 block_index() {
  return running_block().index;
}
dim3 block_shape() {
  return running_block().launch->block;
}
dim3 grid_shape() {
  return running_block().launch->grid;
}
unsigned lane_in_warp() {
  return running_thread()->lane();
}

}  // namespace melgrad::emulation

namespace melgrad::emulated {

void cudaError_t::complain() const {
  if (emulation::Session* session = emulation::Session::active())
    session->keep_fault(
        fmt::format("the result of {} in {} was never looked at", call_, emulation::describe(site_)));
}

}  // namespace melgrad::emulated

#if defined(__SANITIZE_ADDRESS__)
// AddressSanitizer calls this before its report.
extern "C" void __asan_on_error() {
  using namespace melgrad::emulation;
  if (running_thread()) std::fprintf(stderr, "melgrad emulation: %s:\n", describe_running_thread().c_str());
}
#endif
