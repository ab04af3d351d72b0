#pragma once
// Options that several commands have, and how specifications become options.

#include <CLI/CLI.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "host/cli/console.hpp"
#include "host/core/fields.hpp"
#include "host/engine/engine.hpp"
#include "host/engine/mlp.hpp"
#include "host/features/feature_spec.hpp"

namespace melgrad {

struct CommonOptions {
  std::string command_line;  // as a shell was given it
  std::string device = "auto";
  int n_threads = 0;
  bool tf32 = false;
  std::int64_t random_state = 0;
  bool json = false;
  bool quiet = false;
  bool verbose = false;
  bool no_color = false;
};

// One subcommand: run() does its work once `app` was parsed, and returns the exit status.
struct Command {
  CLI::App* app = nullptr;
  std::function<int(Console&)> run;
};

// A subcommand. `examples` stand at the end of its help.
CLI::App& add_command(CLI::App& program, const std::string& name, const std::string& description,
                      const std::string& examples);
// After a command's own options, so that its help begins with those.
void add_common_options(CLI::App& app, CommonOptions& common);

// "hidden_layer_sizes" -> "--hidden-layer-sizes".
std::string option_name(std::string_view field_name);

namespace detail {

// The JSON that a text on the command line means for a field of type T; what is no number stays text, and
// reading the field refuses it.
Json number_from_text(const std::string& text);
template <class T>
Json json_from_text(const std::string& text) {
  if constexpr (is_vector<T>::value) {
    Json array = Json::array();
    for (const auto& each : CLI::detail::split(text, ','))
      array.push_back(json_from_text<typename T::value_type>(each));
    return array;
  } else if constexpr (is_optional<T>::value) {
    return text == "null" ? Json(nullptr) : json_from_text<typename T::value_type>(text);
  } else if constexpr (std::is_arithmetic_v<T>) {
    return number_from_text(text);
  } else {
    return text;
  }
}

template <class T>
std::string type_text() {
  if constexpr (is_vector<T>::value)
    return type_text<typename T::value_type>() + ",...";
  else if constexpr (is_optional<T>::value)
    return type_text<typename T::value_type>() + "|null";
  else if constexpr (std::is_enum_v<T>)
    return fmt::format("{}", fmt::join(enum_names<T>, "|"));
  else if constexpr (std::is_integral_v<T>)
    return "N";
  else if constexpr (std::is_floating_point_v<T>)
    return "X";
  else
    return "TEXT";
}

// "50", "300,100": a default as it would be typed.
std::string text_from_json(const Json& json);

}  // namespace detail

// Options for the fields of a specification, one each: "--learning-rate-init", and "--no-shuffle" for a flag
// that is set by default. What was given is kept as JSON, so that reading checks it as it checks a file.
template <class Spec>
class FieldOptions {
 public:
  // `prefix` goes before each name ("mfcc_"). random_state is left out: it is a common option.
  void add(CLI::App& app, const std::string& group, const Spec& defaults, const std::string& prefix = "") {
    defaults_ = to_json_fields(defaults);
    for_each_field<Spec>([&](const auto& each) {
      if (std::string_view(each.name) != "random_state") add_field(app, group, each, prefix);
    });
  }
  // Only what was given.
  const Json& given() const { return *given_; }
  // The defaults and what was given.
  Spec read() const { return read_over(defaults_); }
  // The same over other defaults than the help shows.
  Spec read(const Spec& defaults) const { return read_over(to_json_fields(defaults)); }

 private:
  Spec read_over(Json all) const {
    all.update(*given_);
    return from_json_fields<Spec>(all);
  }

  template <class T>
  void add_field(CLI::App& app, const std::string& group, const Field<Spec, T>& each,
                 const std::string& prefix) {
    const std::string name = each.name;
    auto given = given_;
    if constexpr (std::is_same_v<T, bool>) {
      const bool by_default = defaults_[name].template get<bool>();
      const auto option = [&](bool value) {
        const std::string field_name = prefix + name;
        return app.add_flag_callback(
            option_name(value ? field_name : "no_" + field_name),
            [given, name, value] { (*given)[name] = value; },
            value ? each.help : std::string("off: ") + each.help);
      };
      option(!by_default)->group(group);
      option(by_default)->group("");  // known, but not worth a line of help
    } else {
      app.add_option_function<std::string>(
             option_name(prefix + name),
             [given, name](const std::string& text) { (*given)[name] = detail::json_from_text<T>(text); },
             describe(each))
          ->type_name(detail::type_text<T>())
          ->default_str(detail::text_from_json(defaults_[name]))
          ->group(group);
    }
  }

  template <class T>
  static std::string describe(const Field<Spec, T>& each) {
    if (std::isinf(each.minimum) || std::isinf(each.maximum)) return each.help;
    return fmt::format("{} [{} to {}]", each.help, each.minimum, each.maximum);
  }

  Json defaults_;
  std::shared_ptr<Json> given_ = std::make_shared<Json>(Json::object());
};

// --features, --sample-rate and an option for each field of the STFT and of each kind of descriptor
// ("--mfcc-n-mels", "--speech-groups").
class FeatureOptions {
 public:
  explicit FeatureOptions(std::string default_set = "notebook") : features_(std::move(default_set)) {}
  void add(CLI::App& app);
  // A set that was changed says so in its name: "notebook, n_fft 1024".
  FeatureSpec read() const;

 private:
  std::string features_;
  int sample_rate_ = -1;  // -1: not given
  FieldOptions<StftSpec> stft_;
  FieldOptions<ChromaStft> chroma_stft_;
  FieldOptions<MelSpectrogram> melspectrogram_;
  FieldOptions<Mfcc> mfcc_;
  FieldOptions<Speech> speech_;
};

// The notebook's network: one hidden layer of 300 logistic units.
MlpSpec notebook_mlp();
// What does well on speakers that it has not heard, with the speech set and altered copies.
MlpSpec speech_mlp();

// The options of a network: one for each field of MlpSpec, over the defaults that --network names.
class NetworkOptions {
 public:
  void add(CLI::App& app);
  // Throws UsageError where an option is wrong, whatever the features.
  void check() const;
  MlpSpec read(const FeatureSpec& features) const;
  // Options that were given one by one.
  const Json& given() const { return mlp_.given(); }

 private:
  std::string network_ = "auto";
  FieldOptions<MlpSpec> mlp_;
};

// The engine that --device and --threads ask for; says what was chosen, and why.
MadeEngine make_engine(const CommonOptions& options, Console& console);

// --overwrite, and the check of a file that a command is to write.
struct OverwriteOption {
  bool overwrite = false;

  void add(CLI::App& app);
  // An error if the file exists and may not be replaced.
  void check(const std::string& file) const;
};

}  // namespace melgrad
