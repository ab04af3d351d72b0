#include "host/report/document.hpp"

#include <algorithm>
#include <map>

#include "host/core/error.hpp"
#include "host/report/findings.hpp"
#include "host/report/text.hpp"

namespace melgrad {
namespace {

std::string interval_text(const Interval& interval) {
  return fmt::format("{:.1f} to {}", 100 * interval.low, percent(interval.high));
}

// "65.1 % (95 %: 62.0 to 68.0 %)"
std::string accuracy_text(const ProtocolResult& result) {
  return fmt::format("{} (95 %: {})", percent(result.metrics.accuracy),
                     interval_text(result.statistics.intervals.accuracy));
}

std::string listed(const std::vector<std::string>& words) {
  if (words.size() < 2) return words.empty() ? std::string() : words.front();
  const std::vector<std::string> first(words.begin(), words.end() - 1);
  return fmt::format("{} and {}", fmt::join(first, ", "), words.back());
}

std::vector<std::string> model_titles(const Results& results) {
  std::vector<std::string> titles;
  for (const std::string& name : model_names(results.models)) titles.push_back(model_title(name));
  return titles;
}

// The last part of a path, which is the data set's name.
std::string base_name(const std::string& path) {
  const std::size_t end = path.find_last_not_of('/');
  if (end == std::string::npos) return path;
  const std::size_t begin = path.find_last_of('/', end);
  return path.substr(begin == std::string::npos ? 0 : begin + 1,
                     end - (begin == std::string::npos ? 0 : begin + 1) + 1);
}

// An option of the run that is on or off; off where results.json does not tell.
bool has_option(const Results& results, const char* group, const char* name) {
  const auto found = results.options.find(group);
  return found != results.options.end() && found->is_object() && found->value(name, false);
}

// ---- what stands at the top

std::string title_of(const Results& results) {
  const std::string name = base_name(results.dataset.name);
  const ProtocolResult* hardest =
      results.models.empty() ? nullptr : hardest_result(results, results.models.front().name);
  if (hardest == nullptr) return fmt::format("Classifying {}", name);
  return fmt::format("Classifying {}: {} on {}{}", name, percent(hardest->metrics.accuracy),
                     protocol_title(hardest->protocol, results.dataset),
                     has_option(results, "treatment", "speaker_normalise") ? ", speaker-normalised" : "");
}

std::string byline_of(const Results& results) {
  return fmt::format("melgrad {}   \u00b7   {}   \u00b7   {}   \u00b7   random state {}", results.version,
                     results.date.substr(0, 10), results.device, results.random_state);
}

Markup abstract_of(const Results& results) {
  const DatasetSummary& data = results.dataset;
  const Index n_usable = data.n_clips - static_cast<Index>(data.refused.size());
  std::string text =
      fmt::format("From {} of {} ({}, {} labels) we computed {} features each and trained {}.",
                  counted(n_usable, "recording"),
                  data.groups.empty() ? base_name(data.name)
                                      : counted(static_cast<long long>(data.groups.size()), data.group_noun),
                  time_text(data.audio_seconds), data.labels.size(), results.features.n_features,
                  listed(model_titles(results)));
  if (has_option(results, "treatment", "speaker_normalise"))
    text += fmt::format(
        " Features are standardised over each {0}'s own clips, unlabelled, those that are tested among them "
        "(transductive): "
        "the numbers hold where many clips of a {0} are at hand.",
        data.group_noun);
  if (results.models.empty()) return text;
  const std::string& name = results.models.front().name;
  const ProtocolResult* random = find_result(results.models, name, Protocol::random);
  const ProtocolResult* speaker = find_result(results.models, name, Protocol::speaker);
  const ProtocolResult* given = find_result(results.models, name, Protocol::given);
  const ProtocolResult* own = find_result(results.models, name, Protocol::own);
  const std::string the_model = fmt::format("the {}", model_title(name));
  if (speaker != nullptr)
    text += fmt::format(" On {}, {} is right for {}", protocol_title(Protocol::speaker, data), the_model,
                        accuracy_text(*speaker));
  if (speaker != nullptr && random != nullptr) {
    text += fmt::format("; on {}, for {}", protocol_title(Protocol::random, data), accuracy_text(*random));
    const double gap = 100 * (random->metrics.accuracy - speaker->metrics.accuracy);
    if (gap > 0) text += fmt::format(": a random split flatters by {:.1f} points", gap);
  }
  if (speaker == nullptr && random != nullptr)
    text += fmt::format(" On {}, {} is right for {}", protocol_title(Protocol::random, data), the_model,
                        accuracy_text(*random));
  if (speaker != nullptr || random != nullptr) text += '.';
  if (given != nullptr)
    text += fmt::format(" On the {}, {} is right for {}.", protocol_title(Protocol::given, data), the_model,
                        accuracy_text(*given));
  if (own != nullptr)
    text += fmt::format(" Of {}, it recognises {}.", counted(own->metrics.n_test, "own recording"),
                        accuracy_text(*own));
  if (const ProtocolResult* hardest = hardest_result(results, name))
    text += fmt::format(" Always naming the most frequent label would be right for {}.",
                        percent(chance_accuracy(hardest->metrics)));
  return text;
}

// ---- the method, a line each

Markup data_line(const Results& results) {
  const DatasetSummary& data = results.dataset;
  // As many labels as two or three lines hold.
  constexpr std::size_t most_bytes = 160;
  std::vector<std::string> counts;
  std::size_t n_bytes = 0;
  for (std::size_t label = 0; label < data.labels.size(); ++label) {
    counts.push_back(fmt::format("{} {}", isolated(data.labels[label]), data.label_counts[label]));
    n_bytes += counts.back().size();
    const std::size_t n_left = data.labels.size() - label - 1;
    if (n_bytes < most_bytes || n_left == 0) continue;
    counts.push_back(counted(static_cast<long long>(n_left), "more label"));
    break;
  }
  Markup line = Markup::bold("Data.") + fmt::format(" {}", listed(counts));
  line += data.groups.empty()
              ? std::string("; no speakers are named.")
              : fmt::format("; {}.", counted(static_cast<long long>(data.groups.size()), data.group_noun));
  if (!data.refused.empty())
    line += fmt::format(" {} could not be used.",
                        counted(static_cast<long long>(data.refused.size()), "recording"));
  if (data.n_duplicates > 0)
    line += fmt::format(" {} the same audio as another; copies never stand on both sides of a split.",
                        data.n_duplicates == 1 ? "1 has" : fmt::format("{} have", data.n_duplicates));
  return line;
}

Markup features_line(const Results& results) {
  const FeatureSummary& features = results.features;
  Markup line = Markup::bold("Features.") + " The set " + Markup::code(features.spec.name) +
                fmt::format(", {} values a clip, standardised by each training set", features.n_features);
  if (has_option(results, "treatment", "augment"))
    line += "; networks train on copies at speeds 0.9 and 1.1 and 1.5 semitones lower and higher, too";
  if (has_option(results, "evaluation", "tta")) line += "; predictions are means over a clip and its copies";
  if (features.clips_per_second > 0)
    line += fmt::format("; computed at {:.0f} clips/s, {:.0f} times real time", features.clips_per_second,
                        features.real_time_factor);
  if (const std::string division = to_text(features.division); !division.empty())
    line += "; groups " + division;
  return line + ".";
}

// Of the options of a grid, those that have several values: "n_neighbors".
std::vector<std::string> varied_options(const Json& grid) {
  std::vector<std::string> names;
  for (const auto& [name, values] : grid.items())
    if (values.size() > 1) names.push_back(name);
  return names;
}

// What was searched, and where nothing was, how the model was set.
Markup models_line(const Results& results) {
  Markup line = Markup::bold("Models.");
  std::vector<std::string> words, titles;
  bool any_choice = false;
  const auto names = model_names(results.models);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto result = std::ranges::find_if(results.models, [&](const ProtocolResult& each) {
      return each.name == names[i] && each.why_not.empty();
    });
    if (result == results.models.end()) continue;
    titles.push_back(model_title(names[i]));
    // An ensemble and its first network are set alike.
    if (names[i] == "mlp_ensemble" && i + 1 < names.size() && names[i + 1] == "mlp") continue;
    std::string text = listed(titles);
    titles.clear();
    if (!result->grid.empty()) {
      any_choice = true;
      text += fmt::format(" ({})", fmt::join(varied_options(result->grid), ", "));
    } else if (!result->splits.empty() && result->splits.front().parameters.contains("hidden_layer_sizes")) {
      text += fmt::format(
          " of {} hidden units",
          fmt::join(result->splits.front().parameters["hidden_layer_sizes"].get<std::vector<int>>(),
                    " and "));
    }
    words.push_back(text);
  }
  line += fmt::format(" {}.", fmt::join(words, "; "));
  if (any_choice) line += " In brackets: options that are chosen inside each training set.";
  return line;
}

Markup protocols_line(const Results& results) {
  Markup line = Markup::bold("Protocols.");
  for (const ProtocolResult& result : results.models) {
    if (result.name != results.models.front().name) break;
    const std::string title = protocol_title(result.protocol, results.dataset);
    std::string text;
    if (!result.why_not.empty())
      text = fmt::format("not possible, because {}", printable(result.why_not));
    else if (result.protocol == Protocol::random)
      text = fmt::format("{}, stratified",
                         counted(static_cast<long long>(result.splits.size()), "random split"));
    else if (result.protocol == Protocol::speaker)
      text = fmt::format("{}, no {} on both sides",
                         counted(static_cast<long long>(result.splits.size()), "fold"),
                         results.dataset.group_noun);
    else if (result.protocol == Protocol::own)
      text = "trained on the whole data set, tested on yours";
    else
      text = "the split that comes with the data";
    line += " " + Markup::italic(title) + ": " + text + ".";
  }
  return line;
}

Markup statistics_line(const Results& results) {
  const ProtocolResult* result = hardest_result(results, results.models.front().name);
  const BootstrapIntervals& intervals = result->statistics.intervals;
  Markup line = Markup::bold("Statistics.");
  line += fmt::format(" 95 % intervals by {} bootstrap samples", intervals.n_resamples);
  line += intervals.unit == "group" ? fmt::format(" of the {} {}s, the unit that would be drawn anew.",
                                                  intervals.n_units, results.dataset.group_noun)
                                    : fmt::format(" of the {} clips.", intervals.n_units);
  if (!results.comparisons.empty())
    line +=
        " Two models are compared clip by clip (McNemar), with Holm's correction for the number of pairs.";
  line += " UAR, the unweighted average recall, counts each label alike.";
  return line;
}

// ---- the table of all models

std::string optional_percent(const ProtocolResult* result, double Metrics::*metric) {
  return result == nullptr ? "\u2013" : fmt::format("{:.1f}", 100 * (result->metrics.*metric));
}

void remove_empty_columns(Table& table) {
  for (std::size_t column = table.header.size(); column-- > 1;) {
    if (std::ranges::any_of(table.rows, [&](const auto& row) { return row[column] != "\u2013"; })) continue;
    table.header.erase(table.header.begin() + static_cast<std::ptrdiff_t>(column));
    for (auto& row : table.rows) row.erase(row.begin() + static_cast<std::ptrdiff_t>(column));
  }
}

Table models_table(const Results& results) {
  const auto has = [&](Protocol protocol) {
    return std::ranges::any_of(results.models, [&](const ProtocolResult& each) {
      return each.protocol == protocol && each.why_not.empty();
    });
  };
  Table table;
  table.header = {"model"};
  std::vector<Protocol> protocols;
  for (const Protocol protocol : {Protocol::random, Protocol::given, Protocol::speaker, Protocol::own})
    if (has(protocol)) {
      protocols.push_back(protocol);
      table.header.push_back(protocol_title(protocol, results.dataset));
    }
  const bool has_gap = has(Protocol::random) && has(Protocol::speaker);
  if (has_gap) table.header.emplace_back("gap");
  for (const char* column : {"UAR", "macro F1", "tuning", "training", "per clip"})
    table.header.emplace_back(column);
  double best = -1;
  for (const std::string& name : model_names(results.models)) {
    const ProtocolResult* hardest = hardest_result(results, name);
    if (hardest == nullptr) continue;
    std::vector<std::string> row = {model_title(name)};
    for (const Protocol protocol : protocols) {
      const ProtocolResult* result = find_result(results.models, name, protocol);
      if (result == nullptr) {
        row.emplace_back("\u2013");
        continue;
      }
      const Interval& interval = result->statistics.intervals.accuracy;
      row.push_back(fmt::format("{:.1f} [{:.1f}, {:.1f}]", 100 * result->metrics.accuracy, 100 * interval.low,
                                100 * interval.high));
    }
    if (has_gap) {
      const auto gap = protocol_gap(results.models, name);
      row.push_back(gap ? fmt::format("{:+.1f}", gap->accuracy) : "\u2013");
    }
    row.push_back(optional_percent(hardest, &Metrics::balanced_accuracy));
    row.push_back(optional_percent(hardest, &Metrics::macro_f1));
    const auto n_splits = static_cast<double>(std::max<std::size_t>(hardest->splits.size(), 1));
    const auto n_test = static_cast<double>(std::max<Index>(hardest->metrics.n_test, 1));
    const auto seconds = [](double value) {
      return value > 0 ? duration_tick(value) : std::string("\u2013");
    };
    row.push_back(seconds(hardest->times.search_cpu_seconds / n_splits));
    row.push_back(seconds(hardest->times.fit_cpu_seconds / n_splits));
    row.push_back(seconds(hardest->times.predict_cpu_seconds / n_test));
    best = std::max(best, hardest->metrics.accuracy);
    table.rows.push_back(std::move(row));
    table.emphasised.push_back(false);
  }
  std::size_t at = 0;
  for (const std::string& name : model_names(results.models)) {
    const ProtocolResult* hardest = hardest_result(results, name);
    if (hardest == nullptr) continue;
    table.emphasised[at++] = table.rows.size() > 1 && hardest->metrics.accuracy == best;
  }
  remove_empty_columns(table);
  const ProtocolResult* hardest = hardest_result(results, results.models.front().name);
  table.caption =
      Markup::bold("All models.") +
      fmt::format(
          " Accuracy in per cent with its 95 % interval; {}UAR and macro F1 on {}; CPU time, of all "
          "threads together, of one split's tuning, of one training and of one clip's prediction.",
          has_gap ? "the gap between protocols, in points; " : "",
          protocol_title(hardest->protocol, results.dataset));
  return table;
}

// ---- what limits the conclusions

std::vector<std::string> limits(const Results& results) {
  std::vector<std::string> found;
  const DatasetSummary& data = results.dataset;
  const std::string& main = results.models.front().name;
  if (data.groups.empty())
    found.emplace_back("The data names no speakers, so nothing here says how the models fare on new voices.");
  else if (data.groups.size() < 30)
    found.push_back(
        fmt::format("With {}, intervals over them are wide and still too narrow: others may differ more.",
                    counted(static_cast<long long>(data.groups.size()), data.group_noun)));
  if (const ProtocolResult* own = find_result(results.models, main, Protocol::own)) {
    if (own->metrics.n_test < 100)
      found.push_back(fmt::format("{} own recordings say little about each label.", own->metrics.n_test));
    std::vector<std::string> missing;
    for (std::size_t label = 0; label < own->labels.size(); ++label)
      if (own->metrics.per_class[label].support == 0) missing.push_back(isolated(own->labels[label]));
    if (!missing.empty() && missing.size() <= 6)
      found.push_back(fmt::format("There are no own recordings of {}.", listed(missing)));
  } else {
    found.emplace_back(
        "Without own recordings (--own), it is open how the models fare with another microphone and room.");
  }
  Index fewest = -1;
  std::size_t rarest = 0;
  for (std::size_t label = 0; label < data.labels.size(); ++label)
    if (fewest < 0 || data.label_counts[label] < fewest) {
      fewest = data.label_counts[label];
      rarest = label;
    }
  const Index most = data.label_counts.empty() ? 0 : std::ranges::max(data.label_counts);
  if (fewest >= 0 && most >= 2 * fewest)
    found.push_back(
        fmt::format("The labels are uneven, {} being the rarest ({} of at most {} clips): read the UAR "
                    "beside the accuracy.",
                    isolated(data.labels[rarest]), fewest, most));
  if (!data.refused.empty() && 20 * static_cast<Index>(data.refused.size()) > data.n_clips)
    found.push_back(
        fmt::format("{:.0f} % of the recordings were refused.",
                    100.0 * static_cast<double>(data.refused.size()) / static_cast<double>(data.n_clips)));
  // A note of several protocols stands once.
  std::vector<std::string> notes;
  std::map<std::string, std::vector<std::string>> protocols_of_note;
  for (const ProtocolResult& result : results.models) {
    if (result.name != main) continue;
    for (const std::string& note : result.notes) {
      if (!protocols_of_note.contains(note)) notes.push_back(note);
      protocols_of_note[note].push_back(protocol_title(result.protocol, data));
    }
  }
  for (const std::string& note : notes)
    found.push_back(fmt::format("On {}: {}.", listed(protocols_of_note[note]), printable(note)));
  return found;
}

void add_reproduction(const Results& results, std::vector<DocumentItem>& items) {
  const auto command = results.options.find("command_line");
  if (command != results.options.end() && command->is_string())
    items.emplace_back(Command{command->get<std::string>()});
  std::string text = fmt::format("melgrad {} on {}", results.version, results.device);
  if (!results.device_description.empty()) text += fmt::format(" ({})", results.device_description);
  text += fmt::format(
      ", random state {}: the same command gives the same numbers, but for times. This report is made of "
      "results.json "
      "alone:",
      results.random_state);
  items.emplace_back(Markup(text));
  items.emplace_back(Command{"melgrad report results.json"});
}

struct TopicSection {
  FindingTopic topic;
  const char* heading;
  std::vector<std::string> figures;
};

}  // namespace

