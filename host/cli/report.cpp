// melgrad report RESULTS: the report of a run, made of its results.json alone.

#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "host/audio/folder_scan.hpp"
#include "host/cli/commands.hpp"
#include "host/core/file_system.hpp"
#include "host/core/parse_json.hpp"
#include "host/report/measurements.hpp"
#include "host/report/report_files.hpp"
#include "host/report/results.hpp"
#include "host/report/typesetting.hpp"

namespace melgrad {
namespace {

namespace fs = std::filesystem;

struct ReportOptions {
  std::string results;
  std::string output;
  std::string bench;
  std::string learning_curve;
  OverwriteOption overwrite;
};

// A file that another command wrote; check(json) throws where it is no such file.
template <class Check>
Json read_json(const fs::path& file, Check&& check) {
  return with_context(file.string(), [&] {
    Json json = parse_json(read_text_file(file));
    check(json);
    return json;
  });
}

int report(const ReportOptions& options, Console& console) {
  const fs::path input = options.results;
  const fs::path file = fs::is_directory(input) ? input / "results.json" : input;
  // Beside its results, a report is made anew; elsewhere nothing is replaced unasked.
  fs::path pdf = fs::absolute(file).parent_path() / "report.pdf";
  if (!options.output.empty()) {
    if (!has_extension(options.output, ".pdf"))
      fail_usage("-o {}: the name has to end in .pdf", options.output);
    pdf = options.output;
    fs::create_directories(fs::absolute(pdf).parent_path());
    options.overwrite.check(pdf.string());
    options.overwrite.check(fs::path(pdf).replace_extension(".html").string());
  }
  require_fonts();
  Results results = read_results(file);
  if (!options.bench.empty()) results.bench = read_json(options.bench, measurements_from_json);
  if (!options.learning_curve.empty())
    results.learning_curve = read_json(options.learning_curve, learning_points_from_json);
  if (!options.bench.empty() || !options.learning_curve.empty()) write_results(results, file);
  const ReportFiles files = write_report(results, pdf);
  for (const std::string& warning : files.warnings) console.warn(warning);
  if (console.json())
    console.json_result(
        {{"pdf", files.pdf.string()}, {"html", files.html.string()}, {"figures", files.figures.string()}});
  else
    console.result(
        fmt::format("{}\n{}\n{}\n", files.pdf.string(), files.html.string(), files.figures.string()));
  return exit_done;
}

}  // namespace

Command make_report_command(CLI::App& program, CommonOptions& common) {
  CLI::App& app = add_command(
      program, "report", "the report of a run: PDF, HTML and figures",
      "  melgrad report results/                  again, beside its results.json\n"
      "  melgrad report results.json -o paper.pdf\n"
      "\nIt is made of results.json alone: two pages of A4, the same as one HTML file that loads nothing and "
      "plays the\n"
      "clips that were mistaken where it finds them, and every figure as SVG and PNG in figures/.");
  auto options = std::make_shared<ReportOptions>();
  app.add_option("RESULTS", options->results, "a results folder, or its results.json")->required();
  app.add_option("-o,--output", options->output,
                 "the PDF; HTML and figures/ go beside it. Without: report.pdf beside results.json")
      ->type_name("FILE.pdf");
  app.add_option("--bench", options->bench,
                 "what `melgrad bench --json` printed: goes into results.json and the report")
      ->type_name("FILE.json");
  app.add_option("--learning-curve", options->learning_curve,
                 "what `melgrad learning-curve --json` printed: goes there, too")
      ->type_name("FILE.json");
  options->overwrite.add(app);
  add_common_options(app, common);
  return {&app, [options](Console& console) { return report(*options, console); }};
}

}  // namespace melgrad
