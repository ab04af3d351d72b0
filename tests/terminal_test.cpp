#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "example_results.hpp"
#include "host/report/findings.hpp"
#include "host/report/terminal.hpp"
#include "host/report/text.hpp"

using namespace melgrad;

namespace {

constexpr TextStyle plain{.width = 100, .colour = false, .unicode = true};
constexpr TextStyle ascii{.width = 100, .colour = false, .unicode = false};
constexpr TextStyle coloured{.width = 100, .colour = true, .unicode = true};

std::string without_escapes(const std::string& text) {
  std::string plain_text;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.compare(i, 2, "\x1b[") == 0)
      i = text.find('m', i);
    else
      plain_text += text[i];
  }
  return plain_text;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::vector<std::string> numbered(const std::string& pattern, int n) {
  std::vector<std::string> labels;
  for (int i = 0; i < n; ++i) labels.push_back(fmt::format(fmt::runtime(pattern), i));
  return labels;
}

std::vector<std::vector<std::string>> label_sets() {
  return {emotions(),
          {"no", "yes"},
          numbered("digit {}", 20),
          numbered("{:02}", 60),
          numbered("a label of forty columns, or so, number {:02}", 20),
          numbered("a label of forty columns, or so, number {:02}", 60),
          {"colère", "étonnement", "うれしい", "悲しい", "ευτυχία", "злость"},
          {"\x1b[2Jclears", "bell\a", "new\nline", "right\u202eleft"}};
}

ProtocolResult two_labels(Index a_a, Index a_b, Index b_a, Index b_b, Protocol protocol = Protocol::random) {
  ProtocolResult result;
  result.protocol = protocol;
  result.labels = {"alpha", "beta"};
  result.splits.resize(1);
  const auto add = [&](Index n, int truth, int predicted) {
    for (Index i = 0; i < n; ++i) result.predictions.push_back({"x.wav", truth, predicted, 0.9, 0.9, 0});
  };
  add(a_a, 0, 0);
  add(a_b, 0, 1);
  add(b_a, 1, 0);
  add(b_b, 1, 1);
  pool_predictions(result);
  return result;
}

Results results_of(std::vector<ProtocolResult> models) {
  Results results;
  results.dataset.labels = models.front().labels;
  results.models = std::move(models);
  return results;
}

std::string all_findings(const Results& results) {
  std::string text;
  for (const Finding& each : findings(results)) text += each.text + '\n';
  return text;
}

}  // namespace

