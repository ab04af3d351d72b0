#include "host/models/model_file.hpp"

#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <memory>

#include "host/cache/atomic_file.hpp"
#include "host/cache/hdf5.hpp"
#include "host/core/error.hpp"
#include "host/core/parse_json.hpp"
#include "host/engine/mlp_jobs.hpp"

namespace melgrad {
namespace {

constexpr const char* format_name = "melgrad model";

// What the file holds as text.
struct Texts {
  std::string mlp_spec;
  std::string feature_spec;
  std::string provenance;
};

class Checksum {
 public:
  Checksum() { XXH3_128bits_reset(state_.get()); }

  void add(std::span<const float> values) { add_bytes(values.data(), values.size_bytes()); }
  void add(const std::string& text) { add_bytes(text.data(), text.size()); }
  std::string hex() const {
    const XXH128_hash_t hash = XXH3_128bits_digest(state_.get());
    return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
  }

 private:
  // The length goes first, so that values cannot move from one part to the next.
  void add_bytes(const void* data, std::size_t n_bytes) {
    static_assert(std::endian::native == std::endian::little, "the file's numbers are little-endian");
    const auto length = static_cast<std::uint64_t>(n_bytes);
    XXH3_128bits_update(state_.get(), &length, sizeof length);
    XXH3_128bits_update(state_.get(), data, n_bytes);
  }

  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> state_{XXH3_createState()};
};

void add_parameters(Checksum& sum, const MlpParameters& parameters) {
  for (std::size_t l = 0; l < parameters.weights.size(); ++l) {
    sum.add(parameters.weights[l].values);
    sum.add(parameters.biases[l]);
  }
  for (const BatchNorm& norm : parameters.batch_norms)
    for (const auto* values : {&norm.gamma, &norm.running_mean, &norm.running_var}) sum.add(*values);
}

std::string checksum(const Texts& texts, const Classifier& classifier) {
  Checksum sum;
  for (const auto& text : {texts.mlp_spec, texts.feature_spec, texts.provenance}) sum.add(text);
  add_parameters(sum, classifier.parameters);
  for (const MlpParameters& member : classifier.further_members) add_parameters(sum, member);
  sum.add(std::string(classifier.is_speaker_normalised ? "1" : "0"));
  sum.add(classifier.scaling.mean);
  sum.add(classifier.scaling.scale);
  for (const std::string& label : classifier.labels) sum.add(label);
  return sum.hex();
}

void check_finite(std::span<const float> values, std::string_view what) {
  const auto bad = std::ranges::find_if(values, [](float value) { return !std::isfinite(value); });
  if (bad != values.end()) fail("{}[{}] is {}", what, bad - values.begin(), *bad);
}

std::string norm_name(std::size_t layer, const char* part) {
  return fmt::format("batch_norms/{}/{}", layer, part);
}

// "members/2/"; nothing for the first network.
std::string member_prefix(std::size_t member) {
  return member == 0 ? "" : fmt::format("members/{}/", member);
}

void check_member(const MlpParameters& parameters, const std::string& prefix) {
  const auto& [weights, biases, batch_norms] = parameters;
  for (std::size_t l = 0; l < weights.size(); ++l) {
    check_finite(weights[l].values, fmt::format("{}weights/{}", prefix, l));
    check_finite(biases[l], fmt::format("{}biases/{}", prefix, l));
  }
  for (std::size_t l = 0; l < batch_norms.size(); ++l) {
    check_finite(batch_norms[l].gamma, prefix + norm_name(l, "gamma"));
    check_finite(batch_norms[l].running_mean, prefix + norm_name(l, "running_mean"));
    check_finite(batch_norms[l].running_var, prefix + norm_name(l, "running_var"));
    const auto negative = std::ranges::find_if(batch_norms[l].running_var, [](float v) { return v < 0; });
    if (negative != batch_norms[l].running_var.end())
      fail("{}{}[{}] is {}", prefix, norm_name(l, "running_var"),
           negative - batch_norms[l].running_var.begin(), *negative);
  }
}

// Throws if the parts do not fit together.
void check_classifier(const Classifier& classifier) {
  const auto n_classes = static_cast<int>(classifier.labels.size());
  if (n_classes < 2) fail("{} labels: a classifier has two at least", n_classes);
  const auto n_features = static_cast<Index>(classifier.scaling.mean.size());
  if (classifier.scaling.scale.size() != classifier.scaling.mean.size())
    fail("the scaler has {} means and {} scales", n_features, classifier.scaling.scale.size());
  for (std::size_t member = 0; member <= classifier.further_members.size(); ++member) {
    const MlpParameters& parameters =
        member == 0 ? classifier.parameters : classifier.further_members[member - 1];
    check_parameters(parameters, n_features, classifier.spec, n_classes);
    check_member(parameters, member_prefix(member));
  }
  check_finite(classifier.scaling.mean, "scaler/mean");
  check_finite(classifier.scaling.scale, "scaler/scale");
  const auto zero = std::ranges::find(classifier.scaling.scale, 0.0f);
  if (zero != classifier.scaling.scale.end())
    fail("scaler/scale[{}] is 0", zero - classifier.scaling.scale.begin());
}

void write_parameters(const MlpParameters& parameters, const std::string& prefix, hdf5::Writer& writer) {
  for (std::size_t l = 0; l < parameters.weights.size(); ++l) {
    writer.matrix(fmt::format("{}weights/{}", prefix, l), parameters.weights[l].view());
    writer.numbers(fmt::format("{}biases/{}", prefix, l), std::span<const float>(parameters.biases[l]));
  }
  for (std::size_t l = 0; l < parameters.batch_norms.size(); ++l) {
    const BatchNorm& norm = parameters.batch_norms[l];
    writer.numbers(prefix + norm_name(l, "gamma"), std::span<const float>(norm.gamma));
    writer.numbers(prefix + norm_name(l, "running_mean"), std::span<const float>(norm.running_mean));
    writer.numbers(prefix + norm_name(l, "running_var"), std::span<const float>(norm.running_var));
  }
}

std::vector<std::byte> file_image(const Classifier& classifier) {
  const Texts texts{to_json_fields(classifier.spec).dump(), to_json(classifier.features).dump(),
                    classifier.provenance.dump()};
  hdf5::Writer writer;
  writer.attribute("format", format_name);
  writer.attribute("format_version", std::int64_t{model_format_version});
  writer.attribute("mlp_spec", texts.mlp_spec);
  writer.attribute("feature_spec", texts.feature_spec);
  writer.attribute("checksum", checksum(texts, classifier));
  writer.attribute("n_members", static_cast<std::int64_t>(classifier.further_members.size() + 1));
  writer.attribute("speaker_normalised", std::int64_t{classifier.is_speaker_normalised});
  write_parameters(classifier.parameters, "", writer);
  for (std::size_t member = 1; member <= classifier.further_members.size(); ++member)
    write_parameters(classifier.further_members[member - 1], member_prefix(member), writer);
  writer.numbers("scaler/mean", std::span<const float>(classifier.scaling.mean));
  writer.numbers("scaler/scale", std::span<const float>(classifier.scaling.scale));
  writer.strings("labels", classifier.labels);
  writer.strings("provenance",
                 std::vector{texts.provenance});  // counts of all labels: too long for an attribute
  return writer.finish();
}

void check_format(const hdf5::Reader& reader) {
  if (!reader.has_attribute("format") || reader.string_attribute("format") != format_name)
    fail("not a melgrad model: it has no attribute format = '{}'", format_name);
  const std::int64_t version = reader.integer_attribute("format_version");
  if (version != model_format_version)
    fail("a model of format version {}; this program reads version {}", version, model_format_version);
}

// The datasets that a network of this spec has: listing a group that is damaged can end in HDF5 itself.
MlpParameters read_parameters(const hdf5::Reader& reader, const MlpSpec& spec, const std::string& prefix) {
  MlpParameters parameters;
  const std::size_t n_hidden = spec.hidden_layer_sizes.size();
  for (std::size_t l = 0; l <= n_hidden; ++l) {
    parameters.weights.push_back(reader.matrix(fmt::format("{}weights/{}", prefix, l)));
    parameters.biases.push_back(reader.floats(fmt::format("{}biases/{}", prefix, l)));
  }
  for (std::size_t l = 0; spec.batch_norm && l < n_hidden; ++l)
    parameters.batch_norms.push_back({reader.floats(prefix + norm_name(l, "gamma")),
                                      reader.floats(prefix + norm_name(l, "running_mean")),
                                      reader.floats(prefix + norm_name(l, "running_var"))});
  return parameters;
}

Classifier read_classifier(const hdf5::Reader& reader) {
  check_format(reader);
  const std::vector<std::string> provenance = reader.strings("provenance");
  if (provenance.size() != 1) fail("provenance has {} texts", provenance.size());
  const Texts texts{reader.string_attribute("mlp_spec"), reader.string_attribute("feature_spec"),
                    provenance.front()};
  Classifier classifier;
  try {
    classifier.spec = from_json_fields<MlpSpec>(parse_json(texts.mlp_spec));
    classifier.features = feature_spec_from_json(parse_json(texts.feature_spec));
    classifier.provenance = parse_json(texts.provenance);
  } catch (const Json::exception& error) {
    fail("damaged: {}", error.what());
  } catch (const UsageError& error) {  // the file's fault and not the command line's
    fail("{}", error.what());
  }
  classifier.parameters = read_parameters(reader, classifier.spec, "");
  const std::int64_t n_members = reader.integer_attribute("n_members");
  for (std::int64_t member = 1; member < n_members; ++member)
    classifier.further_members.push_back(
        read_parameters(reader, classifier.spec, member_prefix(static_cast<std::size_t>(member))));
  classifier.is_speaker_normalised = reader.integer_attribute("speaker_normalised") != 0;
  classifier.scaling = {reader.floats("scaler/mean"), reader.floats("scaler/scale")};
  classifier.labels = reader.strings("labels");
  const std::string expected = reader.string_attribute("checksum");
  const std::string found = checksum(texts, classifier);
  if (found != expected) fail("damaged: its content has the checksum {}, not {}", found, expected);
  check_classifier(classifier);
  return classifier;
}

}  // namespace

void save_classifier(const Classifier& classifier, const std::filesystem::path& file) {
  with_context(file.string(), [&] { check_classifier(classifier); });
  save_atomically(file, file_image(classifier), [&](const std::filesystem::path& temporary) {
    if (load_classifier(temporary) != classifier)
      fail("{} does not read back as written", temporary.string());
  });
}

Classifier load_classifier(const std::filesystem::path& file) {
  const hdf5::Reader reader(file);
  return with_context(file.string(), [&] {
    try {
      return read_classifier(reader);
    } catch (const hdf5::DamagedFile& error) {
      // Its message begins with the file's name, which the context adds.
      const std::string message = error.what();
      const std::string prefix = file.string() + ": ";
      fail("{}", message.starts_with(prefix) ? message.substr(prefix.size()) : message);
    }
  });
}

}  // namespace melgrad
