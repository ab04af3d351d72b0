// Operations of a warp: a rendezvous of the lanes in a mask.

#include "warp.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace melgrad::emulation {
namespace {

// What two lanes that name each other must agree on.
void check_agreement(const Thread& me, const Thread& other) {
  if (other.mask == me.mask && other.site.line() == me.site.line() &&
      same_text(other.operation, me.operation) && same_text(other.site.file_name(), me.site.file_name()))
    return;
  fault(fmt::format("lanes of a warp disagree: {}({:#010x}) in {}, but lane {} is at {}({:#010x}) in {}",
                    me.operation, me.mask, describe(me.site), other.lane(), other.operation, other.mask,
                    describe(other.site)));
}

// After the rendezvous every lane in the mask knows what any of them knew.
void join_knowledge(Block& block, unsigned base, unsigned mask) {
  std::array<std::uint16_t, warp_size> joined{};
  for (unsigned lane = 0; lane < warp_size; ++lane) {
    if (!(mask >> lane & 1)) continue;
    const auto& known = block.threads[base + lane].known;
    for (unsigned l = 0; l < warp_size; ++l) joined[l] = std::max(joined[l], known[l]);
  }
  for (unsigned lane = 0; lane < warp_size; ++lane) {
    if (!(mask >> lane & 1)) continue;
    auto& known = block.threads[base + lane].known;
    known = joined;
    if (++known[lane] >= max_warp_time)
      fault(fmt::format(
          "more than {} __syncwarp without a __syncthreads: the race detector cannot count further",
          max_warp_time));
  }
}

// Whether `thread` is still to come to the operation for which `me` waits.
bool is_awaited(const Thread& me, const Thread& thread) {
  return thread.state != ThreadState::done &&
         !(thread.state == ThreadState::at_warp_operation && thread.mask >> me.lane() & 1);
}

struct Shuffle {
  const void* value;
  void* result;
  std::size_t size;
  unsigned source_lane;
  bool reads_missing_lane;
};

struct Reduction {
  WarpReduction how;
  std::int64_t value;
  std::int64_t result;
};

}  // namespace

void warp_operation(const char* operation, unsigned mask, void* argument, CompleteWarp complete,
                    bool orders_memory, const Site& site) {
  Block& block = running_block();
  if (Saboteur* const saboteur = block.options.saboteur; saboteur != nullptr) {
    if (orders_memory && saboteur->strikes(Sabotage::no_syncwarp, operation, site)) return;
    if (saboteur->strikes(Sabotage::short_mask, operation, site)) mask &= mask >> 1;
  }
  Thread& me = *running_thread();
  const unsigned base = me.linear - me.lane();
  const unsigned n_lanes = std::min(block.n_threads - base, warp_size);
  if (!(mask >> me.lane() & 1))
    fault(fmt::format("{}({:#010x}) in {}: lane {} is not in its own mask", operation, mask, describe(site),
                      me.lane()));
  if (n_lanes < warp_size) mask &= (1u << n_lanes) - 1;  // lanes that the block does not have count as ended
  me.operation = operation;
  me.site = site;
  me.mask = mask;
  me.argument = argument;
  me.state = ThreadState::at_warp_operation;
  // Mostly a neighbour is still to come, in whatever order: then the last to arrive looks at them all.
  const auto awaits = [&](unsigned lane) {
    return lane < n_lanes && mask >> lane & 1 && is_awaited(me, block.threads[base + lane]);
  };
  if (awaits(me.lane() + 1) || awaits(me.lane() - 1)) return me.fiber.suspend();
  std::array<void*, warp_size> arguments{};
  bool all_here = true;
  for (unsigned lane = 0; lane < n_lanes; ++lane) {
    if (!(mask >> lane & 1)) continue;
    Thread& other = block.threads[base + lane];
    if (is_awaited(me, other)) {
      all_here = false;
    } else if (other.state != ThreadState::done) {
      check_agreement(me, other);
      arguments[lane] = other.argument;
    } else if (!block.options.allow_exited_threads) {
      fault(fmt::format("{}({:#010x}) in {}: lane {} is in the mask and has ended", operation, mask,
                        describe(site), lane));
    }
  }
  if (!all_here) return me.fiber.suspend();
  if (complete) complete(arguments.data());
  if (orders_memory) join_knowledge(block, base, mask);
  for (unsigned lane = 0; lane < n_lanes; ++lane)
    if (mask >> lane & 1 && block.threads[base + lane].state == ThreadState::at_warp_operation)
      block.threads[base + lane].state = ThreadState::ready;
}

