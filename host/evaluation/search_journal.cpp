#include <algorithm>

#include "host/core/error.hpp"
#include "host/core/parse_json.hpp"
#include "host/evaluation/search.hpp"

namespace melgrad {

SearchJournal::SearchJournal(const std::filesystem::path& file, const Json& key, const Json& names,
                             bool restart)
    : journal_(file) {
  const Json header = {{"search", key}, {"files", names}};
  if (restart || !journal_.header()) {
    journal_.start(header.dump());
    return;
  }
  const Json found = [&] {
    try {
      return parse_json(*journal_.header());
    } catch (const Error&) {
      return Json();
    }
  }();
  if (!found.is_object() || !found.contains("search") || !found.contains("files"))
    fail("{}: not the journal of a sweep", file.string());
  if (found["search"] != key) {
    std::string differences;
    for (const auto& [part, value] : key.items())
      if (const Json other = found["search"].value(part, Json()); other != value)
        differences += fmt::format("\n  {}: {} there, {} now", part, other.dump(), value.dump());
    fail_usage(
        "{} holds another sweep, of {}; this one is of {}. --restart forgets it, -o takes another file{}",
        file.string(), found["files"].dump(), names.dump(), differences);
  }
  with_context(file.string(), [&] {
    for (const std::string& record : journal_.records()) read(record);
  });
}

void SearchJournal::read(const std::string& record) {
  try {
    const Json json = parse_json(record);
    finished_[json.at("fit").get<std::size_t>()] = from_json_fields<FitScore>(json.at("score"));
  } catch (const Json::exception&) {
    fail("'{}' is not a fit", record.substr(0, 80));
  } catch (const UsageError& error) {  // the file's fault and not the command line's
    fail("{}", error.what());
  }
}

void SearchJournal::keep(std::span<const ScoredTask> fits) {
  std::vector<std::string> records;
  for (const ScoredTask& each : fits)
    records.push_back(Json{{"fit", each.task}, {"score", to_json_fields(each.score)}}.dump());
  journal_.append(records);
  for (const ScoredTask& each : fits) finished_[each.task] = each.score;
}

Json shard_key(Json key, const SearchPlan& plan, Shard shard) {
  key["shard"] = {{"index", shard.index}, {"count", shard.count}, {"n_fits", plan.n_search_fits()}};
  return key;
}

namespace {

// A journal's first line as it was parsed: {"search": key, "files": names}.
Json header_of(const Journal& journal) {
  const Json header = journal.header() ? Json::parse(*journal.header(), nullptr, false) : Json();
  if (!header.is_object() || !header.contains("search") || !header.contains("files"))
    fail("{}: not the journal of a sweep", journal.file().string());
  return header;
}

// Fits by number, which `shard` has to have done all.
std::map<std::size_t, std::string> finished_fits(const Journal& journal, Shard shard, Index n_fits) {
  std::map<std::size_t, std::string> fits;
  for (const std::string& record : journal.records()) {
    const Json json = Json::parse(record, nullptr, false);
    if (json.is_object() && json.contains("fit")) fits[json["fit"].get<std::size_t>()] = record;
  }
  const Index n_expected = shard.n_taken(n_fits);
  const auto n_found = std::ranges::count_if(
      fits, [&](const auto& fit) { return shard.takes(static_cast<Index>(fit.first)); });
  if (n_found != n_expected)
    fail("{}: {} of its {} fits are finished; run the same command again", journal.file().string(), n_found,
         n_expected);
  return fits;
}

}  // namespace

std::size_t merge_search_journals(std::span<const std::filesystem::path> shards,
                                  const std::filesystem::path& journal) {
  Json whole;
  std::map<std::size_t, std::string> fits;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const Journal read(shards[i]);
    Json header = header_of(read);
    const Json part = header["search"].value("shard", Json::object());
    const Shard shard{static_cast<int>(i), static_cast<int>(shards.size())};
    if (part.value("index", -1) != shard.index || part.value("count", -1) != shard.count)
      fail("{}: is not the journal of shard {}/{}", shards[i].string(), shard.index, shard.count);
    header["search"].erase("shard");
    if (i == 0) whole = header;
    if (header["search"] != whole["search"])
      fail("{} and {} are shards of different sweeps, of {} and of {}", shards[0].string(),
           shards[i].string(), whole["files"].dump(), header["files"].dump());
    fits.merge(finished_fits(read, shard, part.value("n_fits", Index{0})));
  }
  // Takes up what the file holds of this sweep; another one is refused.
  const SearchJournal earlier(journal, whole["search"], whole["files"], false);
  std::vector<std::string> records;
  for (const auto& [number, record] : fits)
    if (!earlier.finished().contains(number)) records.push_back(record);
  Journal(journal).append(records);
  return earlier.finished().size() + records.size();
}

}  // namespace melgrad
