#include "trace.hpp"

#include <algorithm>
#include <bit>

#include "fault.hpp"

namespace melgrad::emulation {

Traffic& Traffic::operator+=(const Traffic& o) {
  requests += o.requests;
  bytes += o.bytes;
  sectors += o.sectors;
  wavefronts += o.wavefronts;
  least_wavefronts += o.least_wavefronts;
  return *this;
}

namespace {

// Numbers of distinct values among `values[0 .. n)`, which it sorts.
std::size_t count_distinct(std::uintptr_t* values, std::size_t n) {
  std::sort(values, values + n);
  return static_cast<std::size_t>(std::unique(values, values + n) - values);
}

// The wavefronts of the lanes [begin, end): the busiest bank's number of distinct words.
std::uint64_t wavefronts(const std::array<std::uintptr_t, 32>& addresses, std::uint32_t mask,
                         std::uint32_t size, unsigned begin, unsigned end) {
  std::array<std::uintptr_t, 256> words;
  std::size_t n = 0;
  for (unsigned lane = begin; lane < end; ++lane)
    if (mask >> lane & 1)
      for (std::uintptr_t word = addresses[lane] / 4; word <= (addresses[lane] + size - 1) / 4; ++word)
        if (n < words.size()) words[n++] = word;
  n = count_distinct(words.data(), n);
  std::array<std::uint32_t, 32> in_bank{};
  std::uint32_t most = 0;
  for (std::size_t i = 0; i < n; ++i) most = std::max(most, ++in_bank[words[i] % 32]);
  return most;
}

}  // namespace

void Tracer::count(const Place& place, const Request& request, Traffic& traffic) {
  std::array<std::uintptr_t, 32> addresses;
  std::size_t n = 0;
  for (unsigned lane = 0; lane < 32; ++lane)
    if (request.mask >> lane & 1) addresses[n++] = request.addresses[lane];
  n = count_distinct(addresses.data(), n);
  ++traffic.requests;
  std::uintptr_t covered = 0;  // end of the bytes counted so far
  std::uintptr_t next_sector = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const std::uintptr_t end = addresses[i] + place.size;
    traffic.bytes += end - std::clamp(covered, addresses[i], end);
    covered = std::max(covered, end);
    if (place.is_shared) continue;
    const std::uintptr_t first = std::max(addresses[i] / 32, next_sector), last = (end - 1) / 32;
    if (last >= first) traffic.sectors += last - first + 1;
    next_sector = std::max(next_sector, last + 1);
  }
  if (!place.is_shared) return;
  const unsigned lanes_at_once = place.size <= 4 ? 32 : place.size <= 8 ? 16 : 8;
  for (unsigned lane = 0; lane < 32; lane += lanes_at_once) {
    const std::uint64_t n_wavefronts =
        wavefronts(request.addresses, request.mask, place.size, lane, lane + lanes_at_once);
    traffic.wavefronts += n_wavefronts;
    traffic.least_wavefronts += n_wavefronts > 0;
  }
}

void Tracer::begin_launch(const void* kernel, std::uint64_t n_blocks, std::uint64_t n_threads) {
  current_ = &kernels_[kernel];
  ++current_->launches;
  current_->blocks += n_blocks;
  current_->threads += n_blocks * n_threads;
  sectors_.clear();
}

void Tracer::add(const Place& place, std::uint32_t thread, std::uintptr_t address) {
  PlaceTrace& trace = current_->places[place];
  const std::uint32_t warp = thread / 32, lane = thread % 32;
  if (warp >= trace.warps.size()) trace.warps.resize(warp + 1);
  OpenRequests& open = trace.warps[warp];
  const std::uint32_t index = open.n_seen[lane]++ - open.first;
  if (index >= open.requests.size()) open.requests.resize(index + 1);
  Request& request = open.requests[index];
  request.mask |= 1u << lane;
  request.addresses[lane] = address;
  while (!open.requests.empty() && open.requests.front().mask == ~0u) {
    count(place, open.requests.front(), trace.traffic);
    open.requests.pop_front();
    ++open.first;
  }
  if (place.is_shared) return;
  for (std::uintptr_t at = address; at < address + place.size; at = (at / 32 + 1) * 32) {
    Sector& sector = sectors_[at / 32];
    const std::uintptr_t end = std::min(address + place.size, (at / 32 + 1) * 32);
    const auto bytes = static_cast<std::uint32_t>(((std::uint64_t{1} << (end - at)) - 1) << at % 32);
    const auto touch = [&](std::uint32_t& known, std::uint64_t& sectors) {
      sectors += known == 0;
      current_->unique_bytes += static_cast<std::uint64_t>(std::popcount(bytes & ~known));
      known |= bytes;
    };
    if (place.kind != AccessKind::write) touch(sector.read, current_->unique_sectors_read);
    if (place.kind != AccessKind::read) touch(sector.written, current_->unique_sectors_written);
  }
}

void Tracer::end_block(std::size_t shared_bytes) {
  current_->max_shared_bytes = std::max(current_->max_shared_bytes, shared_bytes);
  for (auto& [place, trace] : current_->places) {
    for (OpenRequests& open : trace.warps) {
      for (const Request& request : open.requests)
        if (request.mask != 0) count(place, request, trace.traffic);
      open = {};
    }
  }
}

void Tracer::end_launch() {
  current_ = nullptr;
  sectors_.clear();
}

std::vector<KernelTrace> Tracer::kernels() const {
  std::vector<KernelTrace> result;
  for (const auto& [address, kernel] : kernels_) {
    KernelTrace trace;
    trace.name = function_name(address);
    trace.launches = kernel.launches;
    trace.blocks = kernel.blocks;
    trace.threads = kernel.threads;
    trace.max_shared_bytes = kernel.max_shared_bytes;
    trace.unique_sectors_read = kernel.unique_sectors_read;
    trace.unique_sectors_written = kernel.unique_sectors_written;
    trace.unique_bytes = kernel.unique_bytes;
    std::vector<const void*> codes;
    for (const auto& [place, site] : kernel.places) codes.push_back(place.code);
    const std::vector<std::string> lines = code_lines(codes);
    auto line = lines.begin();
    for (const auto& [place, site] : kernel.places) {
      Traffic* const sums[2][3] = {{&trace.global_read, &trace.global_write, &trace.global_atomic},
                                   {&trace.shared_read, &trace.shared_write, &trace.shared_atomic}};
      *sums[place.is_shared][static_cast<int>(place.kind)] += site.traffic;
      trace.sites.push_back({*line++, place.is_shared, place.kind, place.size, site.traffic});
    }
    const auto cost = [](const SiteTrace& s) {
      return s.is_shared ? s.traffic.wavefronts : s.traffic.sectors;
    };
    std::sort(trace.sites.begin(), trace.sites.end(), [&](const SiteTrace& a, const SiteTrace& b) {
      return std::pair(cost(b), a.code) < std::pair(cost(a), b.code);
    });
    result.push_back(std::move(trace));
  }
  std::sort(result.begin(), result.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return result;
}

}  // namespace melgrad::emulation
