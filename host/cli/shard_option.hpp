#pragma once
// --shard: which part of the work is this process's, where several processes share it.

#include <string>

#include "host/cli/options.hpp"
#include "host/core/shard.hpp"

namespace melgrad {

struct ShardOption {
  std::string text;

  void add(CLI::App& app);
  // The option, else what a launcher says, which is told to the user; else everything.
  Shard read(Console& console) const;
  // make_engine(); processes of one machine take its GPUs in turn.
  MadeEngine make_engine(const CommonOptions& common, Shard shard, Console& console) const;
};

// {"index": 0, "count": 2}
Json to_json(Shard shard);

}  // namespace melgrad
