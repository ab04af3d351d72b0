#include <doctest/doctest.h>

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "example_report.hpp"
#include "host/report/html.hpp"
#include "host/report/report_files.hpp"
#include "support/audio_files.hpp"
#include "support/program.hpp"

using namespace melgrad;
using namespace melgrad::test;
namespace fs = std::filesystem;

namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string html_of(const Results& results, const fs::path& folder = "/nowhere") {
  return report_html(results, make_document(results), folder);
}

struct Tag {
  std::string name;
  std::vector<std::pair<std::string, std::string>> attributes;
};

// The tags of a document, checked for being closed in order; what stands in <style> and <script> is left out.
std::vector<Tag> checked_tags(const std::string& html) {
  static const std::set<std::string> empty = {"meta", "link", "br"};
  std::vector<Tag> tags;
  std::vector<std::string> open;
  std::size_t at = 0;
  while ((at = html.find('<', at)) != std::string::npos) {
    if (html.compare(at, 2, "<!") == 0) {
      at = html.find('>', at);
      continue;
    }
    const bool closes = html[at + 1] == '/';
    std::size_t i = at + (closes ? 2 : 1);
    Tag tag;
    while (std::isalnum(static_cast<unsigned char>(html[i])) != 0) tag.name += html[i++];
    REQUIRE_FALSE(tag.name.empty());
    while (html[i] == ' ') {
      ++i;
      std::string name, value;
      while (std::isalpha(static_cast<unsigned char>(html[i])) != 0 || html[i] == '-' ||
             std::isdigit(static_cast<unsigned char>(html[i])) != 0)
        name += html[i++];
      REQUIRE_FALSE(name.empty());
      if (html[i] == '=') {
        REQUIRE(html[i + 1] == '"');
        for (i += 2; html[i] != '"'; ++i) value += html[i];
        ++i;
      }
      tag.attributes.emplace_back(name, value);
    }
    const bool closed_at_once = html[i] == '/';
    i += closed_at_once;
    REQUIRE(html[i] == '>');
    at = i + 1;
    if (closes) {
      REQUIRE_FALSE(open.empty());
      CHECK(open.back() == tag.name);
      open.pop_back();
      continue;
    }
    if (tag.name == "style" || tag.name == "script") at = html.find("</" + tag.name, at);
    if (!closed_at_once && !empty.contains(tag.name)) open.push_back(tag.name);
    tags.push_back(std::move(tag));
  }
  CHECK(open.empty());
  return tags;
}

}  // namespace

