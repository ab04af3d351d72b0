#pragma once
// The candidates of a search: a TOML file in scikit-learn's words.
//
//   [mlp]                                    # of every candidate, as MLPClassifier(batch_size=256)
//   batch_size = 256
//
//   [[grid]]                                 # every combination, as GridSearchCV
//   hidden_layer_sizes = [[300], [100, 50]]
//   activation = ["tanh", "relu"]
//   alpha = [0.0001, 0.001]
//
//   [[random]]                               # n_iter draws, as RandomizedSearchCV
//   n_iter = 60
//   random_state = 1                         # of the draws; else the command's
//   activation = ["tanh", "relu"]            # a choice
//   alpha = { log_uniform = [1e-6, 1e-1] }
//   max_iter = { uniform = [50, 400] }       # whole numbers, both ends included
//
// Every key is a field of MlpSpec. [[grid]] and [[random]] may stand several times, and mixed: their
// candidates follow one another. Combinations come in the order of sklearn.model_selection.ParameterGrid:
// names sorted, the last one turning fastest. Where a [[random]] table has lists alone, no combination is
// drawn twice, and all of them are taken where there are not n_iter.

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "host/core/json.hpp"
#include "host/engine/mlp.hpp"

namespace melgrad {

struct Candidate {
  Json parameters = Json::object();  // what the tables say of it, sorted by name
  MlpSpec spec;
  bool operator==(const Candidate&) const = default;
};

struct SearchDefaults {
  MlpSpec spec = {};              // what neither the file nor `given` says
  Json given = Json::object();    // goes before [mlp]; a table that varies one of these is refused
  std::int64_t random_state = 0;  // of draws
};

inline constexpr std::size_t most_candidates = 1'000'000;

// Errors name the file, the line and the key: "grid.toml: line 7: alpha: -1 is not in [0, 1000000]".
std::vector<Candidate> read_search_grid(const std::filesystem::path& file, const SearchDefaults& defaults);
// The same of a text; `name` stands for the file in errors.
std::vector<Candidate> parse_search_grid(std::string_view text, std::string_view name,
                                         const SearchDefaults& defaults);

// n of the candidates, each at most once, in their order; all of them where they are fewer.
std::vector<Candidate> sample_candidates(const std::vector<Candidate>& candidates, std::size_t n,
                                         std::int64_t random_state);

// The specification without what does not act: `epsilon` under sgd, `learning_rate` under adam, as in
// scikit-learn. Two that are equal train the same model, bit for bit.
MlpSpec effective_spec(const MlpSpec& spec);

}  // namespace melgrad
