// melgrad predict model.h5 FILES...

#include "host/evaluation/predict.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <numeric>

#include "host/cli/commands.hpp"
#include "host/cli/inputs.hpp"
#include "host/models/model_file.hpp"
#include "host/report/terminal.hpp"

namespace melgrad {
namespace {

struct PredictOptions {
  std::string model;
  std::vector<std::string> files;
  bool tta = false;
};

// What was predicted of the recordings that could be used.
struct Predictions {
  std::vector<std::string> paths;  // [n_rows]
  Matrix<float> probabilities;     // [n_rows, n_labels]
};

Predictions predict_usable(const Classifier& classifier, const ExtractedOnce& extracted, bool tta,
                           Engine& engine, Console& console) {
  Dataset dataset = make_dataset(extracted.table, 0);
  treat(dataset, {tta, classifier.is_speaker_normalised}, extracted.copies, console);
  Predictions predictions;
  for (const Clip& clip : dataset.clips) predictions.paths.push_back(clip.path);
  predictions.probabilities =
      predict_proba_with_copies(engine, classifier, dataset.all_versions(), dataset.n_copies);
  return predictions;
}

// [n_labels]: the labels of one row from the most probable on.
std::vector<std::size_t> ranking(std::span<const float> probabilities) {
  std::vector<std::size_t> order(probabilities.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order,
                           [&](std::size_t a, std::size_t b) { return probabilities[a] > probabilities[b]; });
  return order;
}

Json to_json(const Predictions& predictions, const std::vector<std::string>& labels) {
  Json all = Json::array();
  for (std::size_t row = 0; row < predictions.paths.size(); ++row) {
    const auto probabilities = predictions.probabilities.row(static_cast<Index>(row));
    const std::size_t best = ranking(probabilities).front();
    Json each = {
        {"path", predictions.paths[row]}, {"label", labels[best]}, {"probability", probabilities[best]}};
    for (std::size_t label = 0; label < labels.size(); ++label)
      each["probabilities"][labels[label]] = probabilities[label];
    all.push_back(std::move(each));
  }
  return all;
}

// One line a recording: the label with a bar of its probability, and the next two.
std::string to_text(const Predictions& predictions, const std::vector<std::string>& labels,
                    const TextStyle& style) {
  const auto widest = [](const std::vector<std::string>& texts) {
    int width = 0;
    for (const auto& text : texts) width = std::max(width, display_width(text));
    return width;
  };
  const int path_width = std::min(widest(predictions.paths), 60);
  const int label_width = widest(labels);
  std::string text;
  for (std::size_t row = 0; row < predictions.paths.size(); ++row) {
    const auto probabilities = predictions.probabilities.row(static_cast<Index>(row));
    const auto order = ranking(probabilities);
    text += fmt::format("{}  {}  {} {:>7}", left_aligned(predictions.paths[row], path_width, style),
                        painted(left_aligned(labels[order[0]], label_width, style), Ink::bold, style),
                        bar(probabilities[order[0]], 20, style), percent(probabilities[order[0]]));
    for (std::size_t rank = 1; rank < std::min<std::size_t>(3, order.size()); ++rank)
      text += fmt::format("{} {} {}", rank == 1 ? "   then" : ",", labels[order[rank]],
                          percent(probabilities[order[rank]]));
    text += "\n";
  }
  return text;
}

int predict(const PredictOptions& options, const CommonOptions& common, Console& console) {
  const Classifier classifier = load_classifier(options.model);
  const Manifest manifest = unlabelled_recordings(options.files);
  const MadeEngine made = make_engine(common, console);
  console.heed_interrupts();
  const ExtractedOnce extracted =
      extract_once(manifest, classifier.features, options.tta, *made.engine, common.n_threads, console);
  const std::vector<Refusal>& refused = extracted.report.refused;
  if (classifier.is_speaker_normalised)
    console.warn(
        fmt::format("the model is speaker-normalised: these {} recordings are taken as one speaker's, and "
                    "each answer depends on "
                    "all of them",
                    extracted.report.n_clips - extracted.report.n_refused));
  const Predictions predictions = predict_usable(classifier, extracted, options.tta, *made.engine, console);

  if (console.json()) {
    console.json_result(Json{{"model", options.model},
                             {"device", made.engine->name()},
                             {"labels", classifier.labels},
                             {"tta", options.tta},
                             {"predictions", to_json(predictions, classifier.labels)},
                             {"refused", to_json(refused)}});
  } else {
    console.result(to_text(predictions, classifier.labels, console.style()) +
                   refusals_text(refused, console.style()));
  }
  return refused.empty() ? exit_done : exit_refused;
}

}  // namespace

Command make_predict_command(CLI::App& program, CommonOptions& common) {
  CLI::App& app =
      add_command(program, "predict", "what a model makes of recordings: a probability for each label",
                  "  melgrad predict results/model.h5 a.wav b.flac\n"
                  "  melgrad predict results/model.h5 recordings/ --json > predictions.json\n"
                  "\nThe features are those that the model was trained on; the file holds them.");
  auto options = std::make_shared<PredictOptions>();
  app.add_option("MODEL.h5", options->model, "a trained model")->required();
  app.add_option("FILES", options->files, "recordings, and folders of them")->required();
  add_tta_option(app, options->tta);
  add_common_options(app, common);
  return {&app, [options, &common](Console& console) { return predict(*options, common, console); }};
}

}  // namespace melgrad
