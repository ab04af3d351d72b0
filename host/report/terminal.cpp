#include "host/report/terminal.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "host/report/findings.hpp"

namespace melgrad {
namespace {

constexpr std::string_view margin = "  ";

// The widest of the names, at most `most`.
int column_width(const std::vector<std::string>& names, int most) {
  int width = 0;
  for (const std::string& name : names) width = std::max(width, display_width(printable(name)));
  return std::min(width, most);
}

// Of the model in model.h5, which is the first.
std::vector<const ProtocolResult*> available(const Results& results) {
  std::vector<const ProtocolResult*> found;
  for (const ProtocolResult& result : results.models)
    if (result.name == results.models.front().name && result.why_not.empty()) found.push_back(&result);
  return found;
}

std::string indented(std::string_view text, const TextStyle& style) {
  return wrapped(text, margin, style);
}

// Bars of the accuracies, and of chance.
std::string accuracy_bars(const Results& results, const TextStyle& style) {
  const auto shown = available(results);
  std::vector<std::string> titles = {"by chance"};
  for (const ProtocolResult* result : shown)
    titles.push_back(protocol_title(result->protocol, results.dataset));
  const int title_width = column_width(titles, 30);
  const int bar_width = std::clamp(style.width - title_width - 12, 10, 60);
  std::string text;
  const auto add = [&](const std::string& title, double share, Ink ink) {
    text += fmt::format("{}{}  {} {}\n", margin, left_aligned(title, title_width, style),
                        painted(bar(share, bar_width, style), ink, style),
                        right_aligned(percent(share), 7, style));
  };
  for (std::size_t i = 0; i < shown.size(); ++i)
    add(titles[i + 1], shown[i]->metrics.accuracy,
        shown[i]->protocol == Protocol::random ? Ink::dim : Ink::good);
  add(titles[0], chance_accuracy(shown.front()->metrics), Ink::dim);
  return text;
}

struct MetricRow {
  std::string title;
  double Metrics::*value;
  Spread ProtocolResult::*spread;  // null: not said
  double ProtocolGap::*gap;
};

// "65.4 % ± 1.2", the standard error where there are several splits.
std::string with_error(const ProtocolResult& result, const MetricRow& row, const TextStyle& style) {
  const std::string value = percent(result.metrics.*row.value);
  if (row.spread == nullptr || result.splits.size() < 2) return value + std::string(6, ' ');
  return fmt::format("{} {} {:<3}", value, symbol("±", "+", style),
                     fmt::format("{:.1f}", 100 * (result.*row.spread).standard_error));
}

// Folds share the clips among them; each random split takes some of all.
std::string tested_text(const ProtocolResult& result, const TextStyle& style) {
  const std::size_t n_splits = result.splits.size();
  if (n_splits < 2) return fmt::format("{}      ", result.metrics.n_test);
  if (result.protocol != Protocol::random)
    return fmt::format("{} in {} folds", result.metrics.n_test, n_splits);
  const auto n_tested = [](const SplitResult& split) { return split.metrics.n_test; };
  const Index least = std::ranges::min(result.splits, {}, n_tested).metrics.n_test;
  const Index most = std::ranges::max(result.splits, {}, n_tested).metrics.n_test;
  const std::string_view times = symbol("×", "x", style);
  if (least == most) return fmt::format("{} {} {}", n_splits, times, least);
  return fmt::format("{} {} {} to {}", n_splits, times, least, most);
}

// A column for each protocol, and the gap after `speaker`.
std::string metrics_table(const Results& results, const TextStyle& style) {
  const auto shown = available(results);
  const auto gap = protocol_gap(results.models, shown.front()->name);
  constexpr int title_width = 24, column = 18, gap_width = 9;
  std::string text;
  const auto add_row = [&](const std::string& title, auto&& cell, const std::string& gap_cell, Ink ink) {
    std::string line = left_aligned(title, title_width, style);
    for (const ProtocolResult* result : shown) {
      line += right_aligned(cell(*result), column, style);
      if (gap && result->protocol == Protocol::speaker) line += right_aligned(gap_cell, gap_width, style);
    }
    while (line.ends_with(' ')) line.pop_back();
    text += std::string(margin) + painted(line, ink, style) + '\n';
  };
  const auto title = [&](const ProtocolResult& result) {
    return protocol_title(result.protocol, results.dataset);
  };
  add_row("", title, "gap", Ink::bold);
  for (const MetricRow& row :
       {MetricRow{"accuracy", &Metrics::accuracy, &ProtocolResult::accuracy, &ProtocolGap::accuracy},
        MetricRow{"balanced accuracy (UAR)", &Metrics::balanced_accuracy, &ProtocolResult::balanced_accuracy,
                  &ProtocolGap::balanced_accuracy},
        MetricRow{"macro precision", &Metrics::macro_precision, nullptr, nullptr},
        MetricRow{"macro recall", &Metrics::macro_recall, nullptr, nullptr},
        MetricRow{"macro F1", &Metrics::macro_f1, &ProtocolResult::macro_f1, &ProtocolGap::macro_f1}})
    add_row(
        row.title, [&](const ProtocolResult& result) { return with_error(result, row, style); },
        gap && row.gap != nullptr ? fmt::format("{:+.1f}", *gap.*row.gap) : "", Ink::plain);
  const auto padded = [](const std::string& cell) { return cell + std::string(6, ' '); };
  add_row(
      "clips tested", [&](const ProtocolResult& result) { return tested_text(result, style); }, "", Ink::dim);
  add_row(
      "trained in", [&](const ProtocolResult& result) { return padded(time_text(result.times.fit_seconds)); },
      "", Ink::dim);
  add_row(
      "predicted in",
      [&](const ProtocolResult& result) { return padded(time_text(result.times.predict_seconds)); }, "",
      Ink::dim);
  return text;
}

// "1200 clips · 8 labels · 20 speakers · 1 h 14 min of audio".
std::string facts_of(const DatasetSummary& dataset, const TextStyle& style) {
  const Index n_usable = dataset.n_clips - static_cast<Index>(dataset.refused.size());
  const std::string dot = fmt::format(" {} ", symbol("·", "-", style));
  std::string facts = counted(n_usable, "clip") + dot + counted(std::ssize(dataset.labels), "label");
  if (!dataset.groups.empty()) facts += dot + counted(std::ssize(dataset.groups), dataset.group_noun);
  facts += dot + time_text(dataset.audio_seconds) + " of audio";
  if (dataset.n_duplicates > 0) facts += dot + counted(dataset.n_duplicates, "duplicate");
  if (!dataset.refused.empty()) facts += fmt::format("{}{} refused", dot, dataset.refused.size());
  return facts;
}

constexpr int most_listed_labels = 200;

// "  and 9800 more: results.json", where there are more.
std::string more_labels(std::ptrdiff_t n_labels, const TextStyle& style) {
  if (n_labels <= most_listed_labels) return {};
  return painted(fmt::format("{}and {} more: results.json", margin, n_labels - most_listed_labels), Ink::dim,
                 style) +
         '\n';
}

// A bar for each label; more than twenty labels stand beside one another, without bars.
std::string labels_with_counts(const DatasetSummary& dataset, const TextStyle& style) {
  const auto n_labels = static_cast<int>(dataset.labels.size());
  const int label_width = column_width(dataset.labels, style.width / 3);
  const auto names = distinct_names(dataset.labels, label_width, style);
  const auto name_and_count = [&](int label) {
    const auto i = static_cast<std::size_t>(label);
    return fmt::format("{}{} {:6}", margin, left_aligned(names[i], label_width, style),
                       dataset.label_counts[i]);
  };
  std::string text;
  if (n_labels <= 20) {
    const int bar_width = std::clamp(style.width - label_width - 12, 10, 40);
    const Index most = n_labels == 0 ? 0 : *std::ranges::max_element(dataset.label_counts);
    for (int label = 0; label < n_labels; ++label) {
      const auto count = dataset.label_counts[static_cast<std::size_t>(label)];
      const double share = static_cast<double>(count) / static_cast<double>(most);
      text += name_and_count(label) + ' ' + painted(bar(share, bar_width, style), Ink::figure, style) + '\n';
    }
    return text;
  }
  const int n_columns = std::max(style.width / (label_width + 9), 1);
  const int n_listed = std::min(n_labels, most_listed_labels);
  const int n_lines = (n_listed + n_columns - 1) / n_columns;
  for (int line = 0; line < n_lines; ++line) {
    for (int label = line; label < n_listed; label += n_lines) text += name_and_count(label);
    text += '\n';
  }
  return text + more_labels(n_labels, style);
}

// As many protocols as fit beside one another, as tables below one another.
std::vector<Results> by_width(const Results& results, int first_column, int column, const TextStyle& style) {
  const auto at_once = static_cast<std::size_t>(std::max((style.width - first_column) / column, 1));
  std::vector<Results> parts;
  for (const ProtocolResult* result : available(results)) {
    if (parts.empty() || parts.back().models.size() == at_once) {
      parts.push_back({});
      parts.back().dataset = results.dataset;
    }
    parts.back().models.push_back(*result);
  }
  return parts;
}

std::string class_table(const Results& results, int label_width, int bar_width, const TextStyle& style) {
  const auto& models = results.models;
  const auto names = distinct_names(models.front().labels, label_width, style);
  std::string titles = std::string(margin) + std::string(static_cast<std::size_t>(label_width), ' ');
  std::string columns = titles;
  for (const ProtocolResult& result : models) {
    titles += "  " + left_aligned(protocol_title(result.protocol, results.dataset), 21 + bar_width, style);
    columns += "  " + left_aligned("clips prec  rec   F1", 21 + bar_width, style);
  }
  const auto trimmed = [](std::string line) {
    while (line.ends_with(' ')) line.pop_back();
    return line;
  };
  std::string text =
      painted(trimmed(titles), Ink::bold, style) + '\n' + painted(trimmed(columns), Ink::dim, style) + '\n';
  const std::size_t n_listed = std::min<std::size_t>(names.size(), most_listed_labels);
  for (std::size_t label = 0; label < n_listed; ++label) {
    std::string line = std::string(margin) + left_aligned(names[label], label_width, style);
    for (const ProtocolResult& result : models) {
      const ClassMetrics& each = result.metrics.per_class[label];
      if (each.support == 0) {
        line += "  " + painted(left_aligned("    0", 21 + bar_width, style), Ink::dim, style);
        continue;
      }
      line += fmt::format("  {:5}{:5.0f}{:5.0f}", each.support, 100 * each.precision, 100 * each.recall);
      std::string f1 = fmt::format("{:5.0f} ", 100 * each.f1) + bar(each.f1, bar_width, style);
      if (&result != &models.back()) f1 = left_aligned(f1, 6 + bar_width, style);
      line += painted(f1, each.f1 < 0.5 ? Ink::bad : Ink::good, style);
    }
    text += trimmed(line) + '\n';
  }
  return text + more_labels(std::ssize(names), style);
}

// The mean of the splits' curves, each of which keeps its last value when it has ended.
std::vector<double> mean_loss_curve(const ProtocolResult& result) {
  std::size_t n_epochs = 0;
  for (const SplitResult& split : result.splits)
    n_epochs = std::max(n_epochs, split.training.loss_curve.size());
  std::vector<double> mean(n_epochs, 0.0);
  for (const SplitResult& split : result.splits) {
    const auto& curve = split.training.loss_curve;
    if (curve.empty()) return {};
    for (std::size_t epoch = 0; epoch < n_epochs; ++epoch)
      mean[epoch] += curve[std::min(epoch, curve.size() - 1)] / static_cast<double>(result.splits.size());
  }
  return mean;
}

std::string epochs_text(const ProtocolResult& result) {
  int least = result.splits.front().training.n_iter, most = least;
  for (const SplitResult& split : result.splits) {
    least = std::min(least, split.training.n_iter);
    most = std::max(most, split.training.n_iter);
  }
  return least == most ? counted(most, "epoch") : fmt::format("{} to {} epochs", least, most);
}

}  // namespace

std::string refusals_text(const std::vector<Refusal>& refused, const TextStyle& style) {
  constexpr std::size_t most = 12;
  std::string text;
  for (std::size_t i = 0; i < std::min(refused.size(), most); ++i)
    text += wrapped(printable(refused[i].path) + ": " + printable(refused[i].reason),
                    i == 0 ? "  refused  " : "           ", style);
  if (refused.size() > most) text += fmt::format("           and {} more\n", refused.size() - most);
  return text;
}

std::string dataset_text(const DatasetSummary& dataset, const TextStyle& style) {
  std::string text =
      heading("Data", printable(dataset.name), style) + indented(facts_of(dataset, style), style) + '\n';
  text += labels_with_counts(dataset, style);
  if (!dataset.refused.empty()) text += '\n' + refusals_text(dataset.refused, style);
  return text;
}

std::string features_text(const Results& results, const TextStyle& style) {
  const FeatureSummary& features = results.features;
  std::string text =
      fmt::format("{}, {} values a clip, on {}", features.spec.name, features.n_features, results.device);
  if (!results.device_description.empty())
    text += fmt::format(" ({})", printable(results.device_description));
  text += fmt::format(": {} of wall clock, {} of CPU", time_text(features.seconds),
                      time_text(features.cpu_seconds));
  if (features.clips_per_second > 0)
    text += fmt::format(", {:.0f} clips/s, {:.0f} times real time", features.clips_per_second,
                        features.real_time_factor);
  if (features.cached_clips > 0)
    text += fmt::format("; {} from the cache", counted(features.cached_clips, "clip"));
  if (const std::string division = to_text(features.division); !division.empty())
    text += "; " + printable(division);
  return heading("Features", "", style) + indented(text, style);
}

std::string protocols_text(const Results& results, const TextStyle& style) {
  std::string text = heading("Results", "", style);
  if (!available(results).empty()) {
    text += accuracy_bars(results, style);
    for (const Results& part : by_width(results, 35, 18, style)) text += '\n' + metrics_table(part, style);
    text += painted(fmt::format("{}{} standard error over the splits; gap in percentage points", margin,
                                symbol("±", "+", style)),
                    Ink::dim, style) +
            '\n';
  }
  for (const ProtocolResult& result : results.models) {
    if (result.name != results.models.front().name) continue;
    const std::string title = protocol_title(result.protocol, results.dataset);
    if (!result.why_not.empty())
      text += indented(fmt::format("No result for {}: {}.", title, result.why_not), style);
    for (const std::string& note : result.notes)
      text += indented(fmt::format("{}: {}", title, printable(note)), style);
  }
  return text;
}

std::string per_class_text(const Results& results, const TextStyle& style) {
  std::string text = heading("Labels", "precision, recall and F1 in percent", style);
  std::vector<std::string> labels;
  for (const ProtocolResult* result : available(results))
    labels.insert(labels.end(), result->labels.begin(), result->labels.end());
  const int label_width = column_width(labels, style.width / 3);
  // The bars take what is left of the width.
  const auto n_shown = static_cast<int>(available(results).size());
  const int bar_width = n_shown == 0 ? 0 : std::clamp((style.width - label_width - 2) / n_shown - 23, 6, 16);
  bool first = true;
  for (const Results& part : by_width(results, label_width + 2, 23 + bar_width, style)) {
    if (!first) text += '\n';
    first = false;
    text += class_table(part, label_width, bar_width, style);
  }
  return text;
}

std::string loss_curves_text(const Results& results, const TextStyle& style) {
  std::string text;
  std::vector<std::string> titles;
  for (const ProtocolResult* result : available(results))
    titles.push_back(protocol_title(result->protocol, results.dataset));
  const int title_width = column_width(titles, 24);
  for (const ProtocolResult* result : available(results)) {
    std::vector<double> curve = mean_loss_curve(*result);
    if (curve.empty()) continue;
    const std::string figures =
        fmt::format("{:.3g} to {:.2g} in {}", curve.front(), curve.back(), epochs_text(*result));
    for (double& loss : curve) loss = std::log(std::max(loss, 1e-12));
    const std::string title = protocol_title(result->protocol, results.dataset);
    const int width = std::clamp(style.width - title_width - display_width(figures) - 5, 4, 48);
    text += fmt::format(
        "{}{} {}  {}\n", margin, left_aligned(title, title_width, style),
        painted(left_aligned(sparkline(curve, width, style), width, style), Ink::figure, style), figures);
  }
  return text.empty() ? text : heading("Training loss", "logarithmic, mean of the splits", style) + text;
}

std::string findings_text(const Results& results, const TextStyle& style) {
  const std::string bullet = fmt::format("  {} ", symbol("•", "*", style));
  std::string text;
  for (const Finding& each : findings(results)) text += wrapped(each.text, bullet, style);
  return text.empty() ? text : heading("What this means", "", style) + text;
}

std::string results_text(const Results& results, const TextStyle& style) {
  std::string text = dataset_text(results.dataset, style);
  if (results.own) {
    DatasetSummary own = *results.own;
    own.group_noun = results.dataset.group_noun;
    text += heading("Own recordings", printable(own.name), style) + indented(facts_of(own, style), style);
    text += refusals_text(own.refused, style);
  }
  text += features_text(results, style);
  text += models_text(results, style);
  text += protocols_text(results, style);
  if (!available(results).empty()) {
    text += per_class_text(results, style);
    text += confusion_text(results, style);
    text += loss_curves_text(results, style);
  }
  return text + findings_text(results, style);
}

}  // namespace melgrad
