#include "host/report/html_clips.hpp"

#include <algorithm>
#include <map>

#include "host/core/error.hpp"
#include "host/report/figures.hpp"
#include "host/report/findings.hpp"
#include "host/report/html_text.hpp"

namespace melgrad {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_clips = 2000;  // of a protocol: browsers slow down with many more

// Where the clips of a data set lie: its folder, or that of its CSV file.
fs::path root_of(const DatasetSummary& dataset) {
  const fs::path named = dataset.name;
  std::error_code ignored;
  return fs::is_directory(named, ignored) ? named : named.parent_path();
}

// The clip's URL from `folder`; empty where there is no such file.
std::string url_of(const fs::path& root, const std::string& clip, const fs::path& folder) {
  std::error_code error;
  const fs::path file = fs::absolute(root / clip, error);
  if (error || !fs::is_regular_file(file, error)) return {};
  const fs::path relative = fs::relative(file, folder, error);
  return error || relative.empty() ? std::string() : url_path(relative.string());
}

// A clip that several splits got wrong in the same way stands once.
struct Mistake {
  const Prediction* surest = nullptr;
  int n_splits = 0;
};
std::vector<Mistake> mistakes_of(const ProtocolResult& result) {
  std::map<std::pair<std::string_view, int>, std::size_t> known;
  std::vector<Mistake> found;
  for (const Prediction& each : result.predictions) {
    if (each.truth == each.predicted) continue;
    const auto [entry, first] = known.try_emplace({each.path, each.predicted}, found.size());
    if (first) found.emplace_back();
    Mistake& mistake = found[entry->second];
    ++mistake.n_splits;
    if (mistake.surest == nullptr || each.probability > mistake.surest->probability) mistake.surest = &each;
  }
  std::ranges::stable_sort(found, std::greater{},
                           [](const Mistake& each) { return each.surest->probability; });
  return found;
}

std::string row_html(const ProtocolResult& result, const Mistake& mistake, const std::string& url) {
  const Prediction& clip = *mistake.surest;
  const auto label = [&](int i) { return html_escaped(result.labels[static_cast<std::size_t>(i)]); };
  const std::string path = html_escaped(clip.path);
  std::string text = fmt::format("<tr data-protocol=\"{}\" data-cell=\"{}/{}\"><td>",
                                 to_name(result.protocol), clip.truth, clip.predicted);
  if (!url.empty())
    text += fmt::format(
        "<button class=\"play\" data-src=\"{}\" aria-pressed=\"false\" aria-label=\"play "
        "{}\">\u25b6</button>",
        url, path);
  text += "</td><td class=\"path\">";
  text += url.empty() ? path : fmt::format("<a href=\"{}\">{}</a>", url, path);
  return text + fmt::format(
                    "</td><td class=\"left\">{}</td><td "
                    "class=\"left\">{}</td><td>{:.0f}</td><td>{:.0f}</td><td>{}</td></tr>\n",
                    label(clip.truth), label(clip.predicted), 100 * clip.probability,
                    100 * clip.probability_of_truth, mistake.n_splits);
}

}  // namespace

std::string mistakes_html(const Results& results, const std::filesystem::path& folder) {
  std::string options, rows, notes;
  for (const ProtocolResult* result : main_results(results)) {
    const std::vector<Mistake> mistakes = mistakes_of(*result);
    if (mistakes.empty()) continue;
    const std::string title = protocol_title(result->protocol, results.dataset);
    options += fmt::format("<option value=\"{}\">{} ({})</option>", to_name(result->protocol),
                           html_escaped(title), mistakes.size());
    if (mistakes.size() > most_clips)
      notes += fmt::format("<p>Of {}, the {} of {} are listed of which the model was surest.</p>\n",
                           html_escaped(title), most_clips, mistakes.size());
    const bool is_own = result->protocol == Protocol::own && results.own;
    const fs::path root = root_of(is_own ? *results.own : results.dataset);
    for (std::size_t i = 0; i < std::min(mistakes.size(), most_clips); ++i)
      rows += row_html(*result, mistakes[i], url_of(root, mistakes[i].surest->path, folder));
  }
  if (rows.empty()) return {};
  const bool playable = rows.find("class=\"play\"") != std::string::npos;
  std::string text = fmt::format(
      "<h2 id=\"mistakes\">Clips that it gets wrong</h2>\n<p>By the {}, those first of which it was surest. "
      "A click on a "
      "cell of a confusion matrix shows the clips behind it.{}</p>\n{}",
      html_escaped(model_title(results.models.front().name)),
      playable ? ""
               : " The recordings were not found from where this report was made, so they cannot be played.",
      notes);
  text += fmt::format(
      "<div class=\"controls\"><label>tested on <select id=\"protocol\" "
      "data-model=\"{}\">{}</select></label><span><span "
      "id=\"shown\"></span> shown</span><button id=\"pair\" hidden>show all pairs</button>{}</div>\n",
      html_escaped(results.models.front().name), options,
      playable ? "<audio id=\"player\" controls preload=\"none\" hidden></audio>" : "");
  return text +
         "<div class=\"clips\"><table id=\"clips\">\n<thead><tr><th></th><th class=\"left\">clip</th><th "
         "class=\"left\">is</th>"
         "<th class=\"left\">taken for</th><th>sure, %</th><th>of the truth, "
         "%</th><th>splits</th></tr></thead>\n<tbody>\n" +
         rows + "</tbody></table></div>\n";
}

}  // namespace melgrad
