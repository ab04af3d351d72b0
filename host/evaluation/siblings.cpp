#include "host/evaluation/siblings.hpp"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "host/core/error.hpp"

namespace melgrad {

Siblings::Siblings(const Dataset& dataset) : family_(dataset.clips.size(), -1) {
  if (dataset.group_names.empty()) return;
  std::vector<std::string> alike;  // attributes
  for (const char* attribute : {"statement", "intensity"})
    if (std::ranges::any_of(dataset.clips,
                            [&](const Clip& clip) { return clip.attributes.contains(attribute); }))
      alike.emplace_back(attribute);
  std::vector<std::string> words = {"group", "label"};
  words.insert(words.end(), alike.begin(), alike.end());
  const std::string last = words.back();
  words.pop_back();
  description_ = fmt::format("same {} and {}", fmt::join(words, ", "), last);

  std::map<std::tuple<int, int, std::vector<std::string>>, int> families;
  for (std::size_t i = 0; i < family_.size(); ++i) {
    if (dataset.groups[i] < 0) continue;
    std::vector<std::string> values;
    for (const std::string& attribute : alike) {
      const auto found = dataset.clips[i].attributes.find(attribute);
      values.push_back(found == dataset.clips[i].attributes.end() ? std::string() : found->second);
    }
    const auto [family, is_new] =
        families.try_emplace({dataset.groups[i], dataset.labels[i], std::move(values)}, n_families_);
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
