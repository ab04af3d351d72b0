#include <algorithm>

#include "host/bench/peers.hpp"
#include "host/bench/throughput.hpp"
#include "host/core/parallel.hpp"

namespace melgrad {
namespace {

Json to_json(const MedianRange& range) {
  return {{"median", range.median}, {"minimum", range.minimum}, {"maximum", range.maximum}};
}

// Seconds in the unit that a person would choose.
std::string duration_text(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.1f} us", seconds * 1e6);
  if (seconds < 1) return fmt::format("{:.3f} ms", seconds * 1e3);
  return fmt::format("{:.2f} s", seconds);
}

// Of one thread the time of its CPU, which others on the machine do not disturb; else the clock's.
double seconds_of(const BenchRow& row) {
  return row.n_threads == 1 || row.wall_seconds.median == 0 ? row.cpu_seconds.median
                                                            : row.wall_seconds.median;
}

// Half the range over the median.
double spread_of(const BenchRow& row) {
  const MedianRange& range = row.cpu_seconds;
  return range.median > 0 ? 0.5 * (range.maximum - range.minimum) / range.median : 0;
}

const MachinePeaks* peaks_of(const BenchRow& row, const std::vector<MachinePeaks>& peaks) {
  const auto found = std::ranges::find(peaks, row.n_threads, &MachinePeaks::n_threads);
  return found == peaks.end() ? nullptr : &*found;
}

// What a row reaches in a second; shares are 0 where there is no peak to compare with.
struct Rates {
  double units = 0, audio_seconds = 0, samples = 0, bytes = 0, flops = 0;
  double share_of_copy = 0, share_of_flops = 0;
};
Rates rates_of(const BenchRow& row, const std::vector<MachinePeaks>& peaks) {
  const double seconds = seconds_of(row);
  Rates rates{.units = row.n_units / seconds,
              .audio_seconds = row.audio_seconds / seconds,
              .samples = row.n_samples / seconds,
              .bytes = row.bytes / seconds,
              .flops = row.flops / seconds};
  if (const MachinePeaks* peak = peaks_of(row, peaks)) {
    rates.share_of_copy = rates.bytes / peak->copy_bytes_per_second;
    rates.share_of_flops =
        rates.flops / (row.flops_are_ffts ? peak->fft_flops_per_second : peak->fma_flops_per_second);
  }
  return rates;
}

Json to_json(const BenchRow& row, const std::vector<MachinePeaks>& peaks) {
  Json json = {{"work", row.work}, {"who", row.who}};
  if (!row.missing.empty()) {
    json["missing"] = row.missing;
    return json;
  }
  json.update({{"unit", row.unit},
               {"n_units", row.n_units},
               {"n_threads", row.n_threads},
               {"cpu_seconds", to_json(row.cpu_seconds)},
               {"cpu_spread", spread_of(row)}});
  if (row.wall_seconds.median > 0) json["wall_seconds"] = to_json(row.wall_seconds);
  if (row.ratio.value > 0) {
    json["cpu_time_ratio"] = row.ratio.value;
    json["cpu_time_ratio_range"] = {row.ratio.minimum, row.ratio.maximum};
  }
  if (!row.note.empty()) json["note"] = row.note;
  const Rates rates = rates_of(row, peaks);
  Json per_second = {{"units", rates.units}};
  if (row.audio_seconds > 0) per_second["audio_seconds"] = rates.audio_seconds;
  if (row.n_samples > 0) per_second["samples"] = rates.samples;
  if (row.bytes > 0) per_second["bytes"] = rates.bytes;
  if (row.flops > 0) per_second["flops"] = rates.flops;
  json["per_second"] = std::move(per_second);
  if (rates.share_of_copy > 0) json["share_of_copy_peak"] = rates.share_of_copy;
  if (rates.share_of_flops > 0)
    json[row.flops_are_ffts ? "share_of_fft_peak" : "share_of_fma_peak"] = rates.share_of_flops;
  return json;
}

// "2270 clips/s, 8400 times real time, 1.2 GB/s (12 % of a copy), 35 GFLOP/s (40 % of FFTs)"
std::string rates_text(const BenchRow& row, const std::vector<MachinePeaks>& peaks) {
  const Rates rates = rates_of(row, peaks);
  std::string text = fmt::format("{:.{}f} {}s/s", rates.units, rates.units < 10 ? 2 : 0, row.unit);
  if (row.audio_seconds > 0) text += fmt::format(", {:.0f} times real time", rates.audio_seconds);
  if (row.n_samples > 0) text += fmt::format(", {:.0f} M samples/s", rates.samples / 1e6);
  if (row.bytes > 0) text += fmt::format(", {:.2f} GB/s", rates.bytes / 1e9);
  if (rates.share_of_copy > 0) text += fmt::format(" ({:.0f} % of a copy)", 100 * rates.share_of_copy);
  if (row.flops > 0) text += fmt::format(", {:.1f} GFLOP/s", rates.flops / 1e9);
  if (rates.share_of_flops > 0)
    text += fmt::format(" ({:.0f} % of {})", 100 * rates.share_of_flops,
                        row.flops_are_ffts ? "FFTs alone" : "multiply-adds");
  return text;
}

// Bars for a report: what each does of one work in a second.
Json figures_of(const BenchReport& report, const std::vector<MachinePeaks>& peaks) {
  Json figures = Json::array();
  for (const BenchRow& row : report.rows) {
    if (!row.missing.empty()) continue;
    if (figures.empty() || figures.back()["title"] != row.work)
      figures.push_back({{"title", row.work}, {"unit", row.unit + "s/s"}, {"bars", Json::array()}});
    figures.back()["bars"].push_back({{"who", row.who}, {"value", rates_of(row, peaks).units}});
  }
  return figures;
}

}  // namespace

