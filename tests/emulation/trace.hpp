#pragma once
// The audit's figures: what the memory requests of a kernel cost, counted as a GPU's load/store unit does.

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "access.hpp"

namespace melgrad::emulation {

// A request is one instruction of one warp. Global memory moves in sectors of 32 bytes. Shared memory moves
// in wavefronts: at most one word of each of its 32 banks; 8-byte accesses go by half warps, 16-byte ones by
// quarters.
struct Traffic {
  std::uint64_t requests = 0;
  std::uint64_t bytes = 0;             // asked for by the lanes; lanes at one address count once
  std::uint64_t sectors = 0;           // global memory
  std::uint64_t wavefronts = 0;        // shared memory
  std::uint64_t least_wavefronts = 0;  // shared memory, without bank conflicts

  Traffic& operator+=(const Traffic& o);
  // Share of the moved bytes that was asked for, in [0, 1].
  double sector_efficiency() const {
    return sectors == 0 ? 1 : static_cast<double>(bytes) / (32.0 * static_cast<double>(sectors));
  }
};

struct SiteTrace {
  std::string code;  // "fused.cu:120"
  bool is_shared = false;
  AccessKind kind = AccessKind::read;
  std::size_t access_size = 0;  // bytes of a lane
  Traffic traffic;
};

struct KernelTrace {
  std::string name;
  std::uint64_t launches = 0;
  std::uint64_t blocks = 0;
  std::uint64_t threads = 0;
  std::size_t max_shared_bytes = 0;  // static and dynamic, of a block
  Traffic global_read, global_write, global_atomic;
  Traffic shared_read, shared_write, shared_atomic;
  // Sectors that a launch touched at all, summed over launches: what device memory must move if caches are
  // perfect.
  std::uint64_t unique_sectors_read = 0, unique_sectors_written = 0;
  std::uint64_t unique_bytes = 0;  // of these sectors, read or written at all
  std::vector<SiteTrace> sites;    // in order of cost
};

// Collects accesses, matches the lanes of a warp into requests (the n-th time that each of them comes by the
// same code address), and adds up.
class Tracer {
 public:
  struct Place {
    const void* code;
    bool is_shared;
    AccessKind kind;
    std::uint32_t size;
    bool operator==(const Place&) const = default;
  };
  struct PlaceHash {
    std::size_t operator()(const Place& p) const {
      return std::hash<const void*>()(p.code) * 31 + p.size * 8 + static_cast<std::size_t>(p.kind) * 2 +
             p.is_shared;
    }
  };

  void begin_launch(const void* kernel, std::uint64_t n_blocks, std::uint64_t n_threads);
  void add(const Place& place, std::uint32_t thread, std::uintptr_t address);
  void end_block(std::size_t shared_bytes);
  void end_launch();
  // In order of names.
  std::vector<KernelTrace> kernels() const;

 private:
  struct Request {
    std::uint32_t mask = 0;
    std::array<std::uintptr_t, 32> addresses{};
  };
  struct OpenRequests {  // of one warp at one place
    std::array<std::uint32_t, 32> n_seen{};
    std::uint32_t first = 0;  // number of requests[0]
    std::deque<Request> requests;
  };
  struct PlaceTrace {
    Traffic traffic;
    std::vector<OpenRequests> warps;
  };
  struct Kernel {
    std::uint64_t launches = 0, blocks = 0, threads = 0;
    std::size_t max_shared_bytes = 0;
    std::uint64_t unique_sectors_read = 0, unique_sectors_written = 0, unique_bytes = 0;
    std::unordered_map<Place, PlaceTrace, PlaceHash> places;
  };
  static void count(const Place& place, const Request& request, Traffic& traffic);

  std::map<const void*, Kernel> kernels_;
  Kernel* current_ = nullptr;
  struct Sector {                         // touched by this launch
    std::uint32_t read = 0, written = 0;  // a bit for each byte
  };
  std::unordered_map<std::uintptr_t, Sector> sectors_;
};

}  // namespace melgrad::emulation