TEST_SUITE("terminal") {
  TEST_CASE("no line is wider than the terminal, whatever the labels") {
    for (const auto& labels : label_sets()) {
      const Results results = example_results(labels);
      for (const int width : {60, 80, 100, 120, 200}) {
        for (const bool colour : {false, true}) {
          for (const bool unicode : {false, true}) {
            const TextStyle style{width, colour, unicode};
            for (const std::string& line : lines_of(without_escapes(results_text(results, style)))) {
              CAPTURE(line);
              CHECK(display_width(line) <= width);
            }
          }
        }
      }
    }
  }

  TEST_CASE("what a label or a path holds cannot steer the terminal") {
    Results results = example_results(label_sets().back());
    results.dataset.name = "\x1b[31mred";
    results.dataset.refused = {{"a\x1b[2J.wav", "b\r"}};
    results.models[0].notes = {"\x1b]0;title\a"};
    for (const TextStyle& style : {plain, ascii})
      for (const char c : results_text(results, style))
        CHECK((c == '\n' || static_cast<unsigned char>(c) >= 0x20));
    CHECK(printable("a\x7f\u0085\u202e\tb") == "a????b");
    CHECK(printable("colère \xff") == "colère \xff");  // not UTF-8: as it is
  }

  TEST_CASE("without colour there are no escapes, and without Unicode nothing but ASCII") {
    for (const TextStyle& style : {plain, ascii})
      CHECK_FALSE(contains(results_text(example_results(emotions()), style), "\x1b"));
    for (const char c : results_text(example_results(emotions()), ascii))
      CHECK(static_cast<unsigned char>(c) < 0x80);
    CHECK(contains(results_text(example_results(emotions()), coloured), "\x1b["));
  }

  TEST_CASE("every colour is switched off on its own line") {
    for (const std::string& line : lines_of(results_text(example_results(emotions()), coloured))) {
      const auto last = line.rfind("\x1b[");
      if (last != std::string::npos) CHECK(line.substr(last).starts_with("\x1b[0m"));
    }
  }

  TEST_CASE("display widths are those of a terminal") {
    CHECK(display_width("abc") == 3);
    CHECK(display_width("colère") == 6);
    CHECK(display_width("cole\u0300re") == 6);  // a combining accent
    CHECK(display_width("悲しい") == 6);
    CHECK(display_width("😀") == 2);
    CHECK(display_width("\xff\xc3") == 2);  // not UTF-8
    CHECK(display_width("") == 0);
  }

  TEST_CASE("text is cut at its width, with an ellipsis") {
    CHECK(shortened("surprised", 9, plain) == "surprised");
    CHECK(shortened("surprised", 8, plain) == "surpris…");
    CHECK(shortened("surprised", 8, ascii) == "surpris~");
    CHECK(shortened("悲しい", 4, plain) == "悲…");  // a wide character does not fit by half
    CHECK(shortened("x", 0, plain).empty());
    CHECK(left_aligned("悲し", 6, plain) == "悲し  ");
    CHECK(right_aligned("é", 3, plain) == "  é");
    CHECK(cut("cole\u0300re", 4) == "cole\u0300");
  }

  TEST_CASE("names that are cut stay different") {
    const std::vector<std::string> ends = {"a long name, first", "a long name, other", "short"};
    CHECK(distinct_names(ends, 10, plain) == std::vector<std::string>{"a lo…first", "a lo…other", "short"});
    const std::vector<std::string> middles = {"begins 1 and ends", "begins 2 and ends"};
    CHECK(distinct_names(middles, 8, plain) == std::vector<std::string>{"1 begin…", "2 begin…"});
    CHECK(distinct_names({"alpha", "beta"}, 4, plain) == std::vector<std::string>{"alp…", "beta"});
  }

  TEST_CASE("words are wrapped, and percentages stay whole") {
    const TextStyle narrow{.width = 20, .colour = false, .unicode = true};
    CHECK(wrapped("one two three four five", "  - ", narrow) == "  - one two three\n    four five\n");
    CHECK(wrapped("it is right 12 % of", "", narrow) == "it is right 12 % of\n");
    CHECK(wrapped("it is right for 12 %", "", {.width = 18, .colour = false, .unicode = true}) ==
          "it is right for\n12 %\n");
    CHECK(wrapped("unbreakableunbreakable", "", narrow) == "unbreakableunbreakable\n");
    CHECK(wrapped("", "  - ", narrow) == "  - \n");
  }

  TEST_CASE("bars are as long as their share") {
    CHECK(bar(0.5, 4, plain) == "██");
    CHECK(bar(0.53125, 4, plain) == "██▏");
    CHECK(bar(1, 4, plain) == "████");
    CHECK(bar(0, 4, plain).empty());
    CHECK(bar(7, 4, plain) == "████");
    CHECK(bar(NAN, 4, plain).empty());
    CHECK(bar(0.5, 4, ascii) == "##");
  }

  TEST_CASE("a sparkline has the shape of its values") {
    CHECK(sparkline(std::vector<double>{0, 1, 2, 7}, 10, plain) == "▁▂▃█");
    CHECK(sparkline(std::vector<double>{1, 1, 3, 3}, 2, plain) == "▁█");
    CHECK(sparkline(std::vector<double>{5, 5}, 2, plain) == "▁▁");
    CHECK(sparkline(std::vector<double>{}, 5, plain).empty());
    CHECK(sparkline(std::vector<double>{0, 7}, 2, ascii) == "_#");
  }

  TEST_CASE("times and counts read well") {
    CHECK(time_text(0.0042) == "4 ms");
    CHECK(time_text(0.0996) == "0.1 s");
    CHECK(time_text(9.96) == "10 s");
    CHECK(time_text(59.6) == "1 min 00 s");
    CHECK(time_text(4440) == "1 h 14 min");
    CHECK(counted(1, "clip") == "1 clip");
    CHECK(counted(0, "clip") == "0 clips");
  }

  TEST_CASE("the data set shows its labels, their counts and what was refused") {
    Results results = example_results({"no", "yes"}, false);
    CHECK(dataset_text(results.dataset, {.width = 60, .colour = false, .unicode = false}) ==
          "\nData  recordings\n"
          "  240 clips - 2 labels - 20 speakers - 1 h 14 min of audio -\n"
          "  1 duplicate - 2 refused\n"
          "\n"
          "  no      80 ####################\n"
          "  yes    160 ########################################\n"
          "\n"
          "  refused  broken/a.wav: the file is empty\n"
          "           broken/b.wav: not a sound file\n");
  }

  TEST_CASE("the features tell which groups which engine computed, where it is more than one") {
    Results results = example_results(emotions());
    results.features.division = {{"cpu", {"mfcc"}}};
    CHECK(!contains(features_text(results, plain), "by cpu"));
    results.features.division = {{"cpu", {"pitch", "voice"}}, {"cuda:0", {"mfcc"}}};
    CHECK(contains(features_text(results, plain), "; pitch, voice by cpu; mfcc by cuda:0"));
  }

  TEST_CASE("many refusals are counted, not listed") {
    const std::string text = refusals_text(std::vector<Refusal>(40, {"a.wav", "empty"}), plain);
    CHECK(lines_of(text).size() == 13);
    CHECK(contains(text, "and 28 more"));
  }

  TEST_CASE("confusion matrices show percentages of the rows, beside one another") {
    const Results results = results_of({two_labels(3, 1, 0, 10), two_labels(1, 1, 2, 0, Protocol::speaker)});
    CHECK(confusion_text(results, plain) ==
          "\nConfusions  row: the truth; column: the prediction; % of the row\n"
          "        unheard clips      unheard speakers\n"
          "        alph beta          alph beta\n"
          "  alpha  [75]  25           [50]  50\n"
          "  beta     · [100]           100  [·]\n");
  }

  TEST_CASE("a label that was not tested says so in the matrix") {
    CHECK(contains(confusion_text(results_of({two_labels(3, 1, 0, 0)}), plain), "  beta  not tested\n"));
  }

  TEST_CASE("matrices move below one another, shrink, and give way to pairs as they grow") {
    const auto n_lines_with = [](const std::string& text, const std::string& part) {
      int n = 0;
      for (const std::string& line : lines_of(text)) n += contains(line, part);
      return n;
    };
    const Results eight = example_results(emotions());
    CHECK(n_lines_with(confusion_text(eight, {.width = 100, .colour = false, .unicode = true}), "angry") ==
          1);
    CHECK(n_lines_with(confusion_text(eight, {.width = 60, .colour = false, .unicode = true}), "angry") == 3);
    const Results sixty = example_results(numbered("{:02}", 60), false);
    const std::string shades = confusion_text(sixty, {.width = 80, .colour = false, .unicode = false});
    CHECK(n_lines_with(shades, "#") > 0);
    const std::string pairs = confusion_text(sixty, {.width = 60, .colour = false, .unicode = false});
    CHECK(n_lines_with(pairs, "->") == 24);
    CHECK(n_lines_with(pairs, " %") >= 24);
  }

  TEST_CASE("columns whose labels begin alike are numbered, as their rows are") {
    const std::string text = confusion_text(example_results({"voice_anna", "voice_bert"}, false), plain);
    CHECK(contains(text, "   1 voice_anna"));
    CHECK(contains(text, "   2 voice_bert"));
  }

  TEST_CASE("the table shows both protocols and the gap, and notes what was left out") {
    const std::string text =
        protocols_text(example_results(emotions()), {.width = 120, .colour = false, .unicode = true});
    CHECK(contains(text, "unheard clips  unheard speakers      gap    own recordings\n"));
    CHECK(contains(text, "own recordings: no recordings of: calm"));
    Results results = example_results(emotions(), false);
    results.models[1] = {};
    results.models[1].protocol = Protocol::speaker;
    results.models[1].why_not = "the data names no speakers";
    const std::string without = results_text(results, plain);
    CHECK(contains(without, "No result for unheard speakers: the data names no speakers."));
    CHECK_FALSE(contains(without, "unheard clips  unheard speakers"));
    CHECK(contains(without,
                   "How it fares on unheard speakers cannot be told, because the data names no speakers."));
  }

  TEST_CASE("folds share the clips, and random splits say how many each of them takes") {
    Results results = example_results(emotions(), false);
    const TextStyle style{.width = 120, .colour = false, .unicode = true};
    CHECK(contains(protocols_text(results, style), "5 × 240   1200 in 5 folds"));
    ProtocolResult& random = results.models[0];
    const std::vector<Prediction> more(5, random.predictions.back());  // 1205 clips of 5 splits
    random.predictions.insert(random.predictions.end(), more.begin(), more.end());
    pool_predictions(random);
    CHECK(contains(protocols_text(results, style), "5 × 240 to 245   1200 in 5 folds"));
  }

  TEST_CASE("groups that are no speakers are called what they are") {
    Results results = example_results(emotions());
    results.dataset.group_noun = "prompt";
    const std::string text = results_text(results, plain);
    CHECK(contains(text, "20 prompts"));
    CHECK(contains(text, "unheard prompts"));
    CHECK_FALSE(contains(text, "speaker"));
  }

  TEST_CASE("results of no protocol are still text") {
    Results results;
    results.dataset.name = "nothing";
    CHECK(contains(results_text(results, plain), "nothing"));
    CHECK(findings(results).empty());
  }

  TEST_CASE("Wilson's interval is the one of scipy") {
    // scipy.stats.binomtest(30, 60).proportion_ci(0.95, "wilson"), and of 0 of 10.
    CHECK(wilson_interval(30, 60).low == doctest::Approx(0.3773502).epsilon(1e-6));
    CHECK(wilson_interval(30, 60).high == doctest::Approx(0.6226498).epsilon(1e-6));
    CHECK(wilson_interval(0, 10).low == 0);
    CHECK(wilson_interval(0, 10).high == doctest::Approx(0.2775328).epsilon(1e-6));
    CHECK(wilson_interval(0, 0).high == 1);
  }

  TEST_CASE("the most frequent confusions come first, and single clips do not count") {
    const auto pairs = top_confusions(two_labels(3, 1, 4, 4), 5);
    REQUIRE(pairs.size() == 1);
    CHECK(pairs[0].truth == 1);
    CHECK(pairs[0].predicted == 0);
    CHECK(pairs[0].share == 0.5);
  }

  TEST_CASE("findings follow the numbers") {
    const Results flattered =
        results_of({two_labels(90, 10, 10, 90), two_labels(60, 40, 40, 60, Protocol::speaker)});
    CHECK(contains(all_findings(flattered),
                   "On unheard speakers, the model is right for 60.0 % of the clips. Always "
                   "naming the most frequent label would be right for 50.0 %."));
    CHECK(contains(all_findings(flattered), "flatters by 30.0 points"));
    CHECK_FALSE(contains(all_findings(flattered), "not clearly better"));
    CHECK(contains(all_findings(flattered),
                   "Most often mistaken: alpha for beta (40 %), beta for alpha (40 %)."));

    const Results even =
        results_of({two_labels(90, 10, 10, 90), two_labels(90, 10, 10, 90, Protocol::speaker)});
    CHECK(contains(all_findings(even), "makes no clear difference: +0.0 points"));

    const Results guessing = results_of({two_labels(90, 0, 10, 0)});
    CHECK(contains(all_findings(guessing),
                   "would be right for 90.0 %. The model is not clearly better than that."));
  }

  TEST_CASE("what is said of own recordings depends on how sure it is") {
    const ProtocolResult speaker = two_labels(80, 20, 20, 80, Protocol::speaker);
    const auto own = [&](Index right, Index wrong) {
      return all_findings(results_of({speaker, two_labels(right, wrong, 0, 0, Protocol::own)}));
    };
    CHECK(contains(own(8, 2), "agrees with the number for unheard speakers. More recordings"));
    CHECK(contains(own(30, 70), "Of your own 100 recordings, 30.0 % are recognised"));
    CHECK(contains(own(30, 70), "That is less than on unheard speakers"));
    CHECK(contains(own(990, 10), "That is more than on unheard speakers"));
    CHECK_FALSE(contains(own(990, 10), "More recordings"));
  }

  TEST_CASE("models that were still improving are mentioned") {
    Results results = example_results(emotions());
    CHECK_FALSE(contains(all_findings(results), "--max-iter"));
    results.models[0].splits[1].training.stop_reason = StopReason::max_iter;
    results.models[0].splits[1].training.n_iter = 200;
    CHECK(
        contains(all_findings(results), "1 of 10 models were still improving when they reached 200 epochs"));
    results.models[0].splits[1].parameters = {{"learning_rate", "one_cycle"}};
    CHECK_FALSE(contains(all_findings(results), "--max-iter"));
  }

  TEST_CASE("the style follows the environment") {
    std::FILE* file = std::tmpfile();
    for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) unsetenv(name);
    CHECK_FALSE(text_style(file).unicode);
    setenv("LANG", "de_DE.UTF-8", 1);
    CHECK(text_style(file).unicode);
    setenv("LC_ALL", "C", 1);
    CHECK_FALSE(text_style(file).unicode);
    unsetenv("LC_ALL");
    CHECK_FALSE(text_style(file).colour);  // not a terminal
    CHECK(text_style(file).width == 100);
    std::fclose(file);
  }
}
