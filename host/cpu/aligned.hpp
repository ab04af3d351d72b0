#pragma once
// Memory for SIMD: aligned to whole pages where it is large, never zeroed, grows and never shrinks.

#include <cstddef>
#include <memory>
#include <new>

#include <sys/mman.h>

namespace melgrad {

// An uninitialised array of trivial T. Pages that are never touched cost address space alone.
template <class T>
class AlignedArray {
 public:
  AlignedArray() = default;
  explicit AlignedArray(std::size_t size) { require(size); }

  // Makes room for `size` elements; the contents are lost if the array has to grow.
  void require(std::size_t size) {
    if (size <= size_) return;
    data_.reset();
    size_ = 0;
    const std::size_t alignment = size * sizeof(T) >= huge_page / 2 ? huge_page : 128;
    const std::size_t bytes = (size * sizeof(T) + alignment - 1) / alignment * alignment;
    void* const memory = ::operator new(bytes, std::align_val_t(alignment));
#ifdef MADV_HUGEPAGE
    if (alignment == huge_page) madvise(memory, bytes, MADV_HUGEPAGE);  // a hint: may fail without harm
#endif
    data_ = std::unique_ptr<T, Free>(static_cast<T*>(memory), Free{alignment});
    size_ = size;
  }

  T* data() const {
    return data_.get();
  }
  std::size_t size() const {
    return size_;
  }
  T& operator[](std::size_t i) const {
    return data_.get()[i];
  }

 private:
  static constexpr std::size_t huge_page = std::size_t{2} << 20;
  struct Free {
    std::size_t alignment = 0;
    void operator()(T* memory) const { ::operator delete(memory, std::align_val_t(alignment)); }
  };
  std::unique_ptr<T, Free> data_;
  std::size_t size_ = 0;
};

}  // namespace melgrad
