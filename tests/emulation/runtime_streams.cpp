// Streams, events, graphs and kernels of the emulated runtime.

#include <algorithm>
#include <chrono>

#include "runtime_calls.hpp"

namespace melgrad::emulation {

std::string name_of(const char* call, const Site& site) {
  return fmt::format("{} in {}", call, describe(site));
}

StreamState& stream_of(Session& session, StreamState* stream) {
  if (!stream) return session.timeline().stream(0);
  if (stream->is_destroyed)
    fault(fmt::format("the stream made in {} is destroyed", describe(stream->created_at)));
  return *stream;
}

void refuse_during_capture(Session& session) {
  if (session.graphs().is_capturing())
    fault(fmt::format("illegal while {}", session.graphs().describe_capture()));
}

void refuse_captured(Session& session, const StreamState& stream) {
  if (session.graphs().is_capturing(stream))
    fault(fmt::format("illegal while {}", session.graphs().describe_capture()));
}

void enqueue(Session& session, StreamState& stream, Operation operation) {
  if (session.graphs().is_capturing(stream)) {
    check_references(session, operation);
    session.graphs().add(stream, std::move(operation));
    return;
  }
  if (stream.index == 0) refuse_during_capture(session);
  push(session, stream, std::move(operation));
}

}  // namespace melgrad::emulation

namespace melgrad::emulated {

using namespace emulation;

namespace {

EventState& event_of(EventState* event) {
  if (!event) fault("the event is null");
  if (event->is_destroyed)
    fault(fmt::format("the event made in {} is destroyed", describe(event->created_at)));
  return *event;
}

double now_ms() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// An operation that the host asks about but does not wait for.
cudaError query(Session& session, std::uint32_t operation) {
  Timeline& timeline = session.timeline();
  if (operation == 0) return cudaSuccess;
  if (!timeline.operation(operation).is_done) {
    session.run_device([&] { timeline.progress(); });  // a polling host gets there in the end
    return cudaErrorNotReady;
  }
  timeline.synchronize(operation);
  return cudaSuccess;
}

// Faults if CUDA would not launch this.
void check_launch(Session& session, const void* kernel, dim3 grid, dim3 block, std::size_t shared_bytes) {
  const DeviceModel& device = session.device_model();
  const auto refuse = [&](const std::string& what) {
    fault(fmt::format("kernel {}: {}", function_name(kernel), what));
  };
  const std::uint64_t n_threads = std::uint64_t{block.x} * block.y * block.z;
  if (n_threads == 0 || n_threads > device.max_threads_per_block || block.x > 1024 || block.y > 1024 ||
      block.z > 64)
    refuse(fmt::format("block of ({},{},{}) threads; a block has 1 to {}, at most (1024,1024,64)", block.x,
                       block.y, block.z, device.max_threads_per_block));
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffff || grid.y > 65535 || grid.z > 65535)
    refuse(fmt::format("grid of ({},{},{}) blocks; at least one, at most (2147483647,65535,65535)", grid.x,
                       grid.y, grid.z));
  const std::size_t limit = session.dynamic_shared_limit(kernel);
  if (shared_bytes > limit)
    refuse(
        fmt::format("{} bytes of dynamic shared memory; {} are allowed to this kernel, and up to {} after "
                    "cudaFuncSetAttribute(cudaFuncAttributeMaxDynamicSharedMemorySize)",
                    shared_bytes, limit, device.shared_per_block_optin));
}

}  // namespace

void launch_kernel(KernelCall call, dim3 grid, dim3 block, std::size_t shared_bytes, cudaStream_t stream,
                   Site site) {
  // Looked at by nobody: the error of a launch is fetched with cudaGetLastError.
  const cudaError_t launched = runtime_call("launch", site, [&](Session& session) {
    StreamState& on = stream_of(session, stream);
    check_launch(session, call.kernel, grid, block, shared_bytes);
    Launch launch;
    launch.kernel = call.kernel;
    launch.site = site;
    launch.grid = grid;
    launch.block = block;
    launch.dynamic_shared_bytes = shared_bytes;
    launch.arguments = call.arguments.get();
    launch.arguments_size = call.arguments_size;
    launch.body = call.body;
    Operation operation;
    operation.name = fmt::format("kernel {} launched in {}", function_name(call.kernel), describe(site));
    operation.pointers = std::move(call.words);
    operation.needs_synchronization = true;
    operation.run = [&session, launch, arguments = call.arguments](std::uint32_t number) {
      check_references(session, session.timeline().operation(number));
      session.run_kernel(launch, number);
    };
    enqueue(session, on, std::move(operation));
    return cudaSuccess;
  });
  static_cast<void>(static_cast<cudaError>(launched));
}

