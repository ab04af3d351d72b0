#include "host/evaluation/siblings.hpp"

#include <algorithm>
#include <map>
#include <tuple>

namespace melgrad {

Siblings::Siblings(const Dataset& dataset) : family_(dataset.clips.size(), -1) {
  if (dataset.group_names.empty()) return;
  const bool with_statement = std::ranges::any_of(
      dataset.clips, [](const Clip& clip) { return clip.attributes.contains("statement"); });
  description_ = with_statement ? "same group, label and statement" : "same group and label";
  std::map<std::tuple<int, int, std::string>, int> families;
  for (std::size_t i = 0; i < family_.size(); ++i) {
    if (dataset.groups[i] < 0) continue;
    std::string statement;
    if (const auto& attributes = dataset.clips[i].attributes; with_statement)
      if (const auto found = attributes.find("statement"); found != attributes.end())
        statement = found->second;
    const auto [family, is_new] =
        families.try_emplace({dataset.groups[i], dataset.labels[i], statement}, n_families_);
    n_families_ += is_new;
    family_[i] = family->second;
  }
}

std::vector<bool> Siblings::in_training(const Split& split) const {
  std::vector<bool> trained(static_cast<std::size_t>(n_families_));
  for (const int row : split.train)
    if (const int family = family_[static_cast<std::size_t>(row)]; family >= 0)
      trained[static_cast<std::size_t>(family)] = true;
  std::vector<bool> found;
  for (const int row : split.test) {
    const int family = family_[static_cast<std::size_t>(row)];
    found.push_back(family >= 0 && trained[static_cast<std::size_t>(family)]);
  }
  return found;
}

}  // namespace melgrad
