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
#include "host/cli/build_info.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/inputs.hpp"
#include "host/core/parallel.hpp"
#include "host/cpu/cpu_mlp_kernels.hpp"
#include "host/cpu/simd.hpp"
#include "host/data/dataset.hpp"
#include "host/engine/cuda_status.hpp"
#include "host/engine/speech_division.hpp"
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

Json to_json(const CudaDevice& device) {
  return {{"name", fmt::format("cuda:{}", device.index)},
          {"model", device.name},
          {"compute_capability", fmt::format("{}.{}", device.major, device.minor)},
          {"multiprocessors", device.multiprocessors},
          {"memory_bytes", device.memory_bytes},
          {"uuid", device.uuid},
          {"is_mig", device.is_mig},
          {"why_not", device.why_not}};
}

Json to_json(const CudaStatus& cuda) {
  const auto version = [](int number) { return number == 0 ? Json() : Json(cuda_version_text(number)); };
  Json json = {{"runtime", version(cuda.runtime_version)},
               {"driver", version(cuda.driver_version)},
               {"driver_release", cuda.driver_release.empty() ? Json() : Json(cuda.driver_release)},
               {"libraries", Json::object()},
               {"devices", Json::array()},
               {"why_not", cuda.why_not}};
  for (const auto& [name, library_version] : cuda.libraries) json["libraries"][name] = library_version;
  for (const CudaDevice& device : cuda.devices) json["devices"].push_back(to_json(device));
  return json;
}

// Lines that begin with "CUDA: ".
std::string cuda_text(const CudaStatus& cuda) {
  std::string text;
  if (cuda.runtime_version != 0) {
    text += fmt::format("CUDA: built with {}", cuda_version_text(cuda.runtime_version));
    for (const auto& [name, version] : cuda.libraries) text += fmt::format(", {} {}", name, version);
    if (cuda.driver_version == 0)
      text += "; no driver\n";
    else
      text += fmt::format("; the driver {} knows CUDA up to {}\n", cuda.driver_release,
                          cuda_version_text(cuda.driver_version));
  }
  for (const CudaDevice& device : cuda.devices)
    text += fmt::format("CUDA: {}, {}\n", to_text(device), device.uuid);
  if (!cuda.why_not.empty()) text += fmt::format("CUDA: not usable: {}\n", cuda.why_not);
  return text;
}

Json to_json(const BuildInfo& build) {
  return {{"git", build.git},
          {"type", build.type},
          {"flags", build.flags},
          {"sanitizers", build.sanitizers},
          {"cuda_architectures", build.cuda_architectures}};
}

// By engine, what it computes of the speech set where a GPU is used.
Json speech_groups() {
  return division_of(feature_spec("speech"), "cuda");
}

Json program_info(const CommonOptions& common, const CudaStatus& cuda) {
  choose_simd();
  return {{"version", MELGRAD_VERSION},
          {"compiler",
#ifdef __clang__
           "Clang " __clang_version__
#else
           "GCC " __VERSION__
#endif
          },
          {"build", to_json(build_info())},
          {"simd", simd_name()},
          {"threads", resolve_threads(common.n_threads)},
          {"bf16", {{"why_not", mlp_kernels().lack_of_bf16}}},
          {"cuda", to_json(cuda)},
          {"speech_groups", speech_groups()},
          {"libraries", library_versions()}};
}

std::string text_of(const Json& info, const CudaStatus& cuda) {
  const BuildInfo build = build_info();
  std::string text = fmt::format(
      "melgrad {}{}, built by {}, {}: {}\nCPU: {}, {} threads\n", info["version"].get<std::string>(),
      *build.git == '\0' ? "" : fmt::format(" ({})", build.git), info["compiler"].get<std::string>(),
      build.type, build.flags, info["simd"].get<std::string>(), info["threads"].get<int>());
  const auto no_bf16 = info["bf16"]["why_not"].get<std::string>();
  text += fmt::format("--precision bf16: {}\n",
                      no_bf16.empty() ? "there, by AMX" : fmt::format("not there: {}", no_bf16));
  text += cuda_text(cuda);
  const auto groups = info["speech_groups"].get<Division>();
  text += fmt::format("Groups of speech that a GPU computes: {}; that the CPU computes on every device: {}\n",
                      fmt::join(groups.at("cuda"), ", "), fmt::join(groups.at("cpu"), ", "));
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
    const CudaStatus cuda = cuda_status();
    const Json info = program_info(common, cuda);
    if (console.json())
      console.json_result(info);
    else
      console.result(text_of(info, cuda));
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
