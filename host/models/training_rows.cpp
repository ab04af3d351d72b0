#include "host/models/training_rows.hpp"

#include "host/core/error.hpp"
#include "host/data/splits.hpp"

namespace melgrad {

TrainingRows training_rows(const Dataset& dataset, const MlpSpec& spec, std::span<const int> rows,
                           std::string_view name) {
  if (!spec.early_stopping) return {{rows.begin(), rows.end()}, {}};
  Split held_out = hold_out(dataset, rows, spec.validation_fraction, spec.random_state);
  if (held_out.test.empty())
    fail("early_stopping: {} of {} has no label with two recordings, one of which could be held out",
         rows.size() == 1 ? "1 clip" : fmt::format("{} clips", rows.size()), name);
  return {std::move(held_out.train), std::move(held_out.test)};
}

}  // namespace melgrad