BenchRow BenchRow::of_peer(const PeerComparison& comparison, double n_peer_units, const std::string& name,
                           const std::string& checked) const {
  BenchRow row = *this;
  const double part = n_peer_units / n_units;
  for (double* amount : {&row.n_units, &row.audio_seconds, &row.n_samples, &row.bytes, &row.flops})
    *amount *= part;
  row.who = fmt::format("{} {}", name, comparison.version);
  row.missing = comparison.missing;
  row.cpu_seconds = comparison.peer_seconds;
  row.wall_seconds = {};
  row.note.clear();
  if (!row.missing.empty()) return row;
  row.ratio = comparison.ratio;
  row.note = fmt::format("beside it melgrad's {}; {}",
                         duration_text(comparison.our_seconds.median / n_peer_units), checked);
  return row;
}

Json to_json(const BenchReport& report, const std::vector<MachinePeaks>& peaks) {
  Json rows = Json::array();
  for (const BenchRow& row : report.rows) rows.push_back(to_json(row, peaks));
  return {{"description", report.description}, {"rows", rows}, {"figures", figures_of(report, peaks)}};
}

std::string bench_text(const BenchReport& report, const std::vector<MachinePeaks>& peaks) {
  std::string text = report.description + "\n";
  std::string work;
  std::size_t width = 0;
  for (const BenchRow& row : report.rows) width = std::max(width, row.who.size());
  for (const BenchRow& row : report.rows) {
    if (row.work != work) text += fmt::format("\n{}\n", work = row.work);
    text += fmt::format("  {:<{}}  ", row.who, width);
    if (!row.missing.empty()) {
      text += fmt::format("not measured: {}\n", row.missing);
      continue;
    }
    text += fmt::format("{:>11} of CPU per {:<5} +-{:>3.0f} %",
                        duration_text(row.cpu_seconds.median / row.n_units), row.unit, 100 * spread_of(row));
    if (row.ratio.value > 0)
      text += fmt::format("  {:>6.1f} times melgrad's ({:.1f} to {:.1f})", row.ratio.value, row.ratio.minimum,
                          row.ratio.maximum);
    text += fmt::format("  {}", rates_text(row, peaks));
    if (!row.note.empty()) text += "; " + row.note;
    text += '\n';
  }
  return text;
}

std::string peaks_text(const std::vector<MachinePeaks>& peaks) {
  std::string text = "this machine's peaks, measured now\n";
  for (const MachinePeaks& each : peaks)
    text += fmt::format(
        "  {:>3} thread{}  a copy {:.1f} GB/s, multiply-adds {:.0f} GFLOP/s, FFTs {:.0f} GFLOP/s\n",
        each.n_threads, each.n_threads == 1 ? " " : "s", each.copy_bytes_per_second / 1e9,
        each.fma_flops_per_second / 1e9, each.fft_flops_per_second / 1e9);
  return text;
}

Json measure_throughput(const Manifest& manifest, std::span<const std::string> parts,
                        const BenchOptions& options, Progress& progress,
                        const std::function<void(const std::string&)>& told) {
  struct Part {
    std::string_view name;
    const char* key;
    BenchReport (*measure)(const Manifest&, const BenchOptions&, Progress&);
  };
  constexpr Part known[] = {{"features", "features", bench_features},
                            {"training", "training", bench_training},
                            {"search", "search", bench_search},
                            {"end-to-end", "end_to_end", bench_end_to_end},
                            {"grid", "grid", bench_grid}};
  std::vector<MachinePeaks> peaks = {measure_peaks(1)};
  if (const int n_threads = resolve_threads(options.n_threads); n_threads > 1)
    peaks.push_back(measure_peaks(n_threads));
  told(peaks_text(peaks));
  Json json = {{"peaks", Json::array()}};
  for (const MachinePeaks& each : peaks) json["peaks"].push_back(to_json(each));
  for (const std::string& name : parts) {
    const auto part = std::ranges::find(known, name, &Part::name);
    if (part == std::end(known)) fail("a bench has no part '{}'", name);
    progress.stop_if_asked();
    BenchReport report;
    try {
      report = part->measure(manifest, options, progress);
    } catch (const Error&) {
      progress.stop_if_asked();  // a peer of the same terminal got the signal, too
      throw;
    }
    json[part->key] = to_json(report, peaks);
    told(bench_text(report, peaks));
  }
  return json;
}

}  // namespace melgrad
