#include "host/data/splits.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <set>

#include "host/core/error.hpp"
#include "host/core/philox.hpp"

namespace melgrad {
namespace {

// Each kind of division reads its own streams of random numbers.
constexpr std::uint32_t first_random_split = 0;
constexpr std::uint32_t first_speaker_stream = 1u << 30;
constexpr std::uint32_t first_k_fold_stream = 1u << 31;

template <class T>
void shuffle(std::vector<T>& items, PhiloxSequence& random) {
  for (std::size_t left = items.size(); left > 1; --left)
    std::swap(items[left - 1], items[random.next_below(static_cast<std::uint32_t>(left))]);
}

std::vector<int> all_rows(const Dataset& dataset) {
  std::vector<int> rows(static_cast<std::size_t>(dataset.n_rows()));
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

// The rows of one recording: more than one where it is there several times. A row of another label than the
// first counts for the first's.
using Recording = std::vector<int>;

// [n_classes][n_recordings of the class], in the order of their first rows.
std::vector<std::vector<Recording>> recordings_by_label(const Dataset& dataset, std::span<const int> rows) {
  std::map<int, Recording> by_audio;
  for (const int row : rows) by_audio[dataset.audio[static_cast<std::size_t>(row)]].push_back(row);
  std::vector<std::vector<Recording>> by_label(static_cast<std::size_t>(dataset.n_classes()));
  for (auto& [audio, recording] : by_audio) {
    const int label = dataset.labels[static_cast<std::size_t>(recording.front())];
    by_label[static_cast<std::size_t>(label)].push_back(std::move(recording));
  }
  return by_label;
}

// How many recordings of each label to test: n_c * n_test / n, rounded up for those of the largest
// remainders, ties drawn (sklearn.utils._approximate_mode), but always fewer than n_c.
std::vector<Index> test_counts(const std::vector<std::vector<Recording>>& by_label, double test_fraction,
                               PhiloxSequence& random) {
  Index n = 0;
  for (const auto& recordings : by_label) n += static_cast<Index>(recordings.size());
  if (n == 0) return std::vector<Index>(by_label.size(), 0);
  const auto n_test = std::min(n, static_cast<Index>(std::ceil(test_fraction * static_cast<double>(n))));

  struct Candidate {
    Index remainder;
    std::size_t label;
  };
  std::vector<Candidate> candidates;
  std::vector<Index> counts;
  for (std::size_t label = 0; label < by_label.size(); ++label) {
    const auto n_label = static_cast<Index>(by_label[label].size());
    const Index most = std::max<Index>(n_label - 1, 0);
    counts.push_back(std::min(n_label * n_test / n, most));
    const Index remainder = n_label * n_test % n;
    if (remainder > 0 && counts.back() < most) candidates.push_back({remainder, label});
  }
  shuffle(candidates, random);
  std::ranges::stable_sort(candidates, std::greater{}, &Candidate::remainder);
  Index missing = n_test - std::accumulate(counts.begin(), counts.end(), Index{0});
  for (const Candidate& candidate : candidates)
    if (missing-- > 0) ++counts[candidate.label];
  return counts;
}

Split stratified_split(const Dataset& dataset, std::span<const int> rows, double test_fraction,
                       PhiloxSequence random) {
  auto by_label = recordings_by_label(dataset, rows);
  const auto counts = test_counts(by_label, test_fraction, random);
  Split split;
  for (std::size_t label = 0; label < by_label.size(); ++label) {
    shuffle(by_label[label], random);
    for (std::size_t i = 0; i < by_label[label].size(); ++i) {
      auto& side = static_cast<Index>(i) < counts[label] ? split.test : split.train;
      side.insert(side.end(), by_label[label][i].begin(), by_label[label][i].end());
    }
  }
  std::ranges::sort(split.train);
  std::ranges::sort(split.test);
  return split;
}

// Takes training rows whose audio is tested out of the training set; returns how many.
Index leave_out_tested_audio(const Dataset& dataset, Split& split) {
  std::set<int> tested;
  for (const int row : split.test) tested.insert(dataset.audio[static_cast<std::size_t>(row)]);
  const auto leaks = std::ranges::stable_partition(
      split.train, [&](int row) { return !tested.contains(dataset.audio[static_cast<std::size_t>(row)]); });
  split.left_out.insert(split.left_out.end(), leaks.begin(), leaks.end());
  const auto n_leaks = static_cast<Index>(leaks.size());
  split.train.erase(leaks.begin(), leaks.end());
  std::ranges::sort(split.left_out);
  return n_leaks;
}

SplitPlan impossible(std::string why_not) {
  return {.splits = {}, .why_not = std::move(why_not), .notes = {}};
}

// [n_groups]: what most of the group's clips say of its sex; empty where none does.
std::vector<std::string> sex_of_groups(const Dataset& dataset) {
  std::vector<std::map<std::string, int>> votes(dataset.group_names.size());
  for (std::size_t row = 0; row < dataset.clips.size(); ++row) {
    const auto sex = dataset.clips[row].attributes.find("sex");
    if (dataset.groups[row] >= 0 && sex != dataset.clips[row].attributes.end())
      ++votes[static_cast<std::size_t>(dataset.groups[row])][sex->second];
  }
  std::vector<std::string> sexes;
  for (const auto& vote : votes) {
    const auto most =
        std::ranges::max_element(vote, {}, [](const auto& name_and_count) { return name_and_count.second; });
    sexes.push_back(most == vote.end() ? std::string() : most->first);
  }
  return sexes;
}

// [n_folds][groups]: the shuffled groups of one sex after the other are dealt out like cards, so folds differ
// by at most one group, and by at most one of each sex.
std::vector<std::vector<int>> deal_groups(const Dataset& dataset, int n_folds, PhiloxSequence random) {
  std::map<std::string, std::vector<int>> by_sex;
  const auto sexes = sex_of_groups(dataset);
  for (std::size_t group = 0; group < sexes.size(); ++group)
    by_sex[sexes[group]].push_back(static_cast<int>(group));
  std::vector<std::vector<int>> folds(static_cast<std::size_t>(n_folds));
  std::size_t dealt = 0;
  for (auto& [sex, groups] : by_sex) {
    shuffle(groups, random);
    for (const int group : groups) folds[dealt++ % folds.size()].push_back(group);
  }
  for (auto& fold : folds) std::ranges::sort(fold);
  return folds;
}

std::string fold_name(const Dataset& dataset, const std::vector<int>& groups, std::size_t fold,
                      std::size_t n_folds) {
  constexpr std::size_t most_named = 8;
  if (groups.size() > most_named)
    return fmt::format("{1}s, fold {2} of {3} ({0} {1}s)", groups.size(), dataset.group_noun, fold + 1,
                       n_folds);
  std::string name = dataset.group_noun + (groups.size() == 1 ? "" : "s");
  for (const int group : groups) name += ' ' + dataset.group_names[static_cast<std::size_t>(group)];
  return name;
}

// Labels that one group alone has: nobody who never heard that group can know them.
std::vector<std::string> labels_of_one_group(const Dataset& dataset) {
  std::vector<std::set<int>> groups(dataset.label_names.size());
  for (std::size_t row = 0; row < dataset.labels.size(); ++row)
    if (dataset.groups[row] >= 0)
      groups[static_cast<std::size_t>(dataset.labels[row])].insert(dataset.groups[row]);
  std::vector<std::string> labels;
  for (std::size_t label = 0; label < groups.size(); ++label)
    if (groups[label].size() == 1) labels.push_back(dataset.label_names[label]);
  return labels;
}

void note_leaks(SplitPlan& plan, Index n_leaks) {
  if (n_leaks > 0)
    plan.notes.push_back(
        fmt::format("{} left out of training: audio identical to a test clip's",
                    n_leaks == 1 ? std::string("1 clip was") : fmt::format("{} clips were", n_leaks)));
}

}  // namespace

SplitPlan random_splits(const Dataset& dataset, int n_splits, double test_fraction,
                        std::int64_t random_state) {
  const auto rows = all_rows(dataset);
  SplitPlan plan;
  for (int i = 0; i < n_splits; ++i) {
    PhiloxSequence random(static_cast<std::uint64_t>(random_state), RandomStream::split,
                          first_random_split + static_cast<std::uint32_t>(i));
    Split split = stratified_split(dataset, rows, test_fraction, random);
    if (split.test.empty())
      return impossible(
          fmt::format("none of the {} labels has two different recordings, one to train on and "
                      "one to test",
                      dataset.n_classes()));
    split.name = fmt::format("random {}", i + 1);
    plan.splits.push_back(std::move(split));
  }
  std::vector<std::string> untested;
  const auto by_label = recordings_by_label(dataset, rows);
  for (std::size_t label = 0; label < by_label.size(); ++label)
    if (by_label[label].size() < 2) untested.push_back(dataset.label_names[label]);
  if (!untested.empty())
    plan.notes.push_back(
        fmt::format("never tested, because only one recording has the label: {}", fmt::join(untested, ", ")));
  return plan;
}

int default_speaker_folds(int n_groups) {
  if (n_groups <= 6) return n_groups;
  return n_groups < 23 ? 5 : 6;
}

SplitPlan speaker_folds(const Dataset& dataset, int n_folds, std::int64_t random_state) {
  const std::string& noun = dataset.group_noun;
  const auto n_groups = static_cast<int>(dataset.group_names.size());
  if (n_groups == 0) return impossible(fmt::format("the data names no {}s", noun));
  if (n_groups == 1)
    return impossible(fmt::format("all clips are of one {}, '{}'", noun, dataset.group_names.front()));
  if (n_folds == 0) n_folds = default_speaker_folds(n_groups);
  if (n_folds < 2 || n_folds > n_groups)
    fail_usage("n_folds {}: must be from 2 to the number of {}s, {}", n_folds, noun, n_groups);
  const auto lone_labels = labels_of_one_group(dataset);
  if (static_cast<int>(lone_labels.size()) == dataset.n_classes())
    return impossible(
        fmt::format("each label has clips of one {} alone, so no other can be tested on it", noun));

  PhiloxSequence random(static_cast<std::uint64_t>(random_state), RandomStream::split, first_speaker_stream);
  const auto folds = deal_groups(dataset, n_folds, random);
  SplitPlan plan;
  Index n_leaks = 0;
  for (std::size_t fold = 0; fold < folds.size(); ++fold) {
    Split split;
    split.name = fold_name(dataset, folds[fold], fold, folds.size());
    for (const int row : all_rows(dataset)) {
      const int group = dataset.groups[static_cast<std::size_t>(row)];
      if (group < 0)
        split.left_out.push_back(row);
      else
        (std::ranges::binary_search(folds[fold], group) ? split.test : split.train).push_back(row);
    }
    n_leaks += leave_out_tested_audio(dataset, split);
    if (split.train.empty())
      return impossible(fmt::format("no other recordings than those of {} are left to train on", split.name));
    plan.splits.push_back(std::move(split));
  }
  note_leaks(plan, n_leaks);
  if (const auto n_unknown = std::ranges::count(dataset.groups, -1); n_unknown > 0)
    plan.notes.push_back(fmt::format("left out, because their speaker is not known: {} of {} clips",
                                     n_unknown, dataset.n_rows()));
  if (!lone_labels.empty())
    plan.notes.push_back(
        fmt::format("recorded by one speaker alone, so never right here: {}", fmt::join(lone_labels, ", ")));
  return plan;
}

SplitPlan stratified_k_fold(const Dataset& dataset, int n_folds, std::int64_t random_state, bool shuffled) {
  if (n_folds < 2) fail_usage("n_folds {}: must be at least 2", n_folds);
  const auto n_recordings = static_cast<int>(dataset.audio_hash.size());
  if (n_folds > n_recordings)
    return impossible(fmt::format("{} folds of {} different recordings", n_folds, n_recordings));

  // scikit-learn deals recordings sorted by label, the label that appears first before the others, out like
  // cards, so that folds differ by one, and by one of each label. Of a label, that says how many a fold has;
  // the first ones of the shuffled recordings go into the first fold, and so on.
  auto by_label = recordings_by_label(dataset, all_rows(dataset));
  std::ranges::sort(by_label, {}, [](const auto& recordings) {
    return recordings.empty() ? std::numeric_limits<int>::max() : recordings.front().front();
  });
  PhiloxSequence random(static_cast<std::uint64_t>(random_state), RandomStream::split, first_k_fold_stream);
  std::vector<int> fold_of_row(static_cast<std::size_t>(dataset.n_rows()));
  int dealt = 0;
  for (auto& recordings : by_label) {
    if (shuffled) shuffle(recordings, random);
    std::vector<int> folds;
    for (std::size_t i = 0; i < recordings.size(); ++i) folds.push_back(dealt++ % n_folds);
    std::ranges::sort(folds);
    for (std::size_t i = 0; i < recordings.size(); ++i)
      for (const int row : recordings[i]) fold_of_row[static_cast<std::size_t>(row)] = folds[i];
  }
  SplitPlan plan;
  for (int fold = 0; fold < n_folds; ++fold) {
    Split split;
    split.name = fmt::format("fold {}", fold + 1);
    for (const int row : all_rows(dataset))
      (fold_of_row[static_cast<std::size_t>(row)] == fold ? split.test : split.train).push_back(row);
    plan.splits.push_back(std::move(split));
  }
  return plan;
}

SplitPlan given_split(const Dataset& dataset) {
  Split split;
  split.name = "given";
  for (const int row : all_rows(dataset)) {
    const std::string& side = dataset.clips[static_cast<std::size_t>(row)].split;
    (side == "train" ? split.train : side == "test" ? split.test : split.left_out).push_back(row);
  }
  if (split.train.empty() && split.test.empty()) return impossible("the manifest gives no split");
  if (split.test.empty()) return impossible("the manifest's split has no test clips");
  const auto n_undecided = split.left_out.size();
  SplitPlan plan;
  note_leaks(plan, leave_out_tested_audio(dataset, split));
  if (split.train.empty())
    return impossible("the manifest's split has no training clips that are not tested");
  if (n_undecided > 0)
    plan.notes.push_back(
        fmt::format("left out, because their split is neither train nor test: {} of {} clips", n_undecided,
                    dataset.n_rows()));
  plan.splits.push_back(std::move(split));
  return plan;
}

Split hold_out(const Dataset& dataset, std::span<const int> rows, double test_fraction,
               std::int64_t random_state) {
  Split split = stratified_split(
      dataset, rows, test_fraction,
      PhiloxSequence(static_cast<std::uint64_t>(random_state), RandomStream::validation_split));
  split.name = "held out";
  return split;
}

}  // namespace melgrad
