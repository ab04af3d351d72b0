#include "host/features/speech_groups.hpp"

#include <cstddef>
#include <initializer_list>
#include <string_view>

#include "host/features/speech_clip_names.hpp"

namespace melgrad {
namespace {

using Names = std::vector<std::string>;
using Words = std::initializer_list<const char*>;

// Of each track its mean, then of each its standard deviation.
Names with_statistics(std::string_view group, const Names& tracks) {
  Names names;
  for (const char* statistic : {"mean", "std"})
    for (const std::string& track : tracks) names.push_back(fmt::format("{}_{}_{}", group, track, statistic));
  return names;
}

Names numbers(int n) {
  Names names;
  for (int i = 0; i < n; ++i) names.push_back(std::to_string(i));
  return names;
}

Names with_prefix(std::string_view group, Words values) {
  Names names;
  for (const char* value : values) names.push_back(fmt::format("{}_{}", group, value));
  return names;
}

// By the lowest frequency of each band.
constexpr Words contrast_tracks{"0hz", "200hz", "400hz", "800hz", "1600hz", "3200hz"};

constexpr Words shape_tracks{"centroid",   "bandwidth",  "rolloff_25",  "rolloff_50",
                             "rolloff_85", "rolloff_95", "flatness",    "zero_crossing_rate",
                             "rms_db",     "flux",       "alpha_ratio", "hammarberg_index",
                             "slope"};

// f0 in octaves: log2 of Hz.
constexpr Words prosody_values{"f0_mean",
                               "f0_std",
                               "f0_p2",
                               "f0_p10",
                               "f0_p25",
                               "f0_median",
                               "f0_p75",
                               "f0_p90",
                               "f0_p98",
                               "f0_range_p2_p98",
                               "f0_range_p10_p90",
                               "f0_slope",
                               "f0_step_mean",
                               "f0_step_std",
                               "f0_step_abs_mean",
                               "f0_step_p5",
                               "f0_step_p25",
                               "f0_step_p75",
                               "f0_step_p95",
                               "periodicity_voiced_mean",
                               "periodicity_voiced_std",
                               "periodicity_mean",
                               "voiced_share",
                               "voiced_runs_per_s",
                               "voiced_run_mean_s",
                               "voiced_run_std_s",
                               "voiced_run_longest_s",
                               "f0_quarter_1",
                               "f0_quarter_2",
                               "f0_quarter_3",
                               "f0_quarter_4",
                               "voiced_db_mean",
                               "voiced_db_std",
                               "voiced_db_max",
                               "f0_db_correlation",
                               "share_over_minus_10db",
                               "share_over_minus_20db",
                               "share_over_minus_30db",
                               "db_fifth_1",
                               "db_fifth_2",
                               "db_fifth_3",
                               "db_fifth_4",
                               "db_fifth_5",
                               "db_autocorrelation_50ms",
                               "db_autocorrelation_100ms",
                               "db_autocorrelation_150ms",
                               "db_autocorrelation_200ms",
                               "db_autocorrelation_300ms",
                               "db_autocorrelation_400ms",
                               "duration_s",
                               "recording_s",
                               "silence_before_s",
                               "silence_after_s",
                               "f0_mean_less_first",
                               "f0_last_less_mean",
                               "f0_peak_position",
                               "db_peak_position"};

}  // namespace

std::vector<SpeechGroup> all_speech_groups() {
  std::vector<SpeechGroup> groups;
  for (std::size_t i = 0; i < enum_names<SpeechGroup>.size(); ++i)
    groups.push_back(static_cast<SpeechGroup>(i));
  return groups;
}

std::vector<std::string> value_names(SpeechGroup group) {
  const std::string_view name = to_name(group);
  switch (group) {
    case SpeechGroup::mfcc:
    case SpeechGroup::mfcc_delta:
    case SpeechGroup::mfcc_delta2:
      return with_statistics(name, numbers(40));
    case SpeechGroup::log_mel:
      return with_statistics(name, numbers(64));
    case SpeechGroup::contrast:
      return with_statistics(name, {contrast_tracks.begin(), contrast_tracks.end()});
    case SpeechGroup::shape:
    case SpeechGroup::shape_delta:
      return with_statistics(name, {shape_tracks.begin(), shape_tracks.end()});
    case SpeechGroup::prosody:
      return with_prefix(name, prosody_values);
    default: {
      Names names;
      for (const std::string& value : clip_value_names(group))
        names.push_back(fmt::format("{}_{}", name, value));
      return names;
    }
  }
}

}  // namespace melgrad
