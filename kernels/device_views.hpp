#pragma once
// Memory of a device, as host code sees it: no element access on purpose, so that host code which reads
// device memory does not compile. Kernels take the pointers.

#include <type_traits>

#include "host/core/matrix.hpp"

namespace melgrad {

template <class T>
struct DeviceSpan {
  T* data = nullptr;
  Index size = 0;

  DeviceSpan() = default;
  DeviceSpan(T* data_, Index size_) : data(data_), size(size_) {}
  template <class U>
  requires std::is_convertible_v<U (*)[], T (*)[]>  // T -> const T, as std::span does
  DeviceSpan(DeviceSpan<U> o) : data(o.data), size(o.size) {}

  DeviceSpan part(Index first, Index count) const { return {data + first, count}; }
};

// Row-major [rows, cols]; row r starts at data + r * stride, stride >= cols.
template <class T>
struct DeviceMatrix {
  T* data = nullptr;
  Index rows = 0;
  Index cols = 0;
  Index stride = 0;

  DeviceMatrix() = default;
  DeviceMatrix(T* data_, Index rows_, Index cols_) : DeviceMatrix(data_, rows_, cols_, cols_) {}
  DeviceMatrix(T* data_, Index rows_, Index cols_, Index stride_)
      : data(data_), rows(rows_), cols(cols_), stride(stride_) {}
  template <class U>
  requires std::is_convertible_v<U (*)[], T (*)[]> DeviceMatrix(DeviceMatrix<U> o)
      : data(o.data), rows(o.rows), cols(o.cols), stride(o.stride) {}
};

// `count` equal dense matrices one after another: [count, rows, cols].
template <class T>
struct DeviceStack {
  T* data = nullptr;
  Index count = 0;
  Index rows = 0;
  Index cols = 0;

  DeviceStack() = default;
  DeviceStack(T* data_, Index count_, Index rows_, Index cols_)
      : data(data_), count(count_), rows(rows_), cols(cols_) {}
  template <class U>
  requires std::is_convertible_v<U (*)[], T (*)[]> DeviceStack(DeviceStack<U> o)
      : data(o.data), count(o.count), rows(o.rows), cols(o.cols) {}

  DeviceMatrix<T> matrix(Index i) const { return {data + i * rows * cols, rows, cols}; }
};

}  // namespace melgrad
