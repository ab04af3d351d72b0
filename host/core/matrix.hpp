#pragma once
// Row-major matrices in host memory: a view that does not own, and a matrix that does.

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

namespace melgrad {

using Index = std::int64_t;

// [rows, cols] floats or the like; row r starts at data + r * stride, stride >= cols.
template <class T>
struct MatrixView {
  T* data = nullptr;
  Index rows = 0;
  Index cols = 0;
  Index stride = 0;

  MatrixView() = default;
  MatrixView(T* data_, Index rows_, Index cols_) : MatrixView(data_, rows_, cols_, cols_) {}
  MatrixView(T* data_, Index rows_, Index cols_, Index stride_)
      : data(data_), rows(rows_), cols(cols_), stride(stride_) {
    assert(stride >= cols);
  }
  template <class U>
  requires std::is_convertible_v<U (*)[], T (*)[]>  // T -> const T, as std::span does
  MatrixView(MatrixView<U> o) : data(o.data), rows(o.rows), cols(o.cols), stride(o.stride) {}

  T& operator()(Index row, Index col) const { return data[row * stride + col]; }
  std::span<T> row(Index row) const { return {data + row * stride, static_cast<std::size_t>(cols)}; }
  // Rows first .. first + count.
  MatrixView rows_from(Index first, Index count) const {
    return {data + first * stride, count, cols, stride};
  }
};

// Owning, zero-initialised, dense: stride == cols.
template <class T>
struct Matrix {
  Index rows = 0;
  Index cols = 0;
  std::vector<T> values;

  Matrix() = default;
  Matrix(Index rows_, Index cols_)
      : rows(rows_), cols(cols_), values(static_cast<std::size_t>(rows_ * cols_)) {}

  T& operator()(Index row, Index col) { return values[static_cast<std::size_t>(row * cols + col)]; }
  const T& operator()(Index row, Index col) const {
    return values[static_cast<std::size_t>(row * cols + col)];
  }
  std::span<T> row(Index row) { return view().row(row); }
  std::span<const T> row(Index row) const { return view().row(row); }
  MatrixView<T> view() { return {values.data(), rows, cols}; }
  MatrixView<const T> view() const { return {values.data(), rows, cols}; }
  bool operator==(const Matrix&) const = default;
};

}  // namespace melgrad
