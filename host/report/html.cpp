#include "host/report/html.hpp"

#include <algorithm>

#include "host/core/error.hpp"
#include "host/report/findings.hpp"
#include "host/report/html_assets.hpp"
#include "host/report/html_clips.hpp"
#include "host/report/html_text.hpp"
#include "host/report/rendering.hpp"
#include "host/report/text.hpp"

namespace melgrad {
namespace {

std::string paragraph_html(const Markup& words) {
  return fmt::format("<p>{}</p>\n", words.text());
}

std::string figure_html(const Figure& figure, int number) {
  return fmt::format(
      "<figure class=\"{}\" id=\"{}\">\n{}<figcaption><b>Figure {}.</b> {}</figcaption>\n</figure>\n",
      figure.wide ? "wide" : "narrow", html_escaped(figure.name),
      svg_text(figure.drawing, figure.title, true), number, figure.caption.text());
}

std::string table_html(const Table& table, const std::string& caption) {
  std::string text = "<figure class=\"wide\">\n";
  if (!caption.empty()) text += fmt::format("<figcaption>{}</figcaption>\n", caption);
  text += "<div class=\"scroll\"><table>\n<thead><tr>";
  for (const std::string& cell : table.header) text += fmt::format("<th>{}</th>", html_escaped(cell));
  text += "</tr></thead>\n<tbody>\n";
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    const bool best = row < table.emphasised.size() && table.emphasised[row];
    text += best ? "<tr class=\"best\">" : "<tr>";
    for (const std::string& cell : table.rows[row]) text += fmt::format("<td>{}</td>", html_escaped(cell));
    text += "</tr>\n";
  }
  return text + "</tbody></table></div>\n</figure>\n";
}

std::string items_html(const Document& document) {
  std::string text;
  int n_figures = 0, n_tables = 0;
  for (const DocumentItem& item : document.items) {
    if (const auto* heading = std::get_if<Heading>(&item))
      text += fmt::format("<h2>{}</h2>\n", html_escaped(heading->title));
    else if (const auto* words = std::get_if<Markup>(&item))
      text += paragraph_html(*words);
    else if (const auto* command = std::get_if<Command>(&item))
      text += fmt::format("<pre>{}</pre>\n", html_escaped(command->words));
    else if (const auto* figure = std::get_if<Figure>(&item))
      text += figure_html(*figure, ++n_figures);
    else if (const auto* table = std::get_if<Table>(&item))
      text += table_html(*table, fmt::format("<b>Table {}.</b> {}", ++n_tables, table->caption.text()));
  }
  return text;
}

// What the pages have no room for.

std::string label_tables(const Results& results) {
  std::string text = fmt::format("<h2>Labels, in numbers</h2>\n<p>Of the {}, in per cent.</p>\n",
                                 html_escaped(model_title(results.models.front().name)));
  for (const ProtocolResult* result : main_results(results)) {
    Table table{{}, {"label", "clips", "predicted", "precision", "recall", "F1"}, {}, {}};
    for (std::size_t label = 0; label < result->labels.size(); ++label) {
      const ClassMetrics& each = result->metrics.per_class[label];
      table.rows.push_back({result->labels[label], fmt::format("{}", each.support),
                            fmt::format("{}", each.n_predicted), fmt::format("{:.1f}", 100 * each.precision),
                            fmt::format("{:.1f}", 100 * each.recall), fmt::format("{:.1f}", 100 * each.f1)});
    }
    text += fmt::format("<h3>{}</h3>\n", html_escaped(protocol_title(result->protocol, results.dataset))) +
            table_html(table, {});
  }
  return text;
}

std::string comparison_table(const Results& results) {
  if (results.comparisons.empty()) return {};
  Table table{
      {},
      {"models", "tested on", "only first right", "only second right", "difference, points", "p", "p, Holm"},
      {},
      {}};
  for (const ModelComparison& each : results.comparisons)
    table.rows.push_back({model_title(each.first) + " and " + model_title(each.second),
                          protocol_title(from_name<Protocol>(each.protocol), results.dataset),
                          fmt::format("{}", each.only_first_right), fmt::format("{}", each.only_second_right),
                          fmt::format("{:+.1f} [{:+.1f}, {:+.1f}]", 100 * each.difference,
                                      100 * each.interval.low, 100 * each.interval.high),
                          fmt::format("{:.2g}", each.p_value), fmt::format("{:.2g}", each.adjusted_p_value)});
  return "<h2>Models, pair by pair</h2>\n<p>McNemar's test on the clips that one model alone gets right; the "
         "difference in accuracy with its 95 % interval.</p>\n" +
         table_html(table, {});
}

std::string subgroup_table(const Results& results) {
  const ProtocolResult* result = hardest_result(results, results.models.front().name);
  if (result->statistics.subgroups.empty()) return {};
  Table table{{}, {"clips of", "predictions", "right, %", "95 %"}, {}, {}};
  for (const Subgroup& each : result->statistics.subgroups)
    table.rows.push_back(
        {(each.attribute == "group" ? results.dataset.group_noun : each.attribute) + " " + each.value,
         fmt::format("{}", each.n_test), fmt::format("{:.1f}", 100 * each.accuracy),
         fmt::format("{:.1f} to {:.1f}", 100 * each.interval.low, 100 * each.interval.high)});
  return fmt::format("<h2>For whom, in numbers</h2>\n<p>The {} on {}.</p>\n",
                     html_escaped(model_title(result->name)),
                     html_escaped(protocol_title(result->protocol, results.dataset))) +
         table_html(table, {});
}

std::string other_matrices(const Results& results) {
  std::string text;
  for (const std::string& name : model_names(results.models)) {
    if (name == results.models.front().name) continue;
    const Drawing matrices = confusion_drawing(results, name, wide_width);
    if (matrices.shapes.empty()) continue;
    const std::string title = fmt::format("confusion matrices of the {}", model_title(name));
    text += fmt::format(
        "<details><summary class=\"sans\">{}</summary>\n<figure class=\"wide\">{}</figure></details>\n",
        html_escaped(model_title(name)), svg_text(matrices, title, true));
  }
  return text.empty() ? text : "<h2>Confusion matrices of the other models</h2>\n" + text;
}

std::string refused_list(const Results& results) {
  std::vector<Refusal> refused = results.dataset.refused;
  if (results.own) refused.insert(refused.end(), results.own->refused.begin(), results.own->refused.end());
  for (const ProtocolResult* result : main_results(results)) {
    refused.insert(refused.end(), result->refused.begin(), result->refused.end());
    refused.insert(refused.end(), result->left_out.begin(), result->left_out.end());
  }
  if (refused.empty()) return {};
  std::string text =
      "<h2>Recordings that were not used</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th>recording</th>"
      "<th class=\"left\">why</th></tr></thead>\n<tbody>\n";
  for (const Refusal& each : refused)
    text += fmt::format("<tr><td class=\"path\">{}</td><td class=\"left\">{}</td></tr>\n",
                        html_escaped(each.path), html_escaped(each.reason));
  return text + "</tbody></table></div>\n";
}

}  // namespace

std::string report_html(const Results& results, const Document& document,
                        const std::filesystem::path& folder) {
  const bool has_results = !main_results(results).empty();
  std::string text = fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
      "script-src 'unsafe-inline'; img-src data:; media-src 'self' file:\">\n"
      "<meta name=\"generator\" content=\"{}\">\n<link rel=\"icon\" href=\"data:,\">\n<title>{}</title>\n"
      "<style>{}</style>\n</head>\n<body>\n",
      html_escaped(document.program), html_escaped(document.title), html_style);
  text += fmt::format("<h1>{}</h1>\n<div class=\"byline\">{}</div>\n<p class=\"abstract\">{}</p>\n",
                      html_escaped(document.title), html_escaped(document.byline), document.abstract.text());
  text += items_html(document);
  if (has_results) {
    text += mistakes_html(results, folder);
    text +=
        label_tables(results) + subgroup_table(results) + comparison_table(results) + other_matrices(results);
  }
  text += refused_list(results);
  return text +
         fmt::format("<div id=\"tip\" hidden></div>\n<script>{}</script>\n</body>\n</html>\n", html_script);
}

}  // namespace melgrad
