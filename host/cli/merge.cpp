// melgrad merge features.h5|sweep.json

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "host/cache/shards.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/inputs.hpp"
#include "host/core/error.hpp"
#include "host/evaluation/search.hpp"
#include "host/report/terminal.hpp"

namespace melgrad {
namespace {

std::vector<Refusal> refused_rows(const FeatureTable& table) {
  constexpr std::string_view refused = "refused: ";
  std::vector<Refusal> rows;
  for (std::size_t i = 0; i < table.clips.size(); ++i)
    if (table.status[i].starts_with(refused))
      rows.push_back({table.clips[i].path, table.status[i].substr(refused.size())});
  return rows;
}

int merge_caches(const std::string& file, Console& console) {
  const FeatureTable table = merge_features(file, console);
  const std::vector<Refusal> refused = refused_rows(table);
  log_refused(refused, console);
  if (console.json())
    console.json_result(Json{{"file", file},
                             {"kind", "features"},
                             {"n_clips", table.n_clips()},
                             {"n_refused", refused.size()},
                             {"refused", to_json(refused)}});
  else
    console.result(fmt::format("{}: {} features ({}) of {} clips\n{}", file, table.columns.size(),
                               table.spec.name, table.n_clips() - static_cast<Index>(refused.size()),
                               refusals_text(refused, console.style())));
  return refused.empty() ? exit_done : exit_refused;
}

int merge_sweeps(const std::string& file, Console& console) {
  const FileLock lock(file + ".lock", file);
  LockedShards shards(file, "journal");
  const std::string journal = file + ".journal";
  const std::size_t n_fits = merge_search_journals(shards.files(), journal);
  shards.remove();
  if (console.json())
    console.json_result(Json{{"file", journal}, {"kind", "sweep"}, {"n_fits", n_fits}});
  else
    console.result(
        fmt::format("{}: {} fits\n`melgrad sweep` with the same options, as one process, writes {}\n",
                    journal, n_fits, file));
  return exit_done;
}

int merge(const std::string& file, Console& console) {
  return has_shards(file, "journal") ? merge_sweeps(file, console) : merge_caches(file, console);
}

}  // namespace

Command make_merge_command(CLI::App& program, CommonOptions& common) {
  CLI::App& app = add_command(
      program, "merge", "what several processes have made, into one file",
      "  melgrad extract recordings/ -o features.h5 --shard 0/2 &\n"
      "  melgrad extract recordings/ -o features.h5 --shard 1/2 &\n"
      "  wait; melgrad merge features.h5\n"
      "\n"
      "  mpirun -n 4 melgrad extract recordings/ -o features.h5 && melgrad merge features.h5\n"
      "  srun -n 8 melgrad sweep features.h5 --grid grid.toml -o sweep.json && melgrad merge sweep.json &&\n"
      "    melgrad sweep features.h5 --grid grid.toml -o sweep.json\n"
      "\nThe processes' files lie in FILE.shards/, and go once FILE holds all of them: the very bytes that "
      "one\n"
      "process would have written. Where a process is missing or has not finished, nothing is changed.");
  auto file = std::make_shared<std::string>();
  app.add_option("FILE", *file, "what extract or sweep were to write")->required();
  add_common_options(app, common);
  return {&app, [file](Console& console) { return merge(*file, console); }};
}

}  // namespace melgrad
