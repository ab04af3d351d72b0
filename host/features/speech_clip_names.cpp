#include "host/features/speech_clip_names.hpp"

#include <fmt/format.h>

#include <initializer_list>
#include <string_view>

namespace melgrad {
namespace {

using Names = std::vector<std::string>;

void append(Names& names, std::initializer_list<const char*> more) {
  names.insert(names.end(), more.begin(), more.end());
}

// prefix_first ... prefix_last_suffix
void append_numbers(Names& names, std::string_view prefix, int first, int last,
                    std::string_view suffix = "") {
  for (int i = first; i <= last; ++i) names.push_back(fmt::format("{}_{}{}", prefix, i, suffix));
}

void append_summary(Names& names, std::string_view track) {
  for (const char* statistic : {"mean", "std", "p10", "median", "p90"})
    names.push_back(fmt::format("{}_{}", track, statistic));
}

constexpr std::initializer_list<const char*> modulation_bands{"0.3hz", "1.5hz", "3hz", "5hz",
                                                              "8hz",   "12hz",  "20hz"};

Names pitch_names() {
  Names names{"median", "mean", "p5", "p10", "p90", "p95", "weighted_mean", "loud_half_mean"};
  append(names, {"relative_p5", "relative_p10", "relative_p25", "relative_p75", "relative_p90",
                 "relative_p95", "std", "absolute_deviation", "skew", "kurtosis", "range_p10_p90"});
  append(names, {"step_mean", "step_abs_mean", "step_std", "step_p5", "step_p95"});
  append(names, {"run_slope_mean", "run_slope_abs_mean", "run_slope_std", "last_run_slope", "first_run_slope",
                 "rising_runs", "run_range_mean", "run_range_max", "run_range_std", "run_bend_mean",
                 "last_run_bend"});
  append(names, {"weighted_mean_less_median", "begin_less_median", "end_less_median", "peak_position",
                 "valley_position", "db_correlation", "slope"});
  append_numbers(names, "dct", 1, 11);
  for (const char* band : modulation_bands) names.push_back(fmt::format("modulation_{}", band));
  return names;
}

Names loudness_names() {
  Names names{"log_mean", "log_max", "variation", "p10",       "p20",       "p50",
              "p80",      "p90",     "p98",       "rise_mean", "fall_mean", "change_std"};
  append(names, {"peaks_per_s", "peaks", "peak_gap_mean_s", "peak_gap_std_s", "peak_mean", "peak_std",
                 "peak_position"});
  append(names,
         {"db_p10", "db_p25", "db_p50", "db_p75", "db_p90", "db_mean", "db_std", "db_slope_p5",
          "db_slope_p25", "db_slope_p75", "db_slope_p95", "db_slope_std", "voiced_db_std", "voiced_db_mean"});
  append_numbers(names, "db_dct", 1, 13);
  append(names, {"voiced_share", "runs_per_s", "run_mean_s", "run_std_s", "run_longest_s", "pause_mean_s",
                 "pause_longest_s", "pause_std_s", "runs", "duration_s", "before_voice_s", "after_voice_s",
                 "share_under_minus_30db", "share_over_minus_10db", "share_over_minus_20db", "log_n_frames"});
  return names;
}

Names voice_names() {
  Names names;
  for (const char* measure :
       {"harmonics_to_noise", "cepstral_peak", "h1_h2", "h1_a1", "h1_a2", "h1_a3", "h2_h4", "alpha_ratio",
        "hammarberg_index", "high_ratio", "slope_50_500hz", "slope_500_1500hz", "slope_1500_5000hz"})
    append_summary(names, measure);
  for (const char* measure : {"jitter", "shimmer", "pitch_bend", "db_bend"})
    for (const char* statistic : {"median", "p75"}) names.push_back(fmt::format("{}_{}", measure, statistic));
  append(names, {"log_jitter", "log_shimmer", "log_pitch_bend"});
  return names;
}

Names formant_names() {
  const Names tracks{"f1", "f2", "f3", "bandwidth1", "bandwidth2", "bandwidth3"};
  Names names;
  for (const std::string& track : tracks) append_summary(names, fmt::format("log_{}", track));
  for (const std::string& track : tracks) names.push_back(fmt::format("log_{}_weighted_mean", track));
  append(names, {"log_f2_f1_median", "log_f3_f2_median"});
  return names;
}

Names voiced_mfcc_names() {
  Names names;
  append_numbers(names, "voiced", 0, 19, "_mean");
  append_numbers(names, "voiced", 0, 19, "_std");
  append_numbers(names, "unvoiced", 0, 19, "_mean");
  append_numbers(names, "loud", 0, 19, "_mean");
  append_numbers(names, "all", 0, 12, "_p10");
  append_numbers(names, "all", 0, 12, "_p90");
  for (int band = 0; band < 64; band += 2) names.push_back(fmt::format("voiced_mel_{}_db", band));
  return names;
}

Names thirds_names() {
  Names names;
  for (const char* statistic : {"mean", "std"})
    for (int third = 1; third <= 3; ++third)
      append_numbers(names, fmt::format("{}_mfcc", third), 0, 12, fmt::format("_{}", statistic));
  return names;
}

Names eighths_names() {
  Names names;
  for (const char* track : {"pitch", "db", "voiced_share", "alpha_ratio", "harmonics_to_noise", "pitch_std"})
    append_numbers(names, track, 1, 8);
  return names;
}

Names modulation_names() {
  Names names;
  for (const char* band : modulation_bands) {
    append_numbers(names, "mel", 0, 7, fmt::format("_{}", band));
    names.push_back(fmt::format("db_{}", band));
  }
  return names;
}

Names correlation_names() {
  Names names;
  for (int row = 0; row < 14; ++row) append_numbers(names, std::to_string(row), row + 1, 13);
  return names;
}

}  // namespace

std::vector<std::string> clip_value_names(SpeechGroup group) {
  switch (group) {
    case SpeechGroup::pitch:
      return pitch_names();
    case SpeechGroup::loudness:
      return loudness_names();
    case SpeechGroup::voice:
      return voice_names();
    case SpeechGroup::formants:
      return formant_names();
    case SpeechGroup::voiced_mfcc:
      return voiced_mfcc_names();
    case SpeechGroup::thirds:
      return thirds_names();
    case SpeechGroup::eighths:
      return eighths_names();
    case SpeechGroup::modulation:
      return modulation_names();
    case SpeechGroup::mfcc_correlation:
      return correlation_names();
    default:
      return {};
  }
}

}  // namespace melgrad
