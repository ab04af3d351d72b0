// melgrad info [FILE.h5]

#include <fmt/format.h>
#include <hwy/highway.h>
#include <sndfile.h>
#include <soxr.h>
#include <xxhash.h>
#include <CLI/CLI.hpp>

#include <filesystem>
#include <memory>
#include <set>

#include "host/cache/hdf5.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/inputs.hpp"
#include "host/core/parallel.hpp"
#include "host/cpu/simd.hpp"
#include "host/data/dataset.hpp"
#include "host/models/model_file.hpp"

namespace melgrad {
namespace {

struct InfoOptions {
  std::string file;
};

// The versions that the program was built with; HDF5's and libsndfile's are those that it runs with.
Json library_versions() {
  const auto dotted = [](int major, int minor, int patch) {
    return fmt::format("{}.{}.{}", major, minor, patch);
  };
  return {{"HDF5", hdf5::library_version()},
          {"libsndfile", std::string(sf_version_string()).substr(std::string_view("libsndfile-").size())},
          {"soxr", std::string(soxr_version()).substr(std::string_view("libsoxr-").size())},
          {"Highway", dotted(HWY_MAJOR, HWY_MINOR, HWY_PATCH)},
          {"xxHash", dotted(XXH_VERSION_MAJOR, XXH_VERSION_MINOR, XXH_VERSION_RELEASE)},
          {"fmt", dotted(FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100)},
          {"nlohmann_json",
           dotted(NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR, NLOHMANN_JSON_VERSION_PATCH)},
          {"CLI11", CLI11_VERSION}};
}

Json program_info(const CommonOptions& common) {
  choose_simd();
  const CudaStatus cuda = cuda_status();
  return {{"version", MELGRAD_VERSION},
          {"compiler",
#ifdef __clang__
           "Clang " __clang_version__
#else
           "GCC " __VERSION__
#endif
          },
          {"simd", simd_name()},
          {"threads", resolve_threads(common.n_threads)},
          {"cuda", {{"devices", cuda.devices}, {"why_not", cuda.why_not}}},
          {"libraries", library_versions()}};
}

std::string text_of(const Json& info) {
  const std::string why_not = info["cuda"]["why_not"];
  std::string text = fmt::format("melgrad {}, built by {}\nCPU: {}, {} threads\n",
                                 info["version"].get<std::string>(), info["compiler"].get<std::string>(),
                                 info["simd"].get<std::string>(), info["threads"].get<int>());
  if (!why_not.empty()) text += fmt::format("CUDA: not usable: {}\n", why_not);
  for (const auto& device : info["cuda"]["devices"])
    text += fmt::format("CUDA: {}\n", device.get<std::string>());
  std::vector<std::string> libraries;
  for (const auto& [name, version] : info["libraries"].items())
    libraries.push_back(fmt::format("{} {}", name, version.get<std::string>()));
  return text + fmt::format("Libraries: {}\n", fmt::join(libraries, ", "));
}

Json cache_info(const std::string& file) {
  const FeatureTable table = read_feature_table(file);
  Json info = {{"file", file}, {"kind", "features"}};
  std::set<std::string> labels, groups;
  std::vector<Refusal> refused;
  double audio_seconds = 0;
  for (std::size_t clip = 0; clip < table.clips.size(); ++clip) {
    if (table.status[clip] != "ok") {
      refused.push_back({table.clips[clip].path, table.status[clip]});
      continue;
    }
    labels.insert(table.clips[clip].label);
    if (!table.clips[clip].group.empty()) groups.insert(table.clips[clip].group);
    audio_seconds += table.duration_s[clip];
  }
  info["n_clips"] = table.clips.size();
  info["n_refused"] = refused.size();
  info["refused"] = to_json(refused);
  info["labels"] = labels;
  info["n_groups"] = groups.size();
  info["audio_seconds"] = audio_seconds;
  info["n_features"] = table.columns.size();
  info["feature_spec"] = to_json(table.spec);
  return info;
}

std::string cache_text(const Json& info) {
  return fmt::format(
      "{}: a cache of {} features ({}) of {} clips, {} of them refused\n"
      "{} of audio, {} labels ({}), {} groups\n",
      info["file"].get<std::string>(), info["n_features"].get<int>(),
      info["feature_spec"]["name"].get<std::string>(), info["n_clips"].get<int>(),
      info["n_refused"].get<int>(), time_text(info["audio_seconds"].get<double>()), info["labels"].size(),
      fmt::join(info["labels"].get<std::vector<std::string>>(), ", "), info["n_groups"].get<int>());
}

Json model_info(const std::string& file) {
  const Classifier classifier = load_classifier(file);
  return {{"file", file},
          {"kind", "model"},
          {"labels", classifier.labels},
          {"n_features", n_features(classifier.features)},
          {"feature_spec", to_json(classifier.features)},
          {"mlp", to_json_fields(classifier.spec)},
          {"provenance", classifier.provenance}};
}

std::string model_text(const Json& info) {
  return fmt::format("{}: a network with {} hidden units ({}), from {} features ({}) to {} labels ({})\n",
                     info["file"].get<std::string>(),
                     fmt::join(info["mlp"]["hidden_layer_sizes"].get<std::vector<int>>(), ", "),
                     info["mlp"]["activation"].get<std::string>(), info["n_features"].get<int>(),
                     info["feature_spec"]["name"].get<std::string>(), info["labels"].size(),
                     fmt::join(info["labels"].get<std::vector<std::string>>(), ", "));
}

int show_info(const InfoOptions& options, const CommonOptions& common, Console& console) {
  if (options.file.empty()) {
    const Json info = program_info(common);
    if (console.json())
      console.json_result(info);
    else
      console.result(text_of(info));
    return exit_done;
  }
  // A first extraction that was cut short has left segments, and no file yet.
  const bool is_model =
      std::filesystem::exists(options.file) && hdf5::Reader(options.file).has_attribute("mlp_spec");
  const Json info = is_model ? model_info(options.file) : cache_info(options.file);
  if (console.json())
    console.json_result(info);
  else
    console.result(is_model ? model_text(info) : cache_text(info));
  return exit_done;
}

}  // namespace

Command make_info_command(CLI::App& program, CommonOptions& common) {
  CLI::App& app = add_command(program, "info", "this program and machine, or what a cache or a model holds",
                              "  melgrad info\n"
                              "  melgrad info results/model.h5\n"
                              "  melgrad info features.h5 --json");
  auto options = std::make_shared<InfoOptions>();
  app.add_option("FILE.h5", options->file, "a cache or a model");
  add_common_options(app, common);
  return {&app, [options, &common](Console& console) { return show_info(*options, common, console); }};
}

}  // namespace melgrad
