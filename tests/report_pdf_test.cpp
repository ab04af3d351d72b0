#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "example_report.hpp"
#include "host/report/pages.hpp"
#include "support/audio_files.hpp"

using namespace melgrad;

namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::vector<Results> awkward_results() {
  std::vector<Results> all;
  for (const auto& labels : awkward_labels()) all.push_back(example_report(labels));
  all.push_back(example_report(emotions(), 1, false));
  all.push_back(example_report(emotions(), 2, false, false));
  all.push_back(example_report({"no", "yes"}, 1, false, false));
  all.push_back(Results{});
  return all;
}

// What a command prints; empty where it fails.
std::string output_of(const std::string& command) {
  std::string text;
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(popen((command + " 2> /dev/null").c_str(), "r"),
                                                             pclose);
  char buffer[4096];
  while (pipe != nullptr && std::fgets(buffer, sizeof buffer, pipe.get()) != nullptr) text += buffer;
  return text;
}

}  // namespace

TEST_SUITE("report_pdf") {
  TEST_CASE("nothing on the pages overlaps, and nothing leaves them") {
    for (const Results& results : awkward_results()) {
      const Pages pages = lay_out(make_document(results));
      CHECK(pages.n_pages >= 1);
      CHECK(pages.n_pages <= 3);
      for (std::size_t i = 0; i < pages.placed.size(); ++i) {
        const Placed& each = pages.placed[i];
        CHECK(each.page < pages.n_pages);
        CHECK(each.box.x >= 40);
        CHECK(each.box.right() <= page_width - 40);
        CHECK(each.box.y >= 40);
        CHECK(each.box.bottom() <= page_height - 50);
        Box shrunk = each.box;
        shrunk.height -= 0.01;  // lines that follow one another touch
        CHECK(std::none_of(
            pages.placed.begin() + static_cast<std::ptrdiff_t>(i) + 1, pages.placed.end(),
            [&](const Placed& other) { return other.page == each.page && overlap(shrunk, other.box); }));
      }
    }
  }

  TEST_CASE("every line and every figure has one place") {
    for (const Results& results : awkward_results()) {
      const Document document = make_document(results);
      const Pages pages = lay_out(document);
      std::map<const Paragraph*, std::vector<std::pair<int, int>>> lines;
      std::size_t n_drawings = 0;
      for (const Placed& each : pages.placed) {
        if (each.drawing) ++n_drawings;
        if (each.paragraph) lines[each.paragraph.get()].push_back({each.first_line, each.end_line});
      }
      for (const auto& [paragraph, parts] : lines) {
        int next = 0;
        for (const auto& [first, end] : parts) {
          CHECK(first == next);
          next = end;
        }
        CHECK(next == paragraph->n_lines());
      }
      const auto n_figures = std::ranges::count_if(document.items, [](const DocumentItem& item) {
        return std::holds_alternative<Figure>(item) || std::holds_alternative<Table>(item);
      });
      CHECK(n_drawings + pages.left_out.size() == static_cast<std::size_t>(n_figures));
    }
  }

  TEST_CASE("eight emotions, five models and own recordings fit on two pages") {
    CHECK(lay_out(make_document(example_report(emotions()))).n_pages == 2);
    CHECK(lay_out(make_document(example_report(numbered_labels("digit ", 20)))).n_pages == 2);
  }

  TEST_CASE("what has no room on three pages is named") {
    Document document = make_document(example_report(emotions()));
    for (int i = 0; i < 30; ++i)
      document.items.push_back(Figure{fmt::format("another_{}", i), "", "words",
                                      subgroup_drawing(example_report(emotions()), column_width)});
    const Pages pages = lay_out(document);
    CHECK(pages.n_pages == 3);
    CHECK(pages.left_out.size() > 5);
    CHECK(pages.left_out.front() == "another_29");
  }

  TEST_CASE("the same results make the same bytes") {
    const auto made = [] {
      const Document document = make_document(example_report(emotions()));
      return pdf_bytes(document, lay_out(document));
    };
    const std::string bytes = made();
    CHECK(bytes == made());
    CHECK(bytes.starts_with("%PDF-"));
    CHECK(contains(bytes.substr(bytes.size() - 8), "%%EOF"));
  }

  TEST_CASE("the file is A4, and its text can be searched") {
    if (output_of("command -v pdftotext > /dev/null && command -v pdfinfo").empty()) {
      MESSAGE("skipped: pdftotext and pdfinfo (poppler-utils) are not installed");
      return;
    }
    const test::TemporaryFolder folder;
    const std::string file = folder / "report.pdf";
    const Document document = make_document(example_report(emotions()));
    std::ofstream(file, std::ios::binary) << pdf_bytes(document, lay_out(document));
    const std::string info = output_of("pdfinfo '" + file + "'");
    CHECK(contains(info, "A4"));
    CHECK(contains(info, "Pages:           2"));
    CHECK(contains(info, "Title:           " + document.title));
    const std::string text = output_of("pdftotext '" + file + "' -");
    for (const char* part :
         {"Abstract.", "Figure 1.", "Figure 8.", "Table 1.", "unheard speakers", "Limits", "surprised"})
      CHECK(contains(text, part));
  }
}