void warp_shuffle(const char* operation, unsigned mask, const void* value, void* result, std::size_t size,
                  unsigned source_lane, const Site& site) {
  Shuffle mine{value, result, size, source_lane, false};
  const auto complete = [](void* const* arguments) {
    for (unsigned lane = 0; lane < warp_size; ++lane) {
      auto* to = static_cast<Shuffle*>(arguments[lane]);
      if (!to) continue;
      const auto* from = static_cast<const Shuffle*>(arguments[to->source_lane]);
      if (from) std::memcpy(to->result, from->value, to->size);
      to->reads_missing_lane = !from;
    }
  };
  warp_operation(operation, mask, &mine, complete, false, site);
  if (mine.reads_missing_lane)
    fault(fmt::format("{}({:#010x}) in {}: reads lane {}, which does not take part", operation, mask,
                      describe(site), source_lane));
}

bool is_in_broken_lane() {
  return static_cast<int>(running_thread()->lane()) == running_block().options.broken_lane;
}

std::int64_t warp_reduce(const char* operation, unsigned mask, WarpReduction how, std::int64_t value,
                         const Site& site) {
  Reduction mine{how, value, 0};
  const auto complete = [](void* const* arguments) {
    std::int64_t sum = 0, ballot = 0, all = -1, any = 0, parity = 0;
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    std::int64_t most = std::numeric_limits<std::int64_t>::min();
    for (unsigned lane = 0; lane < warp_size; ++lane) {
      const auto* argument = static_cast<const Reduction*>(arguments[lane]);
      if (!argument) continue;
      const std::int64_t v = argument->value;
      sum += v;
      ballot |= std::int64_t{v != 0} << lane;
      all &= v;
      any |= v;
      parity ^= v;
      least = std::min(least, v);
      most = std::max(most, v);
    }
    for (unsigned lane = 0; lane < warp_size; ++lane) {
      auto* argument = static_cast<Reduction*>(arguments[lane]);
      if (!argument) continue;
      switch (argument->how) {
        case WarpReduction::ballot:
          argument->result = ballot;
          break;
        case WarpReduction::add:
          argument->result = sum;
          break;
        case WarpReduction::min:
          argument->result = least;
          break;
        case WarpReduction::max:
          argument->result = most;
          break;
        case WarpReduction::bit_and:
          argument->result = all;
          break;
        case WarpReduction::bit_or:
          argument->result = any;
          break;
        case WarpReduction::bit_xor:
          argument->result = parity;
          break;
      }
    }
  };
  warp_operation(operation, mask, &mine, complete, false, site);
  return mine.result;
}

unsigned warp_match(const char* operation, unsigned mask, std::uint64_t value, const Site& site) {
  struct Match {
    std::uint64_t value;
    unsigned result;
  };
  Match mine{value, 0};
  const auto complete = [](void* const* arguments) {
    for (unsigned lane = 0; lane < warp_size; ++lane) {
      auto* argument = static_cast<Match*>(arguments[lane]);
      if (!argument) continue;
      for (unsigned l = 0; l < warp_size; ++l) {
        const auto* other = static_cast<const Match*>(arguments[l]);
        if (other && other->value == argument->value) argument->result |= 1u << l;
      }
    }
  };
  warp_operation(operation, mask, &mine, complete, false, site);
  return mine.result;
}

}  // namespace melgrad::emulation
