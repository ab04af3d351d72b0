#include "host/features/alterations.hpp"

#include "host/core/error.hpp"

namespace melgrad {

std::vector<FeatureSpec> altered_copies(const FeatureSpec& spec) {
  if (spec.speed != 1 || spec.pitch != 0)
    fail_usage("'{}' is of altered recordings already ({}), which have no copies", spec.name,
               alteration_name(spec));
  std::vector<FeatureSpec> copies(4, spec);
  copies[0].speed = 0.9;
  copies[1].speed = 1.1;
  copies[2].pitch = -1.5;
  copies[3].pitch = 1.5;
  for (FeatureSpec& copy : copies) copy.name += ", " + alteration_name(copy);
  return copies;
}

std::string alteration_name(const FeatureSpec& spec) {
  std::string name;
  if (spec.speed != 1) name = fmt::format("speed-{}", spec.speed);
  if (spec.pitch != 0) name += fmt::format("{}pitch{:+}", name.empty() ? "" : "-", spec.pitch);
  return name;
}

std::filesystem::path copy_file(const std::filesystem::path& file, const FeatureSpec& copy) {
  std::filesystem::path beside = file;
  return beside.replace_filename(
      fmt::format("{}.{}{}", file.stem().string(), alteration_name(copy), file.extension().string()));
}

}  // namespace melgrad
