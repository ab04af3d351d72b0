#include "host/cli/shard_option.hpp"

#include <fmt/format.h>

#include <cstdlib>

#include "host/core/error.hpp"
#include "host/core/launcher.hpp"
#include "host/engine/cuda_status.hpp"
#include "host/engine/engine_choice.hpp"

namespace melgrad {
namespace {

const char* variable_of_environment(const char* name) {
  return std::getenv(name);
}

}  // namespace

void ShardOption::add(CLI::App& app) {
  app.add_option(
         "--shard", text,
         "do this process's part of the work: INDEX/COUNT, as 0/2; by default what mpirun or srun say "
         "in the environment")
      ->type_name("I/N");
}

Shard ShardOption::read(Console& console) const {
  if (!text.empty()) return with_context("--shard", [&] { return parse_shard(text); });
  const auto process = find_launcher(variable_of_environment);
  if (!process || process->shard.is_whole()) return {};
  console.note(fmt::format("shard {}/{}, as {} say; --shard 0/1 does everything", process->shard.index,
                           process->shard.count, process->variables));
  return process->shard;
}

MadeEngine ShardOption::make_engine(const CommonOptions& common, Shard shard, Console& console) const {
  if (shard.is_whole()) return melgrad::make_engine(common, console);
  const auto process = find_launcher(variable_of_environment);
  CommonOptions own = common;
  own.device = device_of_process(common.device, process ? process->local_index : shard.index, cuda_status());
  return melgrad::make_engine(own, console);
}

Json to_json(Shard shard) {
  return {{"index", shard.index}, {"count", shard.count}};
}

}  // namespace melgrad
