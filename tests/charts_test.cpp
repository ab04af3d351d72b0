#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "host/report/axes.hpp"
#include "host/report/html_text.hpp"
#include "host/report/rendering.hpp"
#include "host/report/typesetting.hpp"

using namespace melgrad;

namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

void check_values(const std::vector<double>& found, const std::vector<double>& expected) {
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i)
    CHECK(found[i] == doctest::Approx(expected[i]).epsilon(1e-12));
}

// One of each kind of shape.
Drawing example_drawing() {
  Drawing drawing{100, 60};
  drawing.add(
      Rectangle{{10, 10, 20, 15}, palette::blue, {palette::black, 1}, "truth <a> & \"b\"", "m/random/0/1"});
  drawing.add(Path{{{0, 50}, {40, 20}, {60, 50}}, {palette::vermillion, 1}, palette::sky});
  drawing.line({0, 55}, {100, 55}, palette::rule, 0.5, {2, 1});
  for (const Marker marker : {Marker::disc, Marker::ring, Marker::diamond, Marker::square})
    drawing.add(Mark{{70, 10 + 10 * static_cast<double>(marker)}, 3, palette::green, marker});
  drawing.text("caf\u00e9 <1>", {50, 30}, {7, true}, palette::black, Anchor::middle);
  drawing.add(Text{"upwards", {95, 50}, {6}, palette::dim, Anchor::start, true});
  return drawing;
}

}  // namespace

