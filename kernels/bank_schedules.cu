#include "kernels/bank_schedules.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>

namespace melgrad::MELGRAD_KERNELS {
namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

int size_of(const auto& values) {
  return static_cast<int>(values.size());
}

// Of floats.
int bytes_of(int place) {
  return place * static_cast<int>(sizeof(float));
}

// Hands items of the given costs to warps, the dearest first, each to the warp with the least so far. Returns
// the items in the order of warps, and first[w] of each warp.
std::vector<int> share_among_warps(const std::vector<int>& costs, int (&first)[n_warps + 1]) {
  std::vector<int> order(costs.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return costs[at(a)] > costs[at(b)]; });
  std::array<std::vector<int>, n_warps> shares;
  std::array<int, n_warps> loads{};
  for (const int item : order) {
    const auto warp = std::min_element(loads.begin(), loads.end()) - loads.begin();
    shares[at(warp)].push_back(item);
    loads[at(warp)] += costs[at(item)];
  }
  std::vector<int> shared;
  for (Index warp = 0; warp < n_warps; ++warp) {
    first[warp] = size_of(shared);
    shared.insert(shared.end(), shares[at(warp)].begin(), shares[at(warp)].end());
  }
  first[n_warps] = size_of(shared);
  return shared;
}

struct Interval {
  int place;  // in the slice
  int begin, end;
  int width() const { return end - begin; }
};

// The steps of a group of intervals, one for each lane: in every step, bins that differ modulo the number of
// lanes, as far as an interval can wait for it.
std::vector<MelStep> group_steps(const MelBank& bank, const std::vector<Interval>& lanes, int n_lanes) {
  const int n_steps = lanes.front().width();
  std::vector<std::vector<int>> left(at(n_lanes));
  for (int j = 0; j < size_of(lanes); ++j)
    for (int bin = lanes[at(j)].begin; bin < lanes[at(j)].end; ++bin) left[at(j)].push_back(bin);
  std::vector<MelStep> steps(at(n_steps * n_lanes));
  for (int s = 0; s < n_steps; ++s) {
    std::vector<int> order(at(n_lanes));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int a, int b) { return left[at(a)].size() > left[at(b)].size(); });
    std::vector<bool> is_taken(at(n_lanes));
    std::vector<int> idle;
    for (const int j : order) {
      auto& bins = left[at(j)];
      auto chosen =
          std::find_if(bins.begin(), bins.end(), [&](int bin) { return !is_taken[at(bin % n_lanes)]; });
      if (chosen == bins.end() && size_of(bins) == n_steps - s) chosen = bins.begin();
      if (chosen == bins.end()) {
        idle.push_back(j);
        continue;
      }
      is_taken[at(*chosen % n_lanes)] = true;
      steps[at(s * n_lanes + j)] = {bank.rising[at(*chosen)], bank.falling[at(*chosen)], bytes_of(*chosen),
                                    0};
      bins.erase(chosen);
    }
    for (const int j : idle) {  // any bin will do, its slopes are 0
      const auto free = std::find(is_taken.begin(), is_taken.end(), false) - is_taken.begin();
      const int bin = free < n_lanes ? static_cast<int>(free) : 0;
      if (free < n_lanes) is_taken[at(free)] = true;
      steps[at(s * n_lanes + j)] = {0, 0, bytes_of(bin), 0};
    }
  }
  return steps;
}

// Groups of intervals of like widths, the widest first; of equal widths, such that begin differently modulo
// n_lanes.
std::vector<std::vector<Interval>> group_intervals(std::vector<Interval> intervals, int n_lanes) {
  std::stable_sort(intervals.begin(), intervals.end(),
                   [](const Interval& a, const Interval& b) { return a.width() > b.width(); });
  std::vector<std::vector<Interval>> groups;
  while (!intervals.empty()) {
    std::vector<Interval> group;
    std::vector<bool> is_taken(at(n_lanes));
    while (size_of(group) < n_lanes && !intervals.empty()) {
      const int width = intervals.front().width();
      auto chosen = std::find_if(intervals.begin(), intervals.end(), [&](const Interval& each) {
        return each.width() < width || !is_taken[at(each.begin % n_lanes)];
      });
      if (chosen == intervals.end() || chosen->width() < width) chosen = intervals.begin();
      is_taken[at(chosen->begin % n_lanes)] = true;
      group.push_back(*chosen);
      intervals.erase(chosen);
    }
    groups.push_back(std::move(group));
  }
  return groups;
}

