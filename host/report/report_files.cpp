#include "host/report/report_files.hpp"

#include <span>

#include "host/cache/atomic_file.hpp"
#include "host/core/error.hpp"
#include "host/report/html.hpp"
#include "host/report/pages.hpp"
#include "host/report/rendering.hpp"

namespace melgrad {
namespace {

constexpr double png_scale = 300.0 / 72;  // 300 dots an inch

void save(const std::filesystem::path& file, const std::string& bytes) {
  save_atomically(file, std::as_bytes(std::span(bytes)), [](const std::filesystem::path&) {});
}

std::vector<std::string> names_without_glyphs(const Results& results) {
  std::vector<std::string> names;
  for (const std::string& label : results.dataset.labels)
    if (!has_glyphs(label)) names.push_back(fmt::format("'{}'", clean(label)));
  return names;
}

}  // namespace

ReportFiles write_report(const Results& results, const std::filesystem::path& pdf) {
  require_fonts();
  const std::filesystem::path folder = std::filesystem::absolute(pdf).parent_path();
  ReportFiles files{pdf, pdf, folder / "figures", {}};
  files.html.replace_extension(".html");
  const Document document = make_document(results);
  const Pages pages = lay_out(document);
  save(files.pdf, pdf_bytes(document, pages));
  save(files.html, report_html(results, document, folder));
  std::filesystem::create_directories(files.figures);
  for (const DocumentItem& item : document.items) {
    const auto* figure = std::get_if<Figure>(&item);
    if (figure == nullptr) continue;
    save(files.figures / (figure->name + ".svg"), svg_text(figure->drawing, figure->title, false));
    save(files.figures / (figure->name + ".png"), png_bytes(figure->drawing, png_scale));
  }
  if (!pages.left_out.empty())
    files.warnings.push_back(
        fmt::format("the pages of the report have no room for these figures, which {} has: {}",
                    files.html.filename().string(), fmt::join(pages.left_out, ", ")));
  if (const auto names = names_without_glyphs(results); !names.empty())
    files.warnings.push_back(
        fmt::format("no font of this machine has the characters of {}: install a package that does, "
                    "such as fonts-noto-core or fonts-noto-cjk",
                    fmt::join(names, ", ")));
  return files;
}

}  // namespace melgrad
