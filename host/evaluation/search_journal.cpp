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
  const Json found = with_context(file.string(), [&] { return parse_json(*journal_.header()); });
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

}  // namespace melgrad
