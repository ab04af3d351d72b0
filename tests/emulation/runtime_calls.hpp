#pragma once
// What the runtime's functions share: see runtime_api.hpp for the functions.

#include <fmt/format.h>

#include <mutex>
#include <string>

#include "graphs.hpp"
#include "runtime_api.hpp"
#include "session.hpp"

namespace melgrad::emulation {

using emulated::cudaError;
using emulated::cudaError_t;

// One call of the runtime: `body(session)` returns a cudaError; Faults get the call and its place in front.
template <class Body>
cudaError_t runtime_call(const char* call, const Site& site, Body&& body) {
  Session& session = Session::current();
  const std::lock_guard lock(session.mutex());
  if (session.is_dead())
    return cudaError_t(emulated::cudaErrorLaunchFailure);  // need not be looked at any more
  session.throw_kept_fault();
  cudaError error = emulated::cudaErrorUnknown;
  Saboteur* const saboteur = session.options().saboteur;
  if (saboteur != nullptr && saboteur->leaves_out(call, site)) {
    error = emulated::cudaSuccess;
  } else if (!session.count_call()) {
    try {
      error = body(session);
    } catch (const Fault& fault) {
      session.die(fmt::format("{} in {}: {}", call, describe(site), fault.what()));
      throw Fault(session.why_dead());
    }
  }
  if (error != emulated::cudaSuccess && error != emulated::cudaErrorNotReady)
    session.set_last_error(error, fmt::format("{} in {}", call, describe(site)));
  return cudaError_t(error, call, site);
}

// A call that destructors make: its result need not be looked at, and its fault is kept for the next other
// call.
template <class Body>
cudaError_t release_call(const char* call, const Site& site, Body&& body) {
  Session* session = Session::active();
  if (!session) return cudaError_t(emulated::cudaErrorLaunchFailure);
  const std::lock_guard lock(session->mutex());
  if (session->is_dead()) return cudaError_t(emulated::cudaErrorLaunchFailure);
  try {
    return cudaError_t(body(*session));
  } catch (const Fault& fault) {
    session->keep_fault(fmt::format("{} in {}: {}", call, describe(site), fault.what()));
    return cudaError_t(emulated::cudaErrorInvalidValue);
  }
}

// Faults on a destroyed stream. Null is the default stream.
StreamState& stream_of(Session& session, StreamState* stream);
// For calls that are illegal while any stream is being captured.
void refuse_during_capture(Session& session);
// For calls that wait for a stream, or ask about it.
void refuse_captured(Session& session, const StreamState& stream);
// Puts it on the stream, or into the graph that the stream is being captured into.
void enqueue(Session& session, StreamState& stream, Operation operation);
// Puts it on the stream now.
Operation& push(Session& session, StreamState& stream, Operation operation);
// Faults if the operation refers to memory that is freed, or not yet there in the order of streams.
void check_references(Session& session, const Operation& operation);
// "cudaMemcpyAsync in engine.cu:12"
std::string name_of(const char* call, const Site& site);

}  // namespace melgrad::emulation
