#pragma once
// Device memory and pinned host memory: ranges of addresses that are never used twice, so that whoever uses
// freed memory is found out. While host code runs, device memory cannot be touched at all.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fault.hpp"

namespace melgrad::emulation {

enum class Space : std::uint8_t { device, pinned };

struct Allocation {
  Space space;
  std::uintptr_t begin;  // 256-byte aligned, as CUDA's
  std::size_t size;
  Site allocated_at;
  std::optional<Site> freed_at = {};
  bool is_mapped = true;
  std::uint32_t made_by = 0;  // operation of its cudaMallocAsync
  std::optional<Site> freed_by_stream_at =
      {};  // cudaFreeAsync: forbidden to what is put on streams from then on

  std::uintptr_t end() const { return begin + size; }
  bool holds(std::uintptr_t address, std::size_t bytes) const {
    return address - begin <= size && bytes <= size - (address - begin);
  }
};

class Arena {
 public:
  explicit Arena(Space space);
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Filled with 0xff: NaN, -1.
  Allocation& allocate(std::size_t size, const Site& site);
  // Gives the memory back to the system; its addresses stay forbidden.
  void unmap(Allocation& allocation);
  // Whether device memory may be touched now.
  void set_accessible(bool accessible);

  bool holds(std::uintptr_t address) const { return address - base_ < reserved; }
  // The allocation that `address` points into, or past the end of, or just before; freed ones too. Null:
  // none.
  Allocation* find(std::uintptr_t address);
  std::uintptr_t base() const { return base_; }
  const std::vector<std::unique_ptr<Allocation>>& allocations() const { return allocations_; }
  std::size_t bytes_in_use() const { return bytes_in_use_; }

 private:
  static constexpr std::size_t reserved = std::size_t{1} << 37;  // addresses, not memory
  static constexpr std::size_t page = 4096;

  void map(Allocation& allocation, bool accessible);

  Space space_;
  std::uintptr_t base_;
  std::uintptr_t next_;
  bool accessible_;
  std::size_t bytes_in_use_ = 0;
  std::vector<std::unique_ptr<Allocation>> allocations_;
  std::vector<std::uint32_t> owner_;  // of each page: index into allocations_ plus 1
};

// "byte 40 of the 32-byte device allocation made in engine.cu:12", with what is wrong about it if anything
// is.
std::string describe(const Allocation& allocation, std::uintptr_t address, std::size_t bytes);

}  // namespace melgrad::emulation
