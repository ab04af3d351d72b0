#include "host/report/search_report.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "host/cache/hdf5.hpp"

namespace melgrad {
namespace {

Json number(const std::optional<double>& value) {
  return value ? Json(*value) : Json();
}

// "mean_test_accuracy", "std_test_accuracy" and "rank_test_accuracy", as cv_results_ has them.
void add_summary(Json& json, const std::string& name, const ScoreSummary& summary) {
  json["mean_" + name] = number(summary.mean);
  json["std_" + name] = number(summary.std);
  if (summary.rank > 0) json["rank_" + name] = summary.rank;
}

template <class Member>
Json list_of(const std::vector<FitScore>& fits, Member member) {
  Json list = Json::array();
  for (const FitScore& fit : fits) {
    using Value = std::remove_cvref_t<decltype(fit.*member)>;
    if constexpr (std::is_same_v<Value, std::optional<double>>)
      list.push_back(number(fit.*member));
    else if constexpr (std::is_enum_v<Value>)
      list.push_back(to_name(fit.*member));
    else
      list.push_back(fit.*member);
  }
  return list;
}

double mean_of(const std::vector<FitScore>& fits, double FitScore::*member) {
  double sum = 0;
  for (const FitScore& fit : fits) sum += fit.*member;
  return fits.empty() ? 0 : sum / static_cast<double>(fits.size());
}

double std_of(const std::vector<FitScore>& fits, double FitScore::*member) {
  const double mean = mean_of(fits, member);
  double sum = 0;
  for (const FitScore& fit : fits) sum += (fit.*member - mean) * (fit.*member - mean);
  return fits.empty() ? 0 : std::sqrt(sum / static_cast<double>(fits.size()));
}

Json to_json(const std::vector<Split>& splits) {
  Json json = Json::array();
  for (const Split& split : splits)
    json.push_back({{"name", split.name},
                    {"n_train", split.train.size()},
                    {"n_test", split.test.size()},
                    {"n_left_out", split.left_out.size()}});
  return json;
}

Json candidate_json(const SearchResult& result, std::size_t index) {
  const CandidateResult& candidate = result.candidates[index];
  Json json = {{"candidate", index},
               {"parameters", result.plan.candidates[index].parameters},
               {"same_as", candidate.same_as == index ? Json() : Json(candidate.same_as)}};
  add_summary(json, "test_accuracy", candidate.accuracy);
  add_summary(json, "test_balanced_accuracy", candidate.balanced_accuracy);
  json["mean_fit_seconds"] = mean_of(candidate.fits, &FitScore::fit_seconds);
  json["std_fit_seconds"] = std_of(candidate.fits, &FitScore::fit_seconds);
  json["mean_fit_cpu_seconds"] = mean_of(candidate.fits, &FitScore::fit_cpu_seconds);
  json["mean_score_seconds"] = mean_of(candidate.fits, &FitScore::score_seconds);
  json["std_score_seconds"] = std_of(candidate.fits, &FitScore::score_seconds);
  json["test_accuracy"] = list_of(candidate.fits, &FitScore::test_accuracy);
  json["test_balanced_accuracy"] = list_of(candidate.fits, &FitScore::test_balanced_accuracy);
  if (result.plan.options.return_train_score) {
    add_summary(json, "train_accuracy", candidate.train_accuracy);
    add_summary(json, "train_balanced_accuracy", candidate.train_balanced_accuracy);
    json["train_accuracy"] = list_of(candidate.fits, &FitScore::train_accuracy);
    json["train_balanced_accuracy"] = list_of(candidate.fits, &FitScore::train_balanced_accuracy);
  }
  json["n_iter"] = list_of(candidate.fits, &FitScore::n_iter);
  json["stop_reason"] = list_of(candidate.fits, &FitScore::stop_reason);
  json["loss"] = list_of(candidate.fits, &FitScore::loss);
  return json;
}

Json nested_json(const SearchResult& result) {
  if (result.outer.empty()) return nullptr;
  Json json;
  add_summary(json, "test_accuracy", result.nested_accuracy);
  add_summary(json, "test_balanced_accuracy", result.nested_balanced_accuracy);
  json["folds"] = to_json(result.plan.outer);
  for (std::size_t fold = 0; fold < result.outer.size(); ++fold) {
    const OuterFoldResult& outer = result.outer[fold];
    json["folds"][fold].update(Json{
        {"best", {{"candidate", outer.best}, {"parameters", result.plan.candidates[outer.best].parameters}}},
        {"inner_score", number(outer.best_score)},
        {"test_accuracy", list_of(outer.fits, &FitScore::test_accuracy)},
        {"test_balanced_accuracy", list_of(outer.fits, &FitScore::test_balanced_accuracy)},
        {"n_iter", list_of(outer.fits, &FitScore::n_iter)}});
  }
  return json;
}

// One column of the table of candidates, or of fits.
class Column {
 public:
  void add(const std::optional<double>& value) {
    values_.push_back(value.value_or(std::numeric_limits<double>::quiet_NaN()));
  }
  const std::vector<double>& values() const { return values_; }

