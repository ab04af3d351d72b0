#include <algorithm>

#include "host/bench/throughput.hpp"

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

}  // namespace

Json to_json(const BenchReport& report) {
  Json rows = Json::array();
  for (const BenchRow& row : report.rows) {
    Json json = {{"work", row.work}, {"who", row.who}};
    if (!row.missing.empty()) {
      json["missing"] = row.missing;
    } else {
      json.update({{"unit", row.unit}, {"n_units", row.n_units}, {"cpu_seconds", to_json(row.cpu_seconds)}});
      if (row.wall_seconds.median > 0) json["wall_seconds"] = to_json(row.wall_seconds);
      if (row.ratio > 0) json["cpu_time_ratio"] = row.ratio;
      if (!row.note.empty()) json["note"] = row.note;
    }
    rows.push_back(json);
  }
  return {{"description", report.description}, {"rows", rows}};
}

std::string bench_text(const BenchReport& report) {
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
    const double spread = (row.cpu_seconds.maximum - row.cpu_seconds.minimum) / row.cpu_seconds.median;
    text += fmt::format("{:>11} of CPU a {:<5} +-{:>3.0f} %",
                        duration_text(row.cpu_seconds.median / row.n_units), row.unit, 50 * spread);
    if (row.ratio > 0) text += fmt::format("  {:>6.1f} times melgrad's", row.ratio);
    if (!row.note.empty()) text += "  " + row.note;
    text += '\n';
  }
  return text;
}

}  // namespace melgrad