TEST_SUITE("charts") {
  TEST_CASE("ticks are round, inside their range and no more than wanted") {
    check_values(ticks(0, 1, 6), {0, 0.2, 0.4, 0.6, 0.8, 1});
    check_values(ticks(0.13, 0.87, 5), {0.2, 0.4, 0.6, 0.8});
    check_values(ticks(1, 60, 4), {20, 40, 60});
    check_values(ticks(-0.3, 0.3, 7), {-0.3, -0.2, -0.1, 0, 0.1, 0.2, 0.3});
    check_values(ticks(5, 5, 4), {5});
    for (const double high : {1e-7, 0.3, 1.0, 37.0, 1e9})
      for (int most = 2; most < 12; ++most) {
        const auto found = ticks(0, high, most);
        CHECK(found.size() <= static_cast<std::size_t>(most));
        CHECK(found.size() >= 2);
        CHECK(found.back() <= high * (1 + 1e-9));
      }
  }

  TEST_CASE("logarithmic ticks are powers of ten, or 1, 2 and 5 times those") {
    check_values(log_ticks(0.5, 2000), {1, 10, 100, 1000});
    check_values(log_ticks(0.15, 0.9), {0.2, 0.5});
    check_values(log_ticks(1e-6, 1e6, 4), {1e-6, 1e-2, 1e2, 1e6});
    check_values(log_ticks(0.001, 10), {0.001, 0.01, 0.1, 1, 10});
  }

  TEST_CASE("scales map their ends, and the middle of a logarithmic one is the geometric mean") {
    const Scale linear{10, 20, 100, 50};
    CHECK(linear.at(10) == 100);
    CHECK(linear.at(20) == 50);
    CHECK(linear.at(15) == 75);
    const Scale logarithmic{1, 10'000, 0, 80, true};
    CHECK(logarithmic.at(100) == doctest::Approx(40));
  }

  TEST_CASE("durations are written in the unit that a person would choose") {
    CHECK(duration_tick(2e-6) == "2 \u00b5s");
    CHECK(duration_tick(0.05) == "50 ms");
    CHECK(duration_tick(1) == "1 s");
    CHECK(duration_tick(3000) == "50 min");
    CHECK(duration_tick(36'000) == "10 h");
  }

  TEST_CASE("text is measured, and shortened to a width with an ellipsis") {
    const Font font{8};
    const double one = text_width("surprised", font);
    CHECK(one > 20);
    CHECK(one < 60);
    CHECK(text_width("surprised", {16}) == doctest::Approx(2 * one).epsilon(0.01));
    CHECK(fitted("surprised", font, one + 0.1) == "surprised");
    for (const double share : {0.9, 0.6, 0.3}) {
      const std::string shorter = fitted("surprised", font, share * one);
      CHECK(shorter.ends_with("\u2026"));
      CHECK(text_width(shorter, font) <= share * one);
    }
    CHECK(fitted("surprised", font, 1).empty());
    CHECK(fitted("", font, 0).empty());
    // A mark stays with its letter.
    const std::string accents = "e\u0301e\u0301e\u0301e\u0301e\u0301";
    CHECK_FALSE(contains(fitted(accents, font, 0.7 * text_width(accents, font)), "e\u2026"));
  }

  TEST_CASE("names that are shortened stay different") {
    const Font font{7};
    const std::vector<std::string> names = {"a label of forty columns, or so, number 1",
                                            "a label of forty columns, or so, number 2", "short"};
    const auto shortened = fitted_names(names, font, 60);
    CHECK(shortened[0] != shortened[1]);
    CHECK(shortened[2] == "short");
    for (const std::string& each : shortened) CHECK(text_width(each, font) <= 60);
    const auto numbered = fitted_names({"begins 1 and ends alike", "begins 2 and ends alike"}, font, 34);
    CHECK(numbered[0] != numbered[1]);
  }

  TEST_CASE("any bytes are text, without control characters") {
    CHECK(clean("a\nb\x01") == "a?b?");
    CHECK(clean("\xff\xc3") == "\ufffd\ufffd");
    CHECK(clean("right\u202eleft") == "right?left");
    CHECK(text_width("\xff\xfe", {7}) > 0);
  }

  TEST_CASE("markup escapes words, and keeps numbers with their units") {
    CHECK(Markup("a < b & c").text() == "a &lt; b &amp; c");
    CHECK(Markup::bold("<i>").text() == "<b>&lt;i&gt;</b>");
    CHECK(Markup("right for 65.1 % (Figure 3), by -1.8 points").text() ==
          "right for 65.1\u00a0% (Figure\u00a03), by \u22121.8 points");
    CHECK(Markup::code("--own -3").text() == "<tt>--own -3</tt>");
    CHECK((Markup("a") + Markup::italic("b")).text() == "a<i>b</i>");
  }

  TEST_CASE("paragraphs break into lines of their width") {
    const Markup words("one two three four five six seven eight nine ten eleven twelve");
    const Paragraph wide(words, {9}, 400, Alignment::justified, 11);
    const Paragraph narrow(words, {9}, 60, Alignment::justified, 11);
    CHECK(wide.n_lines() == 1);
    CHECK(narrow.n_lines() >= 5);
    CHECK(narrow.line_height() == 11);
    // Whatever a name holds, it is no markup and no second paragraph.
    CHECK(Paragraph(Markup("<b> \xff\n</i>"), {9}, 400, Alignment::left, 11).n_lines() == 1);
  }

  TEST_CASE("names beside their marks hide neither each other nor a mark") {
    const Box room{0, 0, 200, 100};
    LabelPlacer placer(room);
    const std::vector<Point> marks = {{50, 50}, {56, 50}, {50, 56}, {190, 20}, {10, 95}};
    std::vector<Box> boxes;
    for (const Point& mark : marks) {
      boxes.push_back({mark.x - 3, mark.y - 3, 6, 6});
      placer.keep_clear(boxes.back());
    }
    for (const Point& mark : marks) {
      const Box box = bounds_of(placer.place("ensemble", mark, 3, label_font, palette::black));
      for (const Box& taken : boxes) CHECK_FALSE(overlap(box, taken));
      CHECK(box.x >= room.x);
      CHECK(box.right() <= room.right());
      CHECK(box.bottom() <= room.bottom());
      boxes.push_back(box);
    }
  }

  TEST_CASE("what covers what is known") {
    Drawing drawing;
    drawing.text("middle", {50, 20}, {10}, palette::black, Anchor::middle);
    drawing.text("end", {50, 20}, {10}, palette::black, Anchor::end);
    drawing.add(Text{"up", {50, 20}, {10}, palette::black, Anchor::start, true});
    const Box middle = bounds_of(drawing.shapes[0]), end = bounds_of(drawing.shapes[1]),
              up = bounds_of(drawing.shapes[2]);
    CHECK(middle.x + middle.width / 2 == doctest::Approx(50));
    CHECK(end.right() == doctest::Approx(50));
    CHECK(up.bottom() == doctest::Approx(20));
    CHECK(up.height == doctest::Approx(text_width("up", {10})));
    Drawing sheet{10, 10};
    sheet.paste(drawing, {100, 200});
    CHECK(bounds_of(sheet.shapes[0]).x == doctest::Approx(middle.x + 100));
    CHECK(bounds_of(sheet.shapes[2]).bottom() == doctest::Approx(220));
  }

  TEST_CASE("SVG is text, escaped, and the same every time") {
    const std::string svg = svg_text(example_drawing(), "what <it> shows", false);
    CHECK(svg == svg_text(example_drawing(), "what <it> shows", false));
    CHECK(svg.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg "));
    CHECK(contains(svg, "viewBox=\"0 0 100 60\""));
    CHECK(contains(svg, ">caf\u00e9 &lt;1&gt;</text>"));
    CHECK(contains(svg, "<title>truth &lt;a&gt; &amp; &quot;b&quot;</title>"));
    CHECK(contains(svg, "data-key=\"m/random/0/1\""));
    CHECK(contains(svg, "stroke-dasharray=\"2 1\""));
    CHECK_FALSE(contains(svg_text(example_drawing(), "", true), "<?xml"));
  }

  TEST_CASE("PNG has the size that was asked for, and its drawing on white") {
    const std::string png = png_bytes(example_drawing(), 2);
    CHECK(png == png_bytes(example_drawing(), 2));
    REQUIRE(png.starts_with("\x89PNG"));
    const auto number = [&](std::size_t at) {
      int value = 0;
      for (std::size_t i = 0; i < 4; ++i) value = 256 * value + static_cast<unsigned char>(png[at + i]);
      return value;
    };
    CHECK(number(16) == 200);  // of the IHDR chunk: width, height
    CHECK(number(20) == 120);
    CHECK(png.size() > png_bytes({100, 60}, 2).size());
  }

  TEST_CASE("paths become URLs") {
    CHECK(url_path("../a b/#1%?\u00e9.wav") == "../a%20b/%231%25%3F%C3%A9.wav");
    CHECK(html_escaped("<script>\"'&\n") == "&lt;script&gt;&quot;&#39;&amp;?");
  }
}