 private:
  std::vector<double> values_;
};

void write_candidates(const SearchResult& result, hdf5::Writer& writer) {
  std::vector<std::string> parameters, specs;
  std::vector<std::uint64_t> same_as;
  for (std::size_t i = 0; i < result.candidates.size(); ++i) {
    parameters.push_back(result.plan.candidates[i].parameters.dump());
    specs.push_back(to_json_fields(result.plan.candidates[i].spec).dump());
    same_as.push_back(result.candidates[i].same_as);
  }
  writer.strings("candidates/parameters", parameters);
  writer.strings("candidates/mlp_spec", specs);
  writer.numbers("candidates/same_as", same_as);
  const auto write = [&](const std::string& name, ScoreSummary CandidateResult::*member) {
    Column mean, std;
    std::vector<std::uint64_t> rank;
    for (const CandidateResult& each : result.candidates) {
      mean.add((each.*member).mean);
      std.add((each.*member).std);
      rank.push_back(static_cast<std::uint64_t>((each.*member).rank));
    }
    writer.numbers("candidates/mean_" + name, mean.values());
    writer.numbers("candidates/std_" + name, std.values());
    writer.numbers("candidates/rank_" + name, rank);
  };
  write("test_accuracy", &CandidateResult::accuracy);
  write("test_balanced_accuracy", &CandidateResult::balanced_accuracy);
  if (!result.plan.options.return_train_score) return;
  write("train_accuracy", &CandidateResult::train_accuracy);
  write("train_balanced_accuracy", &CandidateResult::train_balanced_accuracy);
}

// A row for each fit on the folds of the whole data set: of a candidate that is the same model as another,
// none.
void write_fits(const SearchResult& result, hdf5::Writer& writer) {
  std::vector<std::uint64_t> candidate, fold, seed, n_iter;
  Column loss, test_accuracy, test_balanced_accuracy, train_accuracy, train_balanced_accuracy, seconds,
      cpu_seconds;
  const auto n_seeds = static_cast<std::size_t>(result.plan.options.seeds);
  for (std::size_t i = 0; i < result.candidates.size(); ++i) {
    if (result.candidates[i].same_as != i) continue;
    for (std::size_t fit = 0; fit < result.candidates[i].fits.size(); ++fit) {
      const FitScore& score = result.candidates[i].fits[fit];
      candidate.push_back(i);
      fold.push_back(fit / n_seeds);
      seed.push_back(fit % n_seeds);
      n_iter.push_back(static_cast<std::uint64_t>(score.n_iter));
      loss.add(score.loss);
      test_accuracy.add(score.test_accuracy);
      test_balanced_accuracy.add(score.test_balanced_accuracy);
      train_accuracy.add(score.train_accuracy);
      train_balanced_accuracy.add(score.train_balanced_accuracy);
      seconds.add(score.fit_seconds);
      cpu_seconds.add(score.fit_cpu_seconds);
    }
  }
  writer.numbers("fits/candidate", candidate);
  writer.numbers("fits/fold", fold);
  writer.numbers("fits/seed", seed);
  writer.numbers("fits/n_iter", n_iter);
  writer.numbers("fits/loss", loss.values());
  writer.numbers("fits/test_accuracy", test_accuracy.values());
  writer.numbers("fits/test_balanced_accuracy", test_balanced_accuracy.values());
  if (result.plan.options.return_train_score) {
    writer.numbers("fits/train_accuracy", train_accuracy.values());
    writer.numbers("fits/train_balanced_accuracy", train_balanced_accuracy.values());
  }
  writer.numbers("fits/fit_seconds", seconds.values());
  writer.numbers("fits/fit_cpu_seconds", cpu_seconds.values());
}

}  // namespace

Json to_json(const SearchResult& result) {
  const SearchPlan& plan = result.plan;
  Json best = candidate_json(result, result.best);
  best["mlp"] = to_json_fields(plan.candidates[result.best].spec);
  Json candidates = Json::array();
  for (std::size_t i = 0; i < result.candidates.size(); ++i) candidates.push_back(candidate_json(result, i));
  return {{"options", to_json_fields(plan.options)},
          {"n_candidates", plan.candidates.size()},
          {"n_trained", plan.n_trained()},
          {"n_fits", plan.n_fits()},
          {"fit_seconds", result.fit_seconds},
          {"fit_cpu_seconds", result.fit_cpu_seconds},
          {"notes", plan.notes},
          {"folds", to_json(plan.folds)},
          {"best", std::move(best)},
          {"nested", nested_json(result)},
          {"candidates", std::move(candidates)}};
}

std::vector<std::byte> search_hdf5(const SearchResult& result, const Json& json) {
  hdf5::Writer writer;
  writer.attribute("format", "melgrad search");
  writer.attribute("format_version", std::int64_t{2});
  Json rest = json;
  rest.erase("candidates");
  writer.strings("search", std::vector{rest.dump()});
  std::vector<std::string> folds;
  for (const Split& fold : result.plan.folds) folds.push_back(fold.name);
  writer.strings("folds", folds);
  write_candidates(result, writer);
  write_fits(result, writer);
  return writer.finish();
}

}  // namespace melgrad
