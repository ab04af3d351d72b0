#include "host/cli/inputs.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <iterator>
#include <string>

#include "host/audio/folder_scan.hpp"
#include "host/core/error.hpp"
#include "host/core/temporary_folder.hpp"
#include "host/data/altered_copies.hpp"
#include "host/data/speaker_normalisation.hpp"
#include "host/engine/speech_division.hpp"
#include "host/features/alterations.hpp"

namespace melgrad {

void DataOptions::add(CLI::App& app, const std::string& description) {
  app.add_option("DATA", data, description)->required();
  app.add_option("--pattern", pattern, "what file names hold, as '{label}_{group}_{index}'")
      ->type_name("PATTERN");
}

void add_peers_option(CLI::App& app, std::string& python) {
  app.add_option_function<std::string>(
         "--peers", [&python](const std::string& named) { python = named.empty() ? "python3" : named; },
         "measure the peers, too, by the Python interpreter that has them; python3 where none is named")
      ->type_name("PYTHON")
      ->expected(0, 1);
}

Manifest load_recordings(const std::string& data, const std::string& pattern, Console& console) {
  Manifest manifest = load_manifest(data, pattern);
  console.note(
      fmt::format("{}: {} recordings, labelled by {}", data, manifest.clips.size(), manifest.labels_from));
  if (manifest.n_ignored > 0)
    console.detail(fmt::format("{}: {} other files ignored", data, manifest.n_ignored));
  return manifest;
}

Manifest unlabelled_recordings(const std::vector<std::string>& files_and_folders) {
  Manifest manifest;
  for (const std::string& each : files_and_folders) {
    if (!std::filesystem::is_directory(each)) {
      manifest.clips.emplace_back().path = each;
      continue;
    }
    FolderScan scan = find_recordings(each);
    const auto in_folder = [&](const std::string& path) {
      return (std::filesystem::path(each) / path).string();
    };
    for (const std::string& path : scan.paths) manifest.clips.emplace_back().path = in_folder(path);
    for (const Refusal& refusal : scan.refused)
      manifest.refused.push_back({in_folder(refusal.path), refusal.reason});
  }
  return manifest;
}

std::vector<FeatureTable> extract_copies(const Manifest& manifest, const FeatureSpec& spec, Engine& engine,
                                         const std::filesystem::path& file, int n_threads, Console& console) {
  std::vector<FeatureTable> tables;
  for (const FeatureSpec& copy : altered_copies(spec)) {
    console.note(fmt::format("altered copies: {}", alteration_name(copy)));
    tables.push_back(
        extract_features(manifest, copy, engine, copy_file(file, copy), {.n_threads = n_threads}, console)
            .table);
  }
  return tables;
}

std::vector<FeatureTable> read_copies(const std::filesystem::path& file, const FeatureSpec& spec) {
  std::vector<FeatureTable> tables;
  for (const FeatureSpec& copy : altered_copies(spec)) {
    const std::filesystem::path beside = copy_file(file, copy);
    if (!std::filesystem::exists(beside))
      fail("{}: there is no such file; `melgrad extract DATA -o {} --augment` makes it", beside.string(),
           file.string());
    tables.push_back(read_feature_table(beside));
    if (tables.back().spec != copy)
      fail("{} has not the features of {}: {}", beside.string(), file.string(),
           difference(copy, tables.back().spec));
  }
  return tables;
}

void treat(Dataset& dataset, const TreatmentOptions& treatment, const std::vector<FeatureTable>& copies,
           Console& console) {
  if (!copies.empty()) {
    const Index n_missing = add_altered_copies(dataset, copies);
    if (n_missing > 0)
      console.warn(fmt::format("{} of {} altered copies could not be used: the originals stand in for them",
                               n_missing, std::ssize(copies) * dataset.n_rows()));
  }
  if (treatment.speaker_normalise) normalise_speakers(dataset);
}

void note_division(const FeatureSpec& spec, const Engine& engine, Console& console) {
  if (const std::string text = to_text(division_of(spec, engine.name())); !text.empty())
    console.note(fmt::format("features: {}", text));
}

ExtractedOnce extract_once(const Manifest& manifest, const FeatureSpec& spec, bool copies, Engine& engine,
                           int n_threads, Console& console) {
  const TemporaryFolder folder;
  const auto file = folder.path() / "features.h5";
  note_division(spec, engine, console);
  Extraction originals = extract_features(manifest, spec, engine, file, {.n_threads = n_threads}, console);
  ExtractedOnce once{std::move(originals.table), {}, std::move(originals.report)};
  if (copies) once.copies = extract_copies(manifest, spec, engine, file, n_threads, console);
  return once;
}

void add_tta_option(CLI::App& app, bool& tta) {
  app.add_flag(
      "--tta", tta,
      "ask about altered copies of each recording, too, and average: its speed 0.9 and 1.1, its pitch "
      "1.5 semitones down and up");
}

void log_refused(const std::vector<Refusal>& refused, Console& console) {
  for (const Refusal& each : refused) console.detail(fmt::format("refused: {}: {}", each.path, each.reason));
}

Json to_json(const std::vector<Refusal>& refused) {
  Json json = Json::array();
  for (const Refusal& each : refused) json.push_back({{"path", each.path}, {"reason", each.reason}});
  return json;
}

}  // namespace melgrad
