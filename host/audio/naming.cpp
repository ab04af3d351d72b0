#include "host/audio/naming.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

#include "host/core/error.hpp"

namespace melgrad {
namespace {

constexpr std::array modalities = {"full-AV", "video-only", "audio-only"};
constexpr std::array vocal_channels = {"speech", "song"};
constexpr std::array emotions = {"neutral", "calm",    "happy",   "sad",
                                 "angry",   "fearful", "disgust", "surprised"};
constexpr std::array intensities = {"normal", "strong"};
constexpr int n_actors = 24;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_name_character(char c) {
  return is_digit(c) || c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::string_view without_extension(std::string_view path) {
  return path.substr(0, path.rfind('/') + 1 + file_stem(path).size());
}

}  // namespace

std::string_view file_stem(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);  // npos + 1 == 0
  const std::size_t dot = name.rfind('.');
  return dot == std::string_view::npos || dot == 0 ? name : name.substr(0, dot);
}

bool read_ravdess_name(std::string_view stem, Clip& clip) {
  constexpr std::array<int, 7> largest = {3, 2, 8, 2, 2, 2, n_actors};
  if (stem.size() != 20) return false;
  std::array<std::size_t, 7> number{};
  for (std::size_t i = 0; i < 7; ++i) {
    const char tens = stem[3 * i], ones = stem[3 * i + 1];
    if (!is_digit(tens) || !is_digit(ones) || (i < 6 && stem[3 * i + 2] != '-')) return false;
    const int value = 10 * (tens - '0') + (ones - '0');
    if (value < 1 || value > largest[i]) return false;
    number[i] = static_cast<std::size_t>(value);
  }
  clip.label = emotions[number[2] - 1];
  clip.group = stem.substr(18);
  clip.attributes["modality"] = modalities[number[0] - 1];
  clip.attributes["vocal_channel"] = vocal_channels[number[1] - 1];
  clip.attributes["intensity"] = intensities[number[3] - 1];
  clip.attributes["statement"] = stem.substr(12, 2);
  clip.attributes["repetition"] = stem.substr(15, 2);
  clip.attributes["sex"] = number[6] % 2 == 1 ? "male" : "female";
  return true;
}

NamePattern::NamePattern(const std::string& pattern) : text_(pattern) {
  std::string_view rest = pattern;
  for (;;) {
    const std::size_t slash = rest.find('/');
    components_.push_back(parse_component(rest.substr(0, slash)));
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
  }
  if (std::count(names_.begin(), names_.end(), "label") == 0)
    fail_usage("the pattern '{}' has no {{label}}: nothing would be learnt", pattern);
}

NamePattern::Component NamePattern::parse_component(std::string_view pattern) {
  Component component(1);
  while (!pattern.empty()) {
    if (pattern[0] == '}') fail_usage("the pattern '{}' has a '}}' without a '{{'", text_);
    if (pattern[0] != '{') {
      const std::size_t length = std::min(pattern.find_first_of("{}"), pattern.size());
      component.back().text = pattern.substr(0, length);
      pattern.remove_prefix(length);
      continue;
    }
    const std::size_t end = pattern.find('}');
    if (end == std::string_view::npos) fail_usage("the pattern '{}' has a '{{' without a '}}'", text_);
    const std::string name(pattern.substr(1, end - 1));
    if (name.empty() || !std::all_of(name.begin(), name.end(), is_name_character))
      fail_usage("the pattern '{}' has a field '{{{}}}'; a name is letters, digits and underscores", text_,
                 name);
    if (std::count(names_.begin(), names_.end(), name) > 0)
      fail_usage("the pattern '{}' has {{{}}} twice", text_, name);
    if (!component.back().name.empty() && component.back().text.empty())
      fail_usage("the pattern '{}' has nothing between {{{}}} and {{{}}} to tell where one ends", text_,
                 component.back().name, name);
    names_.push_back(name);
    component.push_back({name, ""});
    pattern.remove_prefix(end + 1);
  }
  return component;
}

// Taking each text where it first occurs leaves the most for the rest, so no other division fits where this
// one does not.
bool NamePattern::match(const Component& component, std::string_view name, std::vector<std::string>& values) {
  const std::string& start = component.front().text;
  if (component.size() == 1) return name == start;
  if (!name.starts_with(start)) return false;
  name.remove_prefix(start.size());
  for (std::size_t i = 1; i < component.size(); ++i) {
    const std::string& text = component[i].text;
    const bool last = i + 1 == component.size();
    if (name.size() < 1 + text.size() || (last && !name.ends_with(text))) return false;
    const std::size_t end = last ? name.size() - text.size() : name.find(text, 1);
    if (end == std::string_view::npos) return false;
    values.emplace_back(name.substr(0, end));
    name.remove_prefix(end + text.size());
  }
  return true;
}

void NamePattern::apply(std::string_view path, Clip& clip) const {
  std::vector<std::string_view> folders_and_stem;  // as many as the pattern has, from the end
  std::string_view rest = without_extension(path);
  while (folders_and_stem.size() < components_.size()) {
    const std::size_t slash = rest.rfind('/');
    folders_and_stem.insert(folders_and_stem.begin(), rest.substr(slash + 1));
    if (slash == std::string_view::npos) break;
    rest = rest.substr(0, slash);
  }
  std::vector<std::string> values;
  bool fits = folders_and_stem.size() == components_.size();
  for (std::size_t i = 0; fits && i < components_.size(); ++i)
    fits = match(components_[i], folders_and_stem[i], values);
  if (!fits) fail("its name does not fit the pattern '{}'", text_);
  for (std::size_t i = 0; i < names_.size(); ++i) {
    if (names_[i] == "label")
      clip.label = values[i];
    else if (names_[i] == "group")
      clip.group = values[i];
    else if (names_[i] == "split")
      clip.split = values[i];
    else
      clip.attributes[names_[i]] = values[i];
  }
  if (!clip.split.empty() && clip.split != "train" && clip.split != "test")
    fail("its split '{}' is neither train nor test", clip.split);
}

}  // namespace melgrad