cudaError_t set_function_attribute(const void* kernel, cudaFuncAttribute attribute, int value, Site site) {
  return runtime_call("cudaFuncSetAttribute", site, [&](Session& session) {
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
    if (value < 0 || static_cast<std::size_t>(value) > session.device_model().shared_per_block_optin)
      return cudaErrorInvalidValue;
    session.dynamic_shared_limit(kernel) = static_cast<std::size_t>(value);
    return cudaSuccess;
  });
}

// Of threads, blocks and dynamic shared memory; registers and static shared memory are not known here.
cudaError_t max_active_blocks(int* n_blocks, const void*, int n_threads, std::size_t shared_bytes,
                              Site site) {
  return runtime_call("cudaOccupancyMaxActiveBlocksPerMultiprocessor", site, [&](Session& session) {
    const DeviceModel& device = session.device_model();
    if (n_threads <= 0 || n_threads > static_cast<int>(device.max_threads_per_block))
      return cudaErrorInvalidValue;
    const int warps = (n_threads + 31) / 32;
    *n_blocks =
        std::min(device.max_blocks_per_multiprocessor, device.max_threads_per_multiprocessor / (32 * warps));
    const auto by_shared =
        device.shared_per_multiprocessor / (shared_bytes + 1024);  // 1 KB belongs to the system
    *n_blocks = std::min(*n_blocks, static_cast<int>(by_shared));
    return cudaSuccess;
  });
}

