#pragma once
// What the name of a recording says about it.

#include <string>
#include <string_view>
#include <vector>

#include "host/audio/manifest.hpp"

namespace melgrad {

// RAVDESS (Livingstone & Russo 2018, doi:10.1371/journal.pone.0196391): seven numbers of two digits,
// modality-channel-emotion-intensity-statement-repetition-actor, "03-01-05-02-01-01-12". Gives label (the
// emotion: neutral calm happy sad angry fearful disgust surprised), group (the actor: "12") and the
// attributes modality (full-AV, video-only, audio-only), vocal_channel (speech, song), intensity (normal,
// strong), statement ("01" kids are talking, "02" dogs are sitting), repetition ("01", "02"), sex (male for
// odd actors, female for even ones). False, and the clip untouched, if the stem is no such name or a number
// is beyond its range.
bool read_ravdess_name(std::string_view stem, Clip& clip);

// "{label}_{group}_{index}": fields in braces with literal text between them. {label}, {group} and {split} go
// where they belong, any other name is an attribute. A field takes at least one character and ends where the
// text after it first occurs; a last field takes the rest. The pattern covers the whole name without its
// extension; a pattern with k slashes covers the last k folders too: "{group}/{label}_{index}".
class NamePattern {
 public:
  // A UsageError says what is wrong: no {label}, a name twice, two fields with nothing between, braces that
  // do not match, a name of other than letters, digits and underscores.
  explicit NamePattern(const std::string& pattern);

  // Fills the clip from its path relative to the data set's root. An Error gives the reason where the name
  // does not fit or its split is neither train nor test.
  void apply(std::string_view path, Clip& clip) const;

  const std::string& text() const { return text_; }

 private:
  struct Part {  // a field and the text after it; the first part of a component may be text alone
    std::string name;
    std::string text;
  };
  using Component = std::vector<Part>;  // what stands between slashes

  Component parse_component(std::string_view pattern);
  static bool match(const Component& component, std::string_view name, std::vector<std::string>& values);

  std::string text_;
  std::vector<Component> components_;
  std::vector<std::string> names_;  // of all fields in order
};

// "dir/a.b.wav": "a.b"
std::string_view file_stem(std::string_view path);

}  // namespace melgrad
