#include "host/data/speaker_normalisation.hpp"

#include <map>
#include <vector>

#include "host/data/standard_scaler.hpp"

namespace melgrad {
namespace {

void standardise(const FeatureScaling& scaling, std::span<float> row) {
  for (std::size_t f = 0; f < row.size(); ++f) row[f] = (row[f] - scaling.mean[f]) / scaling.scale[f];
}

}  // namespace

void normalise_speakers(Dataset& dataset) {
  std::map<int, std::vector<int>> rows_of_group;
  for (int row = 0; row < static_cast<int>(dataset.n_rows()); ++row)
    rows_of_group[dataset.groups[static_cast<std::size_t>(row)]].push_back(row);
  for (const auto& [group, rows] : rows_of_group) {
    const FeatureScaling scaling = fit_standard_scaler(dataset.features.view(), rows);
    for (const int row : rows) {
      standardise(scaling, dataset.features.row(row));
      for (Index version = row; version < dataset.versions.rows; version += dataset.n_rows())
        standardise(scaling, dataset.versions.row(version));
    }
  }
  dataset.is_speaker_normalised = true;
}

}  // namespace melgrad
