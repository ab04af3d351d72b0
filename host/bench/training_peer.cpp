#include "host/bench/training_peer.hpp"

#include <algorithm>
#include <fstream>
#include <numeric>

#include "host/core/error.hpp"
#include "host/core/philox.hpp"

namespace melgrad {
namespace {

template <class T>
void write_binary(const std::filesystem::path& file, const std::vector<T>& values) {
  std::ofstream out(file, std::ios::binary);
  out.write(reinterpret_cast<const char*>(values.data()),
            static_cast<std::streamsize>(values.size() * sizeof(T)));
  if (!out.flush()) fail("{}: cannot be written", file.string());
}

}  // namespace

std::vector<int> notebook_training_rows(Index n_rows) {
  std::vector<int> rows(static_cast<std::size_t>(n_rows));
  std::iota(rows.begin(), rows.end(), 0);
  PhiloxSequence random(0, RandomStream::split);
  for (std::size_t i = rows.size(); i > 1; --i)
    std::swap(rows[i - 1], rows[random.next_below(static_cast<std::uint32_t>(i))]);
  rows.resize(std::min<std::size_t>(rows.size(), notebook_rows));
  return rows;
}

Json training_peer_request(const Dataset& dataset, std::span<const int> rows, const FeatureScaling& scaling,
                           const MlpSpec& spec, int epochs, const std::filesystem::path& folder) {
  std::vector<float> features;
  std::vector<std::int32_t> labels;
  for (const int row : rows) {
    const auto values = dataset.features.row(row);
    for (std::size_t i = 0; i < values.size(); ++i)
      features.push_back((values[i] - scaling.mean[i]) / scaling.scale[i]);
    labels.push_back(dataset.labels[static_cast<std::size_t>(row)]);
  }
  write_binary(folder / "features.f32", features);
  write_binary(folder / "labels.i32", labels);
  return {{"features", (folder / "features.f32").string()},
          {"labels", (folder / "labels.i32").string()},
          {"n_rows", rows.size()},
          {"n_features", dataset.features.cols},
          {"epochs", epochs},
          {"fits", 1},
          {"mlp", to_json_fields(spec)}};
}

}  // namespace melgrad
