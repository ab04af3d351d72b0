// melgrad extract DATA -o features.h5

#include <fmt/format.h>

#include <memory>

#include "host/cache/shards.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/inputs.hpp"
#include "host/cli/shard_option.hpp"
#include "host/report/results.hpp"
#include "host/report/terminal.hpp"

namespace melgrad {
namespace {

struct ExtractOptions {
  DataOptions data;
  FeatureOptions features;
  std::string output;
  bool augment = false;
  double commit_interval_s = 1;
  ShardOption shard;
};

// The file that the features are in now.
std::string written_file(const ExtractOptions& options, Shard shard) {
  return shard.is_whole() ? options.output : shard_file(options.output, shard, "h5").string();
}

int extract(const ExtractOptions& options, const CommonOptions& common, Console& console) {
  const FeatureSpec spec = options.features.read();
  const Shard shard = options.shard.read(console);
  if (options.augment && !shard.is_whole()) fail_usage("--augment: altered copies are not made in shards");
  const Manifest manifest = load_recordings(options.data.data, options.data.pattern, console);
  const MadeEngine made = options.shard.make_engine(common, shard, console);
  note_division(spec, *made.engine, console);
  const ExtractionOptions how{.n_threads = common.n_threads, .commit_interval_s = options.commit_interval_s};
  console.heed_interrupts();
  const Extraction extraction =
      shard.is_whole() ? extract_features(manifest, spec, *made.engine, options.output, how, console)
                       : extract_shard(manifest, shard, spec, *made.engine, options.output, how, console);
  const std::string file = written_file(options, shard);
  const ExtractionReport& report = extraction.report;
  const std::vector<Refusal>& refused = report.refused;
  log_refused(refused, console);
  if (options.augment)
    extract_copies(manifest, spec, *made.engine, options.output, common.n_threads, console);

  if (console.json()) {
    console.json_result(Json{{"file", file},
                             {"shard", to_json(shard)},
                             {"device", made.engine->name()},
                             {"computed_by", division_of(spec, made.engine->name())},
                             {"n_clips", report.n_clips},
                             {"n_cached", report.n_cached},
                             {"n_refused", refused.size()},
                             {"refused", to_json(refused)},
                             {"audio_seconds", report.audio_seconds},
                             {"seconds", report.seconds},
                             {"cpu_seconds", report.cpu_seconds},
                             {"feature_spec", to_json(spec)}});
  } else {
    const FeatureSummary summary = summarise(spec, report);
    std::string text = fmt::format("{}: {} features ({}) of {} clips", file, summary.n_features, spec.name,
                                   report.n_clips - report.n_refused);
    if (report.n_cached > 0) text += fmt::format(", {} of them from the cache", report.n_cached);
    text += fmt::format("\n{} of audio in {}", time_text(report.audio_seconds), time_text(report.seconds));
    if (summary.clips_per_second > 0)
      text += fmt::format(": {:.0f} clips/s, {:.0f} times real time", summary.clips_per_second,
                          summary.real_time_factor);
    console.result(text + "\n" + refusals_text(refused, console.style()));
  }
  if (!shard.is_whole()) {
    console.note(fmt::format("`melgrad merge {}` brings the {} shards together once all have ended",
                             options.output, shard.count));
    // mpirun ends all processes when one ends with anything but 0; merge tells of what was refused.
    return exit_done;
  }
  return refused.empty() ? exit_done : exit_refused;
}

}  // namespace

Command make_extract_command(CLI::App& program, CommonOptions& common) {
  CLI::App& app = add_command(
      program, "extract", "features of recordings, into a cache",
      "  melgrad extract recordings/ -o features.h5\n"
      "  melgrad extract digits/ --pattern '{label}_{group}_{index}' -o features.h5\n"
      "  melgrad extract recordings/ --sample-rate 16000 --mfcc-n-mfcc 20 -o other.h5\n"
      "\nA cache that exists is brought up to date: recordings that it holds, by the hash of their audio, "
      "are\n"
      "taken from it wherever they lie now. A cache of other features is refused, never replaced.\n"
      "The features are librosa's of the notebook unless --features says otherwise; those of `melgrad run` "
      "are --features speech.");
  auto options = std::make_shared<ExtractOptions>();
  options->data.add(app, "folder of recordings, or CSV file");
  app.add_option("-o,--output", options->output, "the cache")->type_name("FEATURES.h5")->required();
  app.add_flag("--augment", options->augment,
               "altered copies, too, each into a cache beside it: FEATURES.speed-0.9.h5 ...");
  app.add_option("--commit-interval", options->commit_interval_s,
                 "seconds after which finished features survive a crash")
      ->type_name("S")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  options->shard.add(app);
  options->features.add(app);
  add_common_options(app, common);
  return {&app, [options, &common](Console& console) { return extract(*options, common, console); }};
}

}  // namespace melgrad
