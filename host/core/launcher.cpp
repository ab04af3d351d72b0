#include "host/core/launcher.hpp"

#include <charconv>
#include <string_view>

#include "host/core/error.hpp"

namespace melgrad {
namespace {

constexpr int most_processes = 1'000'000;

std::optional<int> whole_number(std::string_view text) {
  int number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 0 || number > most_processes)
    return std::nullopt;
  return number;
}

struct LauncherVariables {
  const char *index, *count, *local_index;
};
// MPI_LOCALRANKID is Hydra's, MPICH's and Intel MPI's process manager.
constexpr LauncherVariables launchers[] = {
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"},
    {"PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"},
    {"SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"}};

}  // namespace

std::optional<LaunchedProcess> find_launcher(const std::function<const char*(const char*)>& variable) {
  for (const LauncherVariables& names : launchers) {
    const char *index = variable(names.index), *count = variable(names.count);
    if (index == nullptr || count == nullptr) continue;
    const bool is_batch_script = std::string_view(names.index).starts_with("SLURM") &&
                                 variable("SLURM_JOB_ID") != nullptr && variable("SLURM_STEP_ID") == nullptr;
    if (is_batch_script) return std::nullopt;
    LaunchedProcess process;
    process.variables = fmt::format("{} and {}", names.index, names.count);
    process.shard =
        with_context(process.variables, [&] { return parse_shard(fmt::format("{}/{}", index, count)); });
    const char* local = variable(names.local_index);
    process.local_index =
        local == nullptr ? process.shard.index : whole_number(local).value_or(process.shard.index);
    return process;
  }
  return std::nullopt;
}

Shard parse_shard(const std::string& text) {
  const std::size_t slash = text.find('/');
  const auto index = whole_number(std::string_view(text).substr(0, slash));
  const auto count =
      slash == text.npos ? std::nullopt : whole_number(std::string_view(text).substr(slash + 1));
  if (!index || !count || *index >= *count)
    fail_usage("'{}' is no shard: INDEX/COUNT, as 0/2 and 1/2 for two processes", text);
  return {*index, *count};
}

}  // namespace melgrad