TEST_SUITE("report_html") {
  TEST_CASE("whatever names hold, tags are closed and attributes are ours") {
    static const std::set<std::string> known = {"lang",
                                                "charset",
                                                "name",
                                                "content",
                                                "http-equiv",
                                                "rel",
                                                "href",
                                                "class",
                                                "id",
                                                "hidden",
                                                "xmlns",
                                                "viewBox",
                                                "width",
                                                "height",
                                                "role",
                                                "aria-label",
                                                "aria-pressed",
                                                "x",
                                                "y",
                                                "cx",
                                                "cy",
                                                "r",
                                                "points",
                                                "fill",
                                                "fill-opacity",
                                                "stroke",
                                                "stroke-width",
                                                "stroke-opacity",
                                                "stroke-dasharray",
                                                "font-size",
                                                "font-weight",
                                                "font-style",
                                                "text-anchor",
                                                "transform",
                                                "data-key",
                                                "data-protocol",
                                                "data-cell",
                                                "data-src",
                                                "data-model",
                                                "value",
                                                "controls",
                                                "preload"};
    for (const auto& labels : awkward_labels()) {
      Results results = example_report(labels);
      results.dataset.name = "/data/<i>\"it's\"</i>";
      results.dataset.refused = {{"<b>.wav", "\"&<script>"}};
      results.device_description = "</pre><script>";
      results.options["command_line"] = "melgrad run '<script>' \"&\"";
      results.models.front().predictions.front().path = "<svg onload=alert(1)>\xff.wav";
      results.models.front().predictions.front().predicted = 1;
      results.models.front().predictions.front().truth = 0;
      int n_scripts = 0;
      for (const Tag& tag : checked_tags(html_of(results))) {
        n_scripts += tag.name == "script";
        CHECK(tag.name != "img");
        for (const auto& [name, value] : tag.attributes)
          if (!known.contains(name) || contains(value, "<")) FAIL_CHECK(name << "=" << value);
      }
      CHECK(n_scripts == 1);
    }
  }

  TEST_CASE("nothing is loaded from anywhere") {
    const std::string html = html_of(example_report(emotions()));
    for (std::size_t at = html.find("://"); at != std::string::npos; at = html.find("://", at + 1))
      CHECK(html.compare(at - 4, 24, "http://www.w3.org/2000/s") == 0);
    CHECK(contains(html, "default-src 'none'"));
    for (const Tag& tag : checked_tags(html))
      for (const auto& [name, value] : tag.attributes)
        if (name == "src" || (name == "href" && value != "data:,"))
          FAIL_CHECK(tag.name << " loads " << value);
  }

  TEST_CASE("it has the document's words, figures and tables") {
    const Results results = example_report(emotions());
    const Document document = make_document(results);
    const std::string html = report_html(results, document, "/nowhere");
    CHECK(contains(html, "<title>Classifying recordings: "));
    CHECK(contains(html, document.abstract.text()));
    int n_figures = 0;
    for (const DocumentItem& item : document.items) {
      if (const auto* words = std::get_if<Markup>(&item)) CHECK(contains(html, words->text()));
      if (const auto* figure = std::get_if<Figure>(&item))
        CHECK(contains(html, fmt::format("<b>Figure {}.</b> {}", ++n_figures, figure->caption.text())));
    }
    CHECK(n_figures == 8);
    CHECK(contains(html, "Models, pair by pair"));
    CHECK(contains(html, "<td class=\"path\">broken/a.wav</td><td class=\"left\">the file is empty</td>"));
    CHECK(html == report_html(results, document, "/nowhere"));
  }

  TEST_CASE("the method tells which groups which engine computed, where it is more than one") {
    Results results = example_report(emotions());
    results.features.division = {{"cpu", {"pitch", "voice"}}, {"cuda:0", {"mfcc"}}};
    CHECK(contains(html_of(results), "; groups pitch, voice by cpu; mfcc by cuda:0."));
  }

  TEST_CASE("mistaken clips stand once, and are playable where they are found") {
    const TemporaryFolder folder;
    write_bytes(folder / "data" / "a b#1.wav", "RIFF");
    Results results = example_report({"no", "yes"}, 1, false);
    results.dataset.name = (folder / "data").string();
    ProtocolResult& random = results.models.front();
    random.predictions = {{"a b#1.wav", 0, 1, 0.7, 0.3, 0.98, false, 0},
                          {"a b#1.wav", 0, 1, 0.9, 0.1, 1.62, false, 1},
                          {"lost.wav", 1, 0, 0.6, 0.4, 0.72, false, 1},
                          {"right.wav", 1, 1, 0.6, 0.6, 0.32, false, 1}};
    const std::string html = html_of(results, folder / "results");
    CHECK(contains(html, "data-src=\"../data/a%20b%231.wav\""));
    CHECK(contains(html,
                   "<a href=\"../data/a%20b%231.wav\">a b#1.wav</a></td><td class=\"left\">no</td><td "
                   "class=\"left\">yes</td><td>90</td><td>10</td><td>2</td>"));
    CHECK(contains(html, "<td class=\"path\">lost.wav</td>"));
    CHECK_FALSE(contains(html, "right.wav"));
    CHECK(contains(html, "<audio id=\"player\" controls preload=\"none\" hidden></audio>"));
    CHECK(contains(html_of(example_report(emotions())), "they cannot be played"));
  }

  TEST_CASE("the program makes the report again from results.json alone") {
    const TemporaryFolder folder;
    write_results(example_report(emotions()), folder / "results.json");
    const ProgramRun first = run_melgrad({"report", folder / ""});
    REQUIRE_MESSAGE(first.status == 0, first.err);
    const std::vector<std::string> made = {"report.pdf", "report.html", "figures/confusion_matrices.svg",
                                           "figures/confusion_matrices.png", "figures/drift.svg"};
    std::vector<std::string> bytes;
    for (const std::string& name : made) {
      REQUIRE(fs::exists(folder / name));
      bytes.push_back(read_bytes(folder / name));
    }
    const ProgramRun again = run_melgrad({"report", folder / "results.json", "--json"});
    REQUIRE_MESSAGE(again.status == 0, again.err);
    CHECK(Json::parse(again.out)["pdf"] == (folder / "report.pdf").string());
    for (std::size_t i = 0; i < made.size(); ++i) CHECK(read_bytes(folder / made[i]) == bytes[i]);
    const ProgramRun elsewhere = run_melgrad({"report", folder / "", "-o", folder / "else" / "mine.pdf"});
    REQUIRE_MESSAGE(elsewhere.status == 0, elsewhere.err);
    CHECK(read_bytes(folder / "else/mine.pdf") == bytes[0]);
    CHECK(fs::exists(folder / "else/mine.html"));
    CHECK(fs::exists(folder / "else/figures/accuracy.png"));
    CHECK(run_melgrad({"report", folder / "", "-o", folder / "else" / "mine.pdf"}).status == 2);
    CHECK(run_melgrad({"report", folder / "", "-o", folder / "mine.txt"}).status == 2);
    CHECK(run_melgrad({"report", folder / "nothing"}).status == 1);
  }

  TEST_CASE("a machine without fonts is told what to install") {
    const TemporaryFolder folder;
    write_bytes(folder / "fonts.conf", "<?xml version=\"1.0\"?><fontconfig></fontconfig>");
    write_results(example_report(emotions()), folder / "results.json");
    const ProgramRun run = run_melgrad(
        {"report", folder / ""}, {.variables = {"FONTCONFIG_FILE=" + (folder / "fonts.conf").string()}});
    CHECK(run.status == 1);
    CHECK(contains(run.err, "install the package fonts-liberation"));
    CHECK_FALSE(fs::exists(folder / "report.pdf"));
  }
}
