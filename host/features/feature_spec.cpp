#include "host/features/feature_spec.hpp"

#include <algorithm>
#include <initializer_list>
#include <map>
#include <utility>

#include "host/core/file_system.hpp"
#include "host/core/parse_json.hpp"

namespace melgrad {
namespace {

constexpr std::size_t most_descriptors = 100;

// n_fft 2048, hop 512, Hann, centred and padded with zeros: the defaults of StftSpec.
FeatureSpec notebook_spec() {
  FeatureSpec spec;
  spec.name = "notebook";
  MelSpectrogram mel;
  mel.fmax = 8000;
  Mfcc mfcc;
  mfcc.n_mfcc = 40;
  spec.descriptors = {{ChromaStft{}}, {mel}, {mfcc}};
  return spec;
}

// 16 kHz, silence cut off, 25 ms every 10 ms.
FeatureSpec speech_spec() {
  return {.name = "speech",
          .sample_rate = speech_sample_rate,
          .stft = speech_stft(),
          .descriptors = {{Speech{}, {}}}};
}

bool is_speech(const DescriptorSpec& descriptor) {
  return std::holds_alternative<Speech>(descriptor.descriptor);
}

std::string kind_of(const DescriptorSpec& descriptor) {
  return std::visit([](const auto& each) { return std::string(each.name); }, descriptor.descriptor);
}

// The fields of a specification; -0 is written as 0, since they are equal.
template <class Spec>
Json fields_to_json(Spec spec) {
  for_each_field<Spec>([&](const auto& each) {
    auto& value = spec.*each.member;
    if constexpr (std::is_same_v<decltype(value), double&>) {
      value += 0.0;
    } else if constexpr (std::is_same_v<decltype(value), std::optional<double>&>) {
      if (value) *value += 0.0;
    }
  });
  return to_json_fields(spec);
}

Json to_json(const DescriptorSpec& descriptor) {
  Json json = Json::object();
  json["kind"] = kind_of(descriptor);
  const Json fields =
      std::visit([](const auto& each) { return fields_to_json(each); }, descriptor.descriptor);
  json.update(fields);
  if (!is_speech(descriptor)) json["functionals"] = detail::value_to_json(descriptor.functionals);
  return json;
}

// Refuses members of an object that are not among `known`.
void refuse_unknown_names(const Json& json, std::initializer_list<std::string_view> known) {
  if (!json.is_object()) fail_usage("{} is not an object", json.dump());
  for (const auto& item : json.items())
    if (std::find(known.begin(), known.end(), item.key()) == known.end())
      fail_usage("unknown name '{}'; known are: {}", item.key(), fmt::join(known, ", "));
}

// Reads the value of `name` where it is there, with the limits and messages of a Field.
template <class T>
void read(const Json& json, const char* name, T& value, double minimum = 0, double maximum = 0) {
  const auto found = json.find(name);
  if (found == json.end()) return;
  with_context(name, [&] { detail::value_from_json(*found, minimum, maximum, value); });
}

DescriptorSpec descriptor_from_json(const Json& json) {
  if (!json.is_object()) fail_usage("{} is not an object", json.dump());
  std::string kind;
  read(json, "kind", kind);
  DescriptorSpec spec;
  if (kind == Speech::name) {
    spec.functionals.clear();
    if (json.contains("functionals")) fail_usage("functionals: {} has none", kind);
  }
  read(json, "functionals", spec.functionals);
  Json fields = json;
  fields.erase("kind");
  fields.erase("functionals");

  std::vector<std::string> kinds;
  bool known = false;
  const auto try_kind = [&](auto candidate) {
    kinds.emplace_back(candidate.name);
    if (kind != candidate.name) return;
    known = true;
    spec.descriptor = with_context(kind, [&] { return from_json_fields<decltype(candidate)>(fields); });
  };
  try_kind(ChromaStft{});
  try_kind(MelSpectrogram{});
  try_kind(Mfcc{});
  try_kind(Rms{});
  try_kind(Speech{});
  if (!known) fail_usage("kind: '{}' is not one of: {}", kind, fmt::join(kinds, ", "));
  return spec;
}

// The form of a specification only: fields that contradict each other are check_feature_spec's.
FeatureSpec read_feature_spec(const Json& json) {
  refuse_unknown_names(json, {"name", "sample_rate", "speed", "pitch", "stft", "descriptors"});
  FeatureSpec spec;
  read(json, "name", spec.name);
  read(json, "sample_rate", spec.sample_rate, 0, greatest_sample_rate);
  read(json, "speed", spec.speed, 0.5, 2);
  read(json, "pitch", spec.pitch, -12, 12);
  if (json.contains("stft"))
    spec.stft = with_context("stft", [&] { return from_json_fields<StftSpec>(json["stft"]); });
  if (json.contains("descriptors")) {
    const Json& descriptors = json["descriptors"];
    if (!descriptors.is_array()) fail_usage("descriptors: {} is not a list", descriptors.dump());
    if (descriptors.size() > most_descriptors)
      fail_usage("descriptors: {} of them; the limit is {}", descriptors.size(), most_descriptors);
    for (std::size_t i = 0; i < descriptors.size(); ++i)
      with_context(fmt::format("descriptors[{}]", i),
                   [&] { spec.descriptors.push_back(descriptor_from_json(descriptors[i])); });
  }
  return spec;
}

void check_mel_range(double fmin, double fmax) {
  if (fmax > 0 && fmin >= fmax) fail_usage("fmin: {} Hz is not below fmax, {} Hz", fmin, fmax);
}

void check_descriptor(const ChromaStft&) {}

void check_descriptor(const MelSpectrogram& mel) {
  check_mel_range(mel.fmin, mel.fmax);
  if (mel.power != 1 && mel.power != 2) fail_usage("power: {} is neither 1 nor 2", mel.power);
}

void check_descriptor(const Mfcc& mfcc) {
  check_mel_range(mfcc.fmin, mfcc.fmax);
  if (mfcc.n_mfcc > mfcc.n_mels) fail_usage("n_mfcc: {} is over n_mels, {}", mfcc.n_mfcc, mfcc.n_mels);
}

void check_descriptor(const Rms&) {}

void check_descriptor(const Speech& speech) {
  if (speech.groups.empty())
    fail_usage("groups: the list is empty; known are: {}", enum_choices<SpeechGroup>());
  for (std::size_t i = 1; i < speech.groups.size(); ++i)
    if (speech.groups[i] <= speech.groups[i - 1])
      fail_usage("groups: '{}' is not after '{}' in: {}", to_name(speech.groups[i]),
                 to_name(speech.groups[i - 1]), enum_choices<SpeechGroup>());
}

// What the definition of the speech set leaves no choice of.
void check_speech_frames(const FeatureSpec& spec) {
  if (spec.descriptors.size() > 1)
    fail_usage("descriptors: speech stands alone, there are {}", spec.descriptors.size());
  if (spec.sample_rate != speech_sample_rate)
    fail_usage("sample_rate: {} Hz; speech is of {} Hz", spec.sample_rate, speech_sample_rate);
  if (spec.stft != speech_stft())
    fail_usage("stft: {}; speech is of {}", fields_to_json(spec.stft).dump(),
               fields_to_json(speech_stft()).dump());
}

void check_functionals(const DescriptorSpec& descriptor) {
  const std::vector<Functional>& functionals = descriptor.functionals;
  if (is_speech(descriptor)) {
    if (!functionals.empty()) fail_usage("functionals: speech has none");
    return;
  }
  if (functionals.empty())
    fail_usage("functionals: the list is empty; known are: {}", enum_choices<Functional>());
  for (std::size_t i = 0; i < functionals.size(); ++i)
    if (std::count(functionals.begin(), functionals.end(), functionals[i]) > 1)
      fail_usage("functionals: '{}' is there twice", to_name(functionals[i]));
}

FeatureSpec read_spec_file(const std::string& file) {
  const Json json = [&] {
    try {
      return parse_json(read_text_file(file));
    } catch (const Error& error) {  // the file is named on the command line
      fail_usage("{}", error.what());
    }
  }();
  return feature_spec_from_json(json);
}

// Appends "prefix name A and B" for each member whose values differ.
void compare_members(const Json& a, const Json& b, const std::string& prefix, std::vector<std::string>& out) {
  for (const auto& item : a.items()) {
    const Json& other = b.at(item.key());
    if (item.value() != other)
      out.push_back(fmt::format("{}{} {} and {}", prefix, item.key(), item.value().dump(), other.dump()));
  }
}

}  // namespace

StftSpec speech_stft() {
  return {.n_fft = 512, .hop_length = 160, .win_length = 400, .center = false};
}

FeatureSpec feature_spec(const std::string& name_or_file) {
  if (name_or_file == "notebook") return notebook_spec();
  if (name_or_file == "speech") return speech_spec();
  if (name_or_file.ends_with(".json"))
    return with_context(name_or_file, [&] { return read_spec_file(name_or_file); });
  fail_usage("'{}' is not a feature set; known are: notebook, speech, or a file that ends in .json",
             name_or_file);
}

Json to_json(const FeatureSpec& spec) {
  Json json = Json::object();
  json["name"] = spec.name;
  json["sample_rate"] = spec.sample_rate;
  if (spec.speed != 1) json["speed"] = spec.speed;
  if (spec.pitch != 0) json["pitch"] = spec.pitch;
  json["stft"] = fields_to_json(spec.stft);
  json["descriptors"] = Json::array();
  for (const auto& descriptor : spec.descriptors) json["descriptors"].push_back(to_json(descriptor));
  return json;
}

FeatureSpec feature_spec_from_json(const Json& json) {
  FeatureSpec spec = read_feature_spec(json);
  check_feature_spec(spec);
  return spec;
}

void check_feature_spec(const FeatureSpec& spec) {
  read_feature_spec(to_json(spec));  // the limits of every field
  if (spec.sample_rate != 0 && spec.sample_rate < least_sample_rate)
    fail_usage("sample_rate: {} Hz is below {} Hz", spec.sample_rate, least_sample_rate);
  const StftSpec& stft = spec.stft;
  if (stft.win_length > stft.n_fft)
    fail_usage("stft: win_length: {} is over n_fft, {}", stft.win_length, stft.n_fft);
  if (spec.descriptors.empty()) fail_usage("descriptors: the list is empty, so there is nothing to compute");
  for (std::size_t i = 0; i < spec.descriptors.size(); ++i) {
    const DescriptorSpec& descriptor = spec.descriptors[i];
    with_context(fmt::format("descriptors[{}]: {}", i, kind_of(descriptor)), [&] {
      std::visit([](const auto& each) { check_descriptor(each); }, descriptor.descriptor);
      check_functionals(descriptor);
      for (std::size_t j = 0; j < i; ++j)
        if (spec.descriptors[j].descriptor == descriptor.descriptor)
          fail_usage("the same as descriptors[{}]", j);
    });
  }
  if (std::ranges::any_of(spec.descriptors, is_speech)) check_speech_frames(spec);
}

Index n_values(const DescriptorSpec& descriptor) {
  struct Count {
    Index operator()(const ChromaStft& chroma) const { return chroma.n_chroma; }
    Index operator()(const MelSpectrogram& mel) const { return mel.n_mels; }
    Index operator()(const Mfcc& mfcc) const { return mfcc.n_mfcc; }
    Index operator()(const Rms&) const { return 1; }
    Index operator()(const Speech& speech) const {
      Index n = 0;
      for (const SpeechGroup group : speech.groups) n += n_values(group);
      return n;
    }
  };
  return std::visit(Count{}, descriptor.descriptor);
}

Index n_features(const FeatureSpec& spec) {
  Index n = 0;
  for (const auto& descriptor : spec.descriptors)
    n += n_values(descriptor) *
         (is_speech(descriptor) ? 1 : static_cast<Index>(descriptor.functionals.size()));
  return n;
}

std::vector<std::string> descriptor_names(const FeatureSpec& spec) {
  std::map<std::string, int> n_seen;
  std::vector<std::string> names;
  for (const auto& descriptor : spec.descriptors) {
    const std::string kind = kind_of(descriptor);
    const int n = ++n_seen[kind];
    names.push_back(n == 1 ? kind : fmt::format("{}.{}", kind, n));
  }
  return names;
}

std::vector<std::string> feature_names(const FeatureSpec& spec) {
  const std::vector<std::string> descriptors = descriptor_names(spec);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < descriptors.size(); ++i) {
    if (const auto* speech = std::get_if<Speech>(&spec.descriptors[i].descriptor))
      for (const SpeechGroup group : speech->groups)
        for (const std::string& name : value_names(group))
          names.push_back(fmt::format("{}_{}", Speech::name, name));
    for (const Functional functional : spec.descriptors[i].functionals)
      for (Index value = 0; value < n_values(spec.descriptors[i]); ++value)
        names.push_back(fmt::format("{}_{}_{}", descriptors[i], value, to_name(functional)));
  }
  return names;
}

std::string difference(const FeatureSpec& a, const FeatureSpec& b) {
  std::vector<std::string> differences;
  Json json_a = to_json(a), json_b = to_json(b);
  compare_members(json_a["stft"], json_b["stft"], "", differences);
  const std::vector<std::string> names_a = descriptor_names(a), names_b = descriptor_names(b);
  if (names_a != names_b) {
    differences.push_back(
        fmt::format("descriptors [{}] and [{}]", fmt::join(names_a, ", "), fmt::join(names_b, ", ")));
  } else {
    for (std::size_t i = 0; i < names_a.size(); ++i)
      compare_members(json_a["descriptors"][i], json_b["descriptors"][i], names_a[i] + " ", differences);
  }
  for (Json* json : {&json_a, &json_b}) {
    json->erase("stft");
    json->erase("descriptors");
    json->emplace("speed", 1.0);
    json->emplace("pitch", 0.0);
  }
  compare_members(json_a, json_b, "", differences);
  return fmt::format("{}", fmt::join(differences, "; "));
}

}  // namespace melgrad
