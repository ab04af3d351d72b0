#include "host/data/dataset.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <map>
#include <set>

#include "host/core/error.hpp"

namespace melgrad {
namespace {

// Why a row of the table cannot be used; empty if it can.
std::string refusal_reason(const FeatureTable& table, Index row, bool needs_label) {
  constexpr std::string_view prefix = "refused: ";
  const std::string& status = table.status[static_cast<std::size_t>(row)];
  if (status.starts_with(prefix)) return status.substr(prefix.size());
  if (status != "ok") return fmt::format("unknown status '{}'", status);
  if (needs_label && table.clips[static_cast<std::size_t>(row)].label.empty()) return "no label";
  const auto values = table.features.row(row);
  for (std::size_t feature = 0; feature < values.size(); ++feature)
    if (!std::isfinite(values[feature]))
      return fmt::format("feature {} is {}", table.columns[feature], values[feature]);
  return {};
}

int index_in(const std::vector<std::string>& sorted_names, const std::string& name) {
  const auto found = std::lower_bound(sorted_names.begin(), sorted_names.end(), name);
  return static_cast<int>(found - sorted_names.begin());
}

void require_labels(const Dataset& dataset, int min_labels) {
  if (dataset.n_classes() >= min_labels) return;
  const std::string refused =
      dataset.refused.empty() ? std::string() : fmt::format(" ({} were refused)", dataset.refused.size());
  if (dataset.n_rows() == 0) fail("no usable clips{}", refused);
  fail("all {} usable clips{} are labelled '{}'; to learn to tell labels apart takes clips of at least {}",
       dataset.n_rows(), refused, dataset.label_names.front(), min_labels);
}

}  // namespace

Dataset make_dataset(const FeatureTable& table, int min_labels) {
  Dataset dataset;
  dataset.spec = table.spec;
  dataset.columns = table.columns;
  std::vector<Index> usable;
  std::set<std::string> labels, groups;
  for (Index row = 0; row < table.features.rows; ++row) {
    const Clip& clip = table.clips[static_cast<std::size_t>(row)];
    if (std::string reason = refusal_reason(table, row, min_labels > 0); !reason.empty()) {
      dataset.refused.push_back({clip.path, std::move(reason)});
      continue;
    }
    usable.push_back(row);
    labels.insert(clip.label);
    if (!clip.group.empty()) groups.insert(clip.group);
  }
  dataset.label_names.assign(labels.begin(), labels.end());
  dataset.group_names.assign(groups.begin(), groups.end());
  dataset.features = Matrix<float>(static_cast<Index>(usable.size()), table.features.cols);

  std::map<std::string, int> audio_ids;
  for (std::size_t i = 0; i < usable.size(); ++i) {
    const auto row = static_cast<std::size_t>(usable[i]);
    const Clip& clip = table.clips[row];
    std::ranges::copy(table.features.row(usable[i]), dataset.features.row(static_cast<Index>(i)).begin());
    dataset.labels.push_back(index_in(dataset.label_names, clip.label));
    dataset.groups.push_back(clip.group.empty() ? -1 : index_in(dataset.group_names, clip.group));
    assert(!table.audio_hash[row].empty());
    const auto n_audio = static_cast<int>(dataset.audio_hash.size());
    const auto [known, is_first] = audio_ids.try_emplace(table.audio_hash[row], n_audio);
    if (is_first) dataset.audio_hash.push_back(table.audio_hash[row]);
    dataset.audio.push_back(known->second);
    dataset.duration_s.push_back(table.duration_s[row]);
    dataset.clips.push_back(clip);
  }
  require_labels(dataset, min_labels);
  return dataset;
}

Dataset subset(const Dataset& dataset, std::span<const int> rows) {
  Dataset part;
  part.spec = dataset.spec;
  part.columns = dataset.columns;
  part.features = Matrix<float>(static_cast<Index>(rows.size()), dataset.features.cols);
  part.label_names = dataset.label_names;
  part.group_noun = dataset.group_noun;
  part.is_speaker_normalised = dataset.is_speaker_normalised;
  part.n_copies = dataset.n_copies;
  if (dataset.n_copies > 0)
    part.versions = Matrix<float>((1 + dataset.n_copies) * part.features.rows, dataset.features.cols);
  std::set<int> groups;
  for (const int row : rows)
    if (const int group = dataset.groups[static_cast<std::size_t>(row)]; group >= 0) groups.insert(group);
  for (const int group : groups)
    part.group_names.push_back(dataset.group_names[static_cast<std::size_t>(group)]);

  std::map<int, int> audio_ids;  // of the whole -> of the part
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto row = static_cast<std::size_t>(rows[i]);
    std::ranges::copy(dataset.features.row(rows[i]), part.features.row(static_cast<Index>(i)).begin());
    for (Index to = static_cast<Index>(i), from = rows[i]; to < part.versions.rows;
         to += part.n_rows(), from += dataset.n_rows())
      std::ranges::copy(dataset.versions.row(from), part.versions.row(to).begin());
    part.labels.push_back(dataset.labels[row]);
    const auto group = groups.find(dataset.groups[row]);
    part.groups.push_back(group == groups.end() ? -1
                                                : static_cast<int>(std::distance(groups.begin(), group)));
    const auto n_audio = static_cast<int>(part.audio_hash.size());
    const auto [known, is_first] = audio_ids.try_emplace(dataset.audio[row], n_audio);
    if (is_first) part.audio_hash.push_back(dataset.audio_hash[static_cast<std::size_t>(dataset.audio[row])]);
    part.audio.push_back(known->second);
    part.duration_s.push_back(dataset.duration_s[row]);
    part.clips.push_back(dataset.clips[row]);
  }
  return part;
}

}  // namespace melgrad
