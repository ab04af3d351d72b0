#include <xxhash.h>

#include <algorithm>

#include "host/core/error.hpp"
#include "host/evaluation/search.hpp"

namespace melgrad {
namespace {

constexpr int default_folds = 10;

SplitPlan make_folds(const Dataset& dataset, const SearchOptions& options, int n_folds) {
  SplitPlan plan = options.protocol == SearchProtocol::random
                       ? stratified_k_fold(dataset, n_folds, options.random_state, options.shuffle_folds)
                       : speaker_folds(dataset, n_folds, options.random_state);
  if (!plan.why_not.empty())
    fail("{} folds for protocol {}: {}", n_folds, to_name(options.protocol), plan.why_not);
  return plan;
}

// Folds of the rows of another data set, whose numbers `rows` are.
std::vector<Split> with_rows_of(std::vector<Split> splits, const std::vector<int>& rows,
                                const std::string& name) {
  for (Split& split : splits) {
    split.name = fmt::format("{}, {}", name, split.name);
    for (auto* side : {&split.train, &split.test, &split.left_out})
      for (int& row : *side) row = rows[static_cast<std::size_t>(row)];
  }
  return splits;
}

int resolve_folds(const Dataset& dataset, const SearchOptions& options) {
  if (options.folds > 0) return options.folds;
  if (options.protocol == SearchProtocol::random) return default_folds;
  // An outer fold takes its speakers away from the inner ones.
  const auto n_groups = static_cast<int>(dataset.group_names.size());
  const int n_left =
      options.nested > 1 ? n_groups - (n_groups + options.nested - 1) / options.nested : n_groups;
  return std::max(2, std::min(default_speaker_folds(n_groups), n_left));
}

std::vector<std::size_t> find_equal_models(const std::vector<Candidate>& candidates, bool reuse) {
  std::map<std::string, std::size_t> first;
  std::vector<std::size_t> same_as;
  for (std::size_t i = 0; i < candidates.size(); ++i)
    same_as.push_back(
        reuse ? first.try_emplace(to_json_fields(effective_spec(candidates[i].spec)).dump(), i).first->second
              : i);
  return same_as;
}

class Hash {
 public:
  Hash() { XXH3_128bits_reset(state_.get()); }
  void add(const void* data, std::size_t size) { XXH3_128bits_update(state_.get(), data, size); }
  void add(std::string_view text) {
    const std::uint64_t size = text.size();
    add(&size, sizeof size);
    add(text.data(), text.size());
  }
  void add(const std::vector<int>& numbers) { add(fmt::format("{}", fmt::join(numbers, " "))); }
  std::string hex() const {
    const XXH128_hash_t hash = XXH3_128bits_digest(state_.get());
    return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
  }

 private:
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> state_{XXH3_createState()};
};

Json features_key(const Dataset& dataset) {
  Hash hash;
  hash.add(dataset.features.values.data(), dataset.features.values.size() * sizeof(float));
  hash.add(dataset.labels);
  hash.add(dataset.groups);
  hash.add(dataset.audio);
  for (const auto* names : {&dataset.label_names, &dataset.group_names})
    for (const std::string& name : *names) hash.add(name);
  return {{"set", dataset.spec.name},
          {"n_clips", dataset.n_rows()},
          {"n_features", dataset.features.cols},
          {"hash", hash.hex()}};
}

Json splits_key(const SearchPlan& plan) {
  Hash hash;
  const auto add = [&](const std::vector<Split>& splits) {
    for (const Split& split : splits) {
      hash.add(split.train);
      hash.add(split.test);
    }
  };
  add(plan.folds);
  add(plan.outer);
  for (const auto& inner : plan.inner) add(inner);
  return {{"folds", plan.folds.size()}, {"nested", plan.outer.size()}, {"hash", hash.hex()}};
}

}  // namespace

std::size_t SearchPlan::n_trained() const {
  std::size_t n = 0;
  for (std::size_t i = 0; i < same_as.size(); ++i) n += same_as[i] == i;
  return n;
}

std::size_t SearchPlan::n_fits() const {
  return n_search_fits() + outer.size() * static_cast<std::size_t>(options.seeds);
}

std::size_t SearchPlan::n_search_fits() const {
  return n_trained() * folds.size() * (1 + outer.size()) * static_cast<std::size_t>(options.seeds);
}

SearchPlan plan_search(const Dataset& dataset, std::vector<Candidate> candidates,
                       const SearchOptions& options) {
  if (options.nested == 1) fail_usage("nested 1: must be 0 or at least 2");
  if (options.folds == 1) fail_usage("folds 1: must be at least 2");
  SearchPlan plan;
  plan.options = options;
  plan.options.folds = resolve_folds(dataset, options);
  plan.same_as = find_equal_models(candidates, options.reuse);
  plan.candidates = std::move(candidates);
  SplitPlan folds = make_folds(dataset, plan.options, plan.options.folds);
  plan.folds = std::move(folds.splits);
  plan.notes = std::move(folds.notes);
  if (options.nested > 0) plan.outer = make_folds(dataset, plan.options, options.nested).splits;
  for (std::size_t i = 0; i < plan.outer.size(); ++i) {
    const Split& outer = plan.outer[i];
    const std::string name = fmt::format("outer {} without {}", i + 1, outer.name);
    plan.inner.push_back(with_context(name, [&] {
      return with_rows_of(make_folds(subset(dataset, outer.train), plan.options, plan.options.folds).splits,
                          outer.train, name);
    }));
  }
  return plan;
}

Json search_key(const Dataset& dataset, const SearchPlan& plan, std::string_view engine_name) {
  Hash candidates;
  for (const Candidate& each : plan.candidates) {
    candidates.add(each.parameters.dump());
    candidates.add(to_json_fields(each.spec).dump());
  }
  return {{"features", features_key(dataset)},
          {"candidates", {{"n", plan.candidates.size()}, {"hash", candidates.hex()}}},
          {"splits", splits_key(plan)},
          {"options", to_json_fields(plan.options)},
          {"melgrad", MELGRAD_VERSION},
          {"engine", engine_name.substr(0, engine_name.find(':'))}};
}

}  // namespace melgrad