// The first of the chroma_band chroma that hold all weights of a bin but negligible ones, or -1.
int class_of(const Matrix<float>& bank, Index bin) {
  const int n_chroma = static_cast<int>(bank.rows);
  if (n_chroma < chroma_band) return -1;
  int best = -1;
  float best_dropped = 0, largest = 0;
  for (int first = 0; first < n_chroma; ++first) {
    largest = std::max(largest, bank(first, bin));
    float dropped = 0;
    for (int c = chroma_band; c < n_chroma; ++c)
      dropped = std::max(dropped, bank((first + c) % n_chroma, bin));
    if (best < 0 || dropped < best_dropped) {
      best = first;
      best_dropped = dropped;
    }
  }
  return best_dropped <= 7e-6f * largest ? best : -1;
}

// Bins of one class: bins[j] those of lane j.
struct ClassPart {
  int first_chroma = 0;
  std::vector<std::vector<int>> bins;
  int n_steps() const {
    std::size_t most = 0;
    for (const auto& lane : bins) most = std::max(most, lane.size());
    return static_cast<int>(most);
  }
};

// Every class cut into parts of about as many steps, so that warps can share them evenly.
std::vector<ClassPart> class_parts(const std::vector<std::vector<int>>& bins_of_class, int n_lanes,
                                   int most_parts) {
  std::vector<ClassPart> whole;
  int n_steps = 0;
  for (int c = 0; c < size_of(bins_of_class); ++c) {
    if (bins_of_class[at(c)].empty()) continue;
    ClassPart part{c, std::vector<std::vector<int>>(at(n_lanes))};
    for (const int bin : bins_of_class[at(c)]) part.bins[at(bin % n_lanes)].push_back(bin);
    n_steps += part.n_steps();
    whole.push_back(std::move(part));
  }
  if (size_of(whole) > most_parts || whole.empty()) return {};
  // A warp's share of steps: parts cost some hundred instructions each, so larger classes alone are cut.
  const int aim = std::max(4, (n_steps + n_warps - 1) / n_warps);
  const int per_class = most_parts / size_of(whole);
  std::vector<ClassPart> parts;
  for (const ClassPart& each : whole) {
    const int n = std::clamp((each.n_steps() + aim / 2) / aim, 1, per_class);
    for (int i = 0; i < n; ++i) {
      ClassPart part{each.first_chroma, std::vector<std::vector<int>>(at(n_lanes))};
      for (int j = 0; j < n_lanes; ++j) {
        const std::vector<int>& bins = each.bins[at(j)];
        part.bins[at(j)].assign(bins.begin() + size_of(bins) * i / n,
                                bins.begin() + size_of(bins) * (i + 1) / n);
      }
      parts.push_back(std::move(part));
    }
  }
  return parts;
}

}  // namespace

