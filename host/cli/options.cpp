#include "host/cli/options.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "host/core/error.hpp"
#include "host/core/file_system.hpp"

namespace melgrad {

namespace detail {

Json number_from_text(const std::string& text) {
  if (text.empty()) return text;
  char* end = nullptr;
  errno = 0;
  const std::int64_t whole = std::strtoll(text.c_str(), &end, 10);
  if (*end == '\0' && errno == 0) return whole;
  const double number = std::strtod(text.c_str(), &end);
  if (*end == '\0') return number;
  return text;
}

std::string text_from_json(const Json& json) {
  if (json.is_string()) return json.get<std::string>();
  if (json.is_array()) {
    std::vector<std::string> parts;
    for (const auto& each : json) parts.push_back(text_from_json(each));
    return fmt::format("{}", fmt::join(parts, ","));
  }
  return json.is_number_float() ? fmt::format("{}", json.get<double>()) : json.dump();
}

}  // namespace detail

std::string option_name(std::string_view field_name) {
  std::string name = fmt::format("--{}", field_name);
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

CLI::App& add_command(CLI::App& program, const std::string& name, const std::string& description,
                      const std::string& examples) {
  CLI::App& app = *program.add_subcommand(name, description);
  app.group("Commands");
  app.footer("Examples:\n" + examples);
  return app;
}

void add_common_options(CLI::App& app, CommonOptions& common) {
  const std::string group = "Common options";
  app.set_help_flag("-h,--help", "this help")->group(group);
  app.add_option("--device", common.device, "where to compute; auto: a usable GPU, else the CPU")
      ->type_name("auto|cpu|cuda|cuda:N")
      ->default_str("auto")
      ->group(group);
  app.add_option("--threads", common.n_threads, "threads of the CPU; 0: one for each core")
      ->check(CLI::Range(0, 4096).description(""))
      ->type_name("N")
      ->default_str("0")
      ->group(group);
  app.add_flag("--tf32", common.tf32,
               "networks on a GPU whose models step side by side: products of TF32's 10 bits")
      ->group(group);
  app.add_option("--random-state", common.random_state, "seed of everything that is drawn by chance")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{9'000'000'000'000'000}).description(""))
      ->type_name("N")
      ->default_str("0")
      ->group(group);
  app.add_flag("--json", common.json, "results as JSON on stdout")->group(group);
  app.add_flag("--quiet", common.quiet, "no progress and no notes on stderr")->group(group);
  app.add_flag("--verbose", common.verbose, "more notes on stderr")->group(group);
  app.add_flag("--no-color", common.no_color, "no colours, as with NO_COLOR in the environment")
      ->group(group);
}

namespace {

// The named specification with the given fields changed; the changes are added to `changes`.
template <class Spec>
void change(Spec& spec, const FieldOptions<Spec>& options, const std::string& prefix,
            std::vector<std::string>& changes) {
  Json json = to_json_fields(spec);
  for (const auto& [name, value] : options.given().items()) {
    if (json[name] == value) continue;
    changes.push_back(fmt::format("{}{} {}", prefix, name, detail::text_from_json(value)));
    json[name] = value;
  }
  spec = from_json_fields<Spec>(json);
}

// The same for the descriptors of one kind, which the set has to have if anything was given for it.
template <class Descriptor>
void change_descriptors(FeatureSpec& spec, const FieldOptions<Descriptor>& options,
                        std::vector<std::string>& changes) {
  if (options.given().empty()) return;
  const std::string prefix = std::string(Descriptor::name) + "_";
  bool found = false;
  for (auto& each : spec.descriptors) {
    auto* descriptor = std::get_if<Descriptor>(&each.descriptor);
    if (descriptor == nullptr) continue;
    change(*descriptor, options, prefix, changes);
    found = true;
  }
  if (!found)
    fail_usage("{}: the feature set '{}' has no {}", option_name(prefix + options.given().begin().key()),
               spec.name, Descriptor::name);
}

// Groups of the speech set that were given in any order.
void change_speech_groups(FeatureSpec& spec, const FieldOptions<Speech>& options,
                          std::vector<std::string>& changes) {
  if (options.given().empty()) return;
  auto* speech = std::get_if<Speech>(&spec.descriptors[0].descriptor);
  if (speech == nullptr) fail_usage("--speech-groups: the feature set '{}' has no speech", spec.name);
  Speech given = with_context("--speech-groups", [&] { return options.read(); });
  std::ranges::sort(given.groups);
  if (given == *speech) return;
  *speech = given;
  std::vector<std::string_view> names;
  for (const SpeechGroup group : given.groups) names.push_back(to_name(group));
  changes.push_back(fmt::format("groups {}", fmt::join(names, "+")));
}

}  // namespace

void FeatureOptions::add(CLI::App& app) {
  const std::string group = "Features";
  app.add_option("--features", features_,
                 "a named set, or a file in the format that `melgrad info --json` shows")
      ->type_name("notebook|speech|FILE.json")
      ->default_str(features_)
      ->group(group);
  app.add_option("--sample-rate", sample_rate_, "Hz to resample to first; 0: each file's own rate")
      ->check(CLI::Range(0, 1'000'000).description(""))
      ->type_name("N")
      ->default_str("0")
      ->group(group);
  stft_.add(app, group, {});
  // Defaults as the notebook has them; a descriptor of another set keeps its own.
  const FeatureSpec notebook = feature_spec("notebook");
  const auto add_descriptor = [&](auto& options, auto defaults) {
    for (const auto& each : notebook.descriptors)
      if (const auto* descriptor = std::get_if<decltype(defaults)>(&each.descriptor)) defaults = *descriptor;
    options.add(app, group, defaults, std::string(defaults.name) + "_");
  };
  add_descriptor(chroma_stft_, ChromaStft{});
  add_descriptor(melspectrogram_, MelSpectrogram{});
  add_descriptor(mfcc_, Mfcc{});
  add_descriptor(speech_, Speech{});
}

FeatureSpec FeatureOptions::read() const {
  FeatureSpec spec = feature_spec(features_);
  if (std::holds_alternative<Speech>(spec.descriptors[0].descriptor) && !stft_.given().empty())
    fail_usage("{}: the feature set '{}' has frames of its own; --features takes another set",
               option_name(stft_.given().begin().key()), spec.name);
  if (sample_rate_ >= 0) spec.sample_rate = sample_rate_;
  std::vector<std::string> changes;
  change(spec.stft, stft_, "", changes);
  change_descriptors(spec, chroma_stft_, changes);
  change_descriptors(spec, melspectrogram_, changes);
  change_descriptors(spec, mfcc_, changes);
  change_speech_groups(spec, speech_, changes);
  for (const auto& each : changes) spec.name += ", " + each;
  check_feature_spec(spec);
  return spec;
}

MlpSpec notebook_mlp() {
  MlpSpec spec;
  spec.hidden_layer_sizes = {300};
  spec.activation = Activation::logistic;
  spec.alpha = 1e-3;
  spec.batch_size = 256;
  spec.max_iter = 1000;
  return spec;
}

MlpSpec speech_mlp() {
  MlpSpec spec;
  spec.hidden_layer_sizes = {256};
  spec.solver = Solver::adamw;
  spec.alpha = 1e-3;
  spec.batch_size = 128;
  spec.learning_rate = LearningRate::one_cycle;
  spec.learning_rate_init = 2e-3;
  spec.max_iter = 30;
  spec.n_iter_no_change = 30;  // the schedule runs to its end
  spec.dropout = 0.5;
  spec.input_dropout = 0.1;
  spec.clip = 5;
  spec.batch_norm = true;
  spec.label_smoothing = 0.1;
  spec.mixup = 0.2;
  return spec;
}

void NetworkOptions::add(CLI::App& app) {
  const std::string group = "Network (scikit-learn's MLPClassifier)";
  app.add_option(
         "--network", network_,
         "defaults of the options below: the notebook's, which they show, or those for the speech set "
         "(auto: with features of that name)")
      ->check(CLI::IsMember({"auto", "notebook", "speech"}).description(""))
      ->type_name("auto|notebook|speech")
      ->default_str("auto")
      ->group(group);
  mlp_.add(app, group, notebook_mlp());
}

void NetworkOptions::check() const {
  static_cast<void>(mlp_.read(notebook_mlp()));
}

MlpSpec NetworkOptions::read(const FeatureSpec& features) const {
  const bool is_speech = network_ == "auto" ? features.name.starts_with("speech") : network_ == "speech";
  return mlp_.read(is_speech ? speech_mlp() : notebook_mlp());
}

MadeEngine make_engine(const CommonOptions& options, Console& console) {
  MadeEngine made =
      make_engine(options.device, EngineOptions{.n_threads = options.n_threads, .tf32 = options.tf32});
  const std::string text =
      fmt::format("device: {} ({})", made.choice.empty() ? std::string(made.engine->name()) : made.choice,
                  made.engine->description());
  if (made.gpu_was_refused)
    console.warn(text);
  else
    console.note(text);
  return made;
}

namespace {

// An error where no file can be made beside this one: before hours of work, not after.
void check_folder_of(const std::filesystem::path& file) {
  const std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : ".";
  if (::access(folder.c_str(), W_OK | X_OK) != 0)
    fail("{}: cannot be written: {}: {}", file.string(), folder.string(), errno_text(errno));
}

}  // namespace

void OverwriteOption::add(CLI::App& app) {
  app.add_flag("--overwrite", overwrite, "replace a file that exists");
}

void OverwriteOption::check(const std::string& file) const {
  if (!overwrite && std::filesystem::exists(file)) fail_usage("{} exists; --overwrite replaces it", file);
  check_folder_of(file);
}

}  // namespace melgrad