Document make_document(const Results& results) {
  Document document;
  document.title = title_of(results);
  document.byline = byline_of(results);
  document.abstract = abstract_of(results);
  document.program = "melgrad " + results.version;
  document.date = results.date;
  if (results.models.empty() || hardest_result(results, results.models.front().name) == nullptr)
    return document;

  const std::vector<TopicSection> sections = {
      {FindingTopic::how_good, "How good it is", {"accuracy", "leak"}},
      {FindingTopic::models, "Which model", {"accuracy_and_time", "throughput"}},
      {FindingTopic::mistakes,
       "Where it errs",
       {"labels", "subgroups", "loss_and_calibration", "learning_curve"}},
      {FindingTopic::own_recordings, "Own recordings", {"drift"}}};
  std::vector<Figure> figures = report_figures(results);
  const std::vector<Finding> said = findings(results);

  // Figures get their numbers in the order of the sections; the confusion matrices are the first.
  std::vector<std::string> order = {"confusion_matrices"};
  for (const TopicSection& section : sections)
    order.insert(order.end(), section.figures.begin(), section.figures.end());
  const auto find_figure = [&](const std::string& name) {
    return std::ranges::find(figures, name, &Figure::name);
  };
  std::erase_if(order, [&](const std::string& name) { return find_figure(name) == figures.end(); });
  const auto with_reference = [&](const Finding& finding) {
    std::string text = finding.text;
    const auto number = std::ranges::find(order, finding.figure);
    if (number == order.end()) return text;
    if (text.ends_with('.')) text.pop_back();
    return fmt::format("{} (Figure {}).", text, number - order.begin() + 1);
  };
  const auto add_figure = [&](const std::string& name) {
    if (const auto found = find_figure(name); found != figures.end())
      document.items.emplace_back(std::move(*found));
  };

  add_figure("confusion_matrices");
  document.items.emplace_back(Heading{"Method"});
  for (const Markup& line : {data_line(results), features_line(results), models_line(results),
                             protocols_line(results), statistics_line(results)})
    document.items.emplace_back(line);
  document.items.emplace_back(models_table(results));
  for (const TopicSection& section : sections) {
    std::vector<Finding> here;
    for (const Finding& each : said)
      if (each.topic == section.topic) here.push_back(each);
    const bool has_figures = std::ranges::any_of(
        section.figures, [&](const std::string& name) { return find_figure(name) != figures.end(); });
    if (here.empty() && !has_figures) continue;
    document.items.emplace_back(Heading{section.heading});
    for (const Finding& each : here) document.items.emplace_back(Markup(with_reference(each)));
    for (const std::string& name : section.figures) add_figure(name);
  }
  document.items.emplace_back(Heading{"Limits"});
  document.items.emplace_back(Markup(fmt::format("{}", fmt::join(limits(results), " "))));
  document.items.emplace_back(Heading{"To do it again"});
  add_reproduction(results, document.items);
  return document;
}

}  // namespace melgrad
