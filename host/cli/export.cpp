// melgrad export features.h5 -o x.npz|x.csv

#include <fmt/format.h>

#include <cstring>
#include <memory>
#include <span>

#include "host/audio/folder_scan.hpp"
#include "host/cache/atomic_file.hpp"
#include "host/cache/feature_cache.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/inputs.hpp"
#include "host/cli/npz.hpp"
#include "host/data/dataset.hpp"

namespace melgrad {
namespace {

struct ExportOptions {
  std::string input;
  std::string output;
  OverwriteOption overwrite;
};

// The usable rows of a cache. Row i of everything belongs to paths[i].
struct ExportedTable {
  std::vector<std::string> columns;  // [n_features]
  Matrix<float> features;            // [n_rows, n_features]
  std::vector<std::string> paths, labels, groups;
};

ExportedTable exported_table(const FeatureTable& table) {
  Dataset dataset = make_dataset(table, 1);
  ExportedTable exported{.columns = table.columns,
                         .features = std::move(dataset.features),
                         .paths = {},
                         .labels = {},
                         .groups = {}};
  for (const Clip& clip : dataset.clips) {
    exported.paths.push_back(clip.path);
    exported.labels.push_back(clip.label);
    exported.groups.push_back(clip.group);
  }
  return exported;
}

std::vector<std::byte> npz_file(const ExportedTable& table) {
  NpzWriter writer;
  writer.add("features", table.features.view());
  writer.add("labels", table.labels);
  writer.add("paths", table.paths);
  writer.add("groups", table.groups);
  writer.add("columns", table.columns);
  return writer.finish();
}

// RFC 4180: a field with a comma, a quote or a line break is quoted, quotes in it are doubled.
std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + "\"";
}

// Numbers have as many digits as bring back the very same float32.
std::vector<std::byte> csv_file(const ExportedTable& table) {
  std::string text = "path,label,group";
  for (const std::string& column : table.columns) text += "," + csv_field(column);
  text += "\r\n";
  for (Index row = 0; row < table.features.rows; ++row) {
    const auto i = static_cast<std::size_t>(row);
    text += fmt::format("{},{},{}", csv_field(table.paths[i]), csv_field(table.labels[i]),
                        csv_field(table.groups[i]));
    for (const float value : table.features.row(row)) fmt::format_to(std::back_inserter(text), ",{}", value);
    text += "\r\n";
  }
  std::vector<std::byte> bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

int export_file(const ExportOptions& options, Console& console) {
  const bool npz = has_extension(options.output, ".npz");
  if (!npz && !has_extension(options.output, ".csv"))
    fail_usage("-o {}: the name has to end in .npz or .csv", options.output);
  options.overwrite.check(options.output);
  const ExportedTable table = exported_table(read_feature_table(options.input));
  const auto nothing_to_check = [](const std::filesystem::path&) {};
  save_atomically(options.output, npz ? npz_file(table) : csv_file(table), nothing_to_check);

  if (console.json())
    console.json_result(
        Json{{"file", options.output}, {"n_rows", table.features.rows}, {"n_features", table.features.cols}});
  else
    console.result(fmt::format("{}: {} rows of {} features, with path, label and group\n", options.output,
                               table.features.rows, table.features.cols));
  return exit_done;
}

}  // namespace

Command make_export_command(CLI::App& program, CommonOptions& common) {
  CLI::App& app = add_command(
      program, "export", "a cache's features for other programs",
      "  melgrad export features.h5 -o features.npz\n"
      "  python3 -c \"import numpy; f = numpy.load('features.npz'); print(f['features'].shape, "
      "f['labels'])\"\n"
      "  melgrad export features.h5 -o features.csv\n"
      "\nThe .npz holds features [n, n_features] float32, labels, paths, groups [n] and columns "
      "[n_features].\n"
      "The .csv has a header: path,label,group and the features' names. Refused recordings are in neither.");
  auto options = std::make_shared<ExportOptions>();
  app.add_option("FEATURES.h5", options->input, "a cache")->required();
  app.add_option("-o,--output", options->output, "by its ending: NumPy's .npz, or .csv")
      ->type_name("FILE.npz|FILE.csv")
      ->required();
  options->overwrite.add(app);
  add_common_options(app, common);
  return {&app, [options](Console& console) { return export_file(*options, console); }};
}

}  // namespace melgrad