void MelSchedule::add(const MelBank& bank, const MelSlice& like, StageShape shape) {
  const int most_bands = mel_slice_bands(shape.frames), n_lanes = shape.lanes_per_frame;
  for (int first = 0; first < bank.n_mels; first += most_bands) {
    MelSlice slice = like;
    slice.first_band = first;
    slice.n_bands = std::min(most_bands, bank.n_mels - first);
    slice.norm = size_of(norms);
    slice.db += first;
    slice.db_slice += first / most_bands;
    if (slice.statistics >= 0) slice.statistics += first;
    slice.track += first;
    norms.insert(norms.end(), bank.norm.begin() + first, bank.norm.begin() + first + slice.n_bands);

    std::vector<Interval> intervals;
    for (int i = 0; i <= slice.n_bands; ++i)
      intervals.push_back({i, bank.interval_begin[at(first + i)], bank.interval_begin[at(first + i + 1)]});
    const auto grouped = group_intervals(std::move(intervals), n_lanes);
    std::vector<int> costs;  // in instructions: of a step, and of a group
    for (const auto& group : grouped) costs.push_back(5 * group.front().width() + 14);
    const std::vector<int> order = share_among_warps(costs, slice.first_group);
    for (int& group : slice.first_group) group += size_of(groups);
    for (const int g : order) {
      const std::vector<Interval>& lanes = grouped[at(g)];
      MelGroup group{size_of(steps) / n_lanes, lanes.front().width(), {}};
      for (int j = 0; j < n_lanes; ++j) group.interval[j] = j < size_of(lanes) ? lanes[at(j)].place : -1;
      groups.push_back(group);
      const std::vector<MelStep> more = group_steps(bank, lanes, n_lanes);
      steps.insert(steps.end(), more.begin(), more.end());
    }
    slices.push_back(slice);
  }
}

void ChromaSchedule::add(const Matrix<float>& bank, StageShape shape) {
  const int n_chroma = static_cast<int>(bank.rows), n_bins = static_cast<int>(bank.cols);
  const int n_lanes = shape.lanes_per_frame;
  std::vector<int> classes(at(n_bins));
  ChromaBank each{};
  for (int bin = 0; bin < n_bins; ++bin) {
    classes[at(bin)] = class_of(bank, bin);
    if (classes[at(bin)] < 0) each.n_wide = bin + 1;
  }
  std::vector<std::vector<int>> bins_of_class(at(n_chroma));
  for (int bin = each.n_wide; bin < n_bins; ++bin) bins_of_class[at(classes[at(bin)])].push_back(bin);
  const int most_parts = (scratch_words(shape.frames) / shape.frames - n_chroma - 1) / chroma_band;
  const std::vector<ClassPart> parts = class_parts(bins_of_class, n_lanes, most_parts);
  if (parts.empty()) each.n_wide = n_bins;  // sums of so many classes have no room in the scratch

  each.wide = size_of(wide);
  for (int c = 0; c < n_chroma; ++c)
    for (int bin = 0; bin < each.n_wide; ++bin) wide.push_back(bank(c, bin));

  std::vector<int> costs;
  for (const ClassPart& part : parts) costs.push_back(9 * part.n_steps() + 30);
  const std::vector<int> order = share_among_warps(costs, each.first_task);
  each.tasks = size_of(tasks);
  each.n_tasks = size_of(parts);
  std::vector<std::vector<int>> sums_of(at(n_chroma));
  for (int t = 0; t < each.n_tasks; ++t) {
    const ClassPart& part = parts[at(order[at(t)])];
    const int n_steps = part.n_steps();
    tasks.push_back({size_of(steps) / n_lanes, n_steps});
    for (int s = 0; s < n_steps; ++s)
      for (int j = 0; j < n_lanes; ++j) {
        const std::vector<int>& bins = part.bins[at(j)];
        float4 weights = make_float4(0, 0, 0, 0);
        ChromaStep step{0, bytes_of(j)};
        if (s < size_of(bins)) {
          const auto weight = [&](int n) { return bank((part.first_chroma + n) % n_chroma, bins[at(s)]); };
          weights = make_float4(weight(0), weight(1), weight(2), weight(3));
          step = {weight(4), bytes_of(bins[at(s)])};
        }
        step_weights.push_back(weights);
        steps.push_back(step);
      }
    for (int n = 0; n < chroma_band; ++n)
      sums_of[at((part.first_chroma + n) % n_chroma)].push_back(
          bytes_of((t * chroma_band + n) * shape.frames));
  }
  each.entry_begin = size_of(entry_begin);
  each.entries = size_of(entries);
  entry_begin.push_back(0);
  for (const std::vector<int>& sums : sums_of) {
    entries.insert(entries.end(), sums.begin(), sums.end());
    entry_begin.push_back(size_of(entries) - each.entries);
  }
  banks.push_back(each);
}

}  // namespace melgrad::MELGRAD_KERNELS
