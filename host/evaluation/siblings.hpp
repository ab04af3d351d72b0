#pragma once
// Near copies across a split: what lets a random split flatter.

#include <string>
#include <vector>

#include "host/data/splits.hpp"

namespace melgrad {

// Two clips of one group and label are siblings; where the clips' names say the statement (the sentence that
// is spoken) or the intensity, these have to be the same, too: then they are takes of one recording.
class Siblings {
 public:
  explicit Siblings(const Dataset& dataset);
  // "same group, label, statement and intensity"; empty where no clip names a group: then nothing has
  // siblings.
  const std::string& description() const { return description_; }
  // [split.test]: whether each has a sibling among split.train.
  std::vector<bool> in_training(const Split& split) const;

 private:
  std::string description_;
  std::vector<int> family_;  // [n_rows]: equal for siblings; -1 where no group is known
  int n_families_ = 0;
};

}  // namespace melgrad