// ---- streams

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags, Site site) {
  return runtime_call("cudaStreamCreate", site, [&](Session& session) {
    *stream = &session.timeline().create_stream(flags != cudaStreamNonBlocking, site);
    return cudaSuccess;
  });
}
cudaError_t cudaStreamCreate(cudaStream_t* stream, Site site) {
  return cudaStreamCreateWithFlags(stream, cudaStreamDefault, site);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream, Site site) {
  return release_call("cudaStreamDestroy", site, [&](Session& session) {
    if (!stream) fault("the default stream cannot be destroyed");
    StreamState& state = stream_of(session, stream);
    refuse_captured(session, state);
    for (const std::uint32_t number : session.timeline().unsynchronized()) {
      const Operation& operation = session.timeline().operation(number);
      if (operation.stream == state.index && operation.needs_synchronization)
        fault(fmt::format("nothing has waited for {} on it", operation.name));
    }
    state.is_destroyed = true;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream, Site site) {
  return runtime_call("cudaStreamSynchronize", site, [&](Session& session) {
    const StreamState& state = stream_of(session, stream);
    refuse_captured(session, state);
    session.run_device([&] { session.timeline().synchronize(state.last); });
    return cudaSuccess;
  });
}

cudaError_t cudaStreamQuery(cudaStream_t stream, Site site) {
  return runtime_call("cudaStreamQuery", site, [&](Session& session) {
    const StreamState& state = stream_of(session, stream);
    refuse_captured(session, state);
    return query(session, state.last);
  });
}

cudaError_t cudaDeviceSynchronize(Site site) {
  return runtime_call("cudaDeviceSynchronize", site, [&](Session& session) {
    refuse_during_capture(session);
    session.run_device([&] { session.timeline().synchronize_all(); });
    return cudaSuccess;
  });
}

// ---- events

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags, Site site) {
  return runtime_call("cudaEventCreate", site, [&](Session& session) {
    *event = &session.graphs().create_event(site);
    (*event)->has_timing = !(flags & cudaEventDisableTiming);
    return cudaSuccess;
  });
}
cudaError_t cudaEventCreate(cudaEvent_t* event, Site site) {
  return cudaEventCreateWithFlags(event, cudaEventDefault, site);
}

cudaError_t cudaEventDestroy(cudaEvent_t event, Site site) {
  return release_call("cudaEventDestroy", site, [&](Session&) {
    event_of(event).is_destroyed = true;
    return cudaSuccess;
  });
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream, Site site) {
  return runtime_call("cudaEventRecord", site, [&](Session& session) {
    EventState& state = event_of(event);
    StreamState& on = stream_of(session, stream);
    if (session.graphs().is_capturing(on)) {
      session.graphs().record(state, on);
      return cudaSuccess;
    }
    Operation record;
    record.name = name_of("cudaEventRecord", site);
    record.run = [&state](std::uint32_t) { state.time_ms = now_ms(); };
    state.operation = push(session, on, std::move(record)).number;
    state.capture = 0;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned, Site site) {
  return runtime_call("cudaStreamWaitEvent", site, [&](Session& session) {
    const EventState& state = event_of(event);
    StreamState& on = stream_of(session, stream);
    Graphs& graphs = session.graphs();
    if (graphs.is_of_capture(state)) {
      graphs.wait(on, state);
      return cudaSuccess;
    }
    if (graphs.is_capturing(on))
      fault("a stream under capture waits for an event from outside of the capture");
    if (state.capture) fault("waits for an event that was last recorded in a capture that has ended");
    if (!state.operation) return cudaSuccess;  // CUDA: never recorded is as good as over
    Operation wait;
    wait.name = name_of("cudaStreamWaitEvent", site);
    wait.after.push_back(state.operation);
    push(session, on, std::move(wait));
    return cudaSuccess;
  });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event, Site site) {
  return runtime_call("cudaEventSynchronize", site, [&](Session& session) {
    const EventState& state = event_of(event);
    if (state.capture) fault("the event was recorded in a capture, which records no time");
    session.run_device([&] { session.timeline().synchronize(state.operation); });
    return cudaSuccess;
  });
}

cudaError_t cudaEventQuery(cudaEvent_t event, Site site) {
  return runtime_call("cudaEventQuery", site, [&](Session& session) {
    const EventState& state = event_of(event);
    if (state.capture) fault("the event was recorded in a capture, which records no time");
    return query(session, state.operation);
  });
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end, Site site) {
  return runtime_call("cudaEventElapsedTime", site, [&](Session& session) {
    for (const EventState* event : {&event_of(begin), &event_of(end)}) {
      if (!event->has_timing) fault("the event was made with cudaEventDisableTiming");
      if (!event->operation) fault("the event was never recorded");
      if (!session.timeline().operation(event->operation).is_done) return cudaErrorNotReady;
    }
    *milliseconds = static_cast<float>(end->time_ms - begin->time_ms);
    return cudaSuccess;
  });
}

// ---- graphs

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode, Site site) {
  return runtime_call("cudaStreamBeginCapture", site, [&](Session& session) {
    session.graphs().begin(stream_of(session, stream), site);
    return cudaSuccess;
  });
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph, Site site) {
  return runtime_call("cudaStreamEndCapture", site, [&](Session& session) {
    *graph = &session.graphs().end(stream_of(session, stream));
    return cudaSuccess;
  });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long, Site site) {
  return runtime_call("cudaGraphInstantiate", site, [&](Session& session) {
    if (!graph || graph->is_destroyed) fault("the graph is destroyed");
    *exec = &session.graphs().instantiate(*graph, session.timeline(), site);
    return cudaSuccess;
  });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream, Site site) {
  return runtime_call("cudaGraphLaunch", site, [&](Session& session) {
    if (!exec || exec->is_destroyed) fault("the executable graph is destroyed");
    StreamState& on = stream_of(session, stream);
    refuse_captured(session, on);
    session.graphs().push = [&](StreamState& where, Operation operation) -> Operation& {
      return push(session, where, std::move(operation));
    };
    session.graphs().launch(*exec, on, session.timeline(), name_of("cudaGraphLaunch", site));
    return cudaSuccess;
  });
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec, Site site) {
  return release_call("cudaGraphExecDestroy", site, [&](Session&) {
    if (!exec || exec->is_destroyed) fault("the executable graph is destroyed already");
    exec->is_destroyed = true;
    return cudaSuccess;
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph, Site site) {
  return release_call("cudaGraphDestroy", site, [&](Session&) {
    if (!graph || graph->is_destroyed) fault("the graph is destroyed already");
    graph->is_destroyed = true;
    return cudaSuccess;
  });
}

}  // namespace melgrad::emulated
