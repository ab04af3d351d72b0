#include "host/data/altered_copies.hpp"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <unordered_map>

#include "host/core/error.hpp"

namespace melgrad {
namespace {

// By the hash of their audio: rows of the table that hold features.
std::unordered_map<std::string_view, Index> usable_rows(const FeatureTable& table) {
  std::unordered_map<std::string_view, Index> rows;
  for (Index row = 0; row < table.n_clips(); ++row) {
    const bool is_finite =
        std::ranges::all_of(table.features.row(row), [](float value) { return std::isfinite(value); });
    if (table.is_ok(row) && is_finite) rows.try_emplace(table.audio_hash[static_cast<std::size_t>(row)], row);
  }
  return rows;
}

}  // namespace

Index add_altered_copies(Dataset& dataset, std::span<const FeatureTable> copies) {
  const Index n_rows = dataset.n_rows();
  Matrix<float> versions((1 + static_cast<Index>(copies.size())) * n_rows, dataset.features.cols);
  std::ranges::copy(dataset.features.values, versions.values.begin());
  Index n_missing = 0, to = n_rows;
  for (const FeatureTable& copy : copies) {
    if (copy.features.cols != dataset.features.cols)
      fail("copies of {} features beside originals of {}", copy.features.cols, dataset.features.cols);
    const auto rows = usable_rows(copy);
    for (Index row = 0; row < n_rows; ++row, ++to) {
      const auto audio = static_cast<std::size_t>(dataset.audio[static_cast<std::size_t>(row)]);
      const auto found = rows.find(dataset.audio_hash[audio]);
      n_missing += found == rows.end();
      std::ranges::copy(found == rows.end() ? dataset.features.row(row) : copy.features.row(found->second),
                        versions.row(to).begin());
    }
  }
  dataset.versions = std::move(versions);
  dataset.n_copies = static_cast<int>(copies.size());
  return n_missing;
}

}  // namespace melgrad
