#pragma once
// Several processes on one piece of work: what their launcher, or their user, says of each.

#include <functional>
#include <optional>
#include <string>

#include "host/core/shard.hpp"

namespace melgrad {

// One of the processes that a launcher (mpirun, srun) has started.
struct LaunchedProcess {
  Shard shard;
  int local_index = 0;    // among those on this machine
  std::string variables;  // that say so: "OMPI_COMM_WORLD_RANK and OMPI_COMM_WORLD_SIZE"
};
// What Open MPI, PMI (MPICH, Intel MPI) or Slurm say in the environment, in this order, for mpirun may itself
// run under Slurm; none where they say nothing. In a batch script of Slurm outside of srun, which has the
// variables of one process too, there is one process. `variable(name)` is null where it is not set. Throws
// where a variable is no number or out of range.
std::optional<LaunchedProcess> find_launcher(const std::function<const char*(const char*)>& variable);

// "0/2"; throws for anything but INDEX/COUNT with INDEX < COUNT.
Shard parse_shard(const std::string& text);

}  // namespace melgrad
