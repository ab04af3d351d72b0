#pragma once
// How long work tells its caller how far it is. The library never prints: the command line draws.

#include <stdexcept>
#include <string>
#include <string_view>

#include "host/core/matrix.hpp"

namespace melgrad {

// The user asked the work to stop before it was done (Progress::stop_asked). No Error: nothing went wrong.
class Interrupted : public std::runtime_error {
 public:
  Interrupted() : std::runtime_error("interrupted") {}
};

// Calls may come from any thread, one at a time.
class Progress {
 public:
  virtual ~Progress() = default;
  // A stage begins: "features", with so many steps to do (0: unknown).
  virtual void begin(std::string_view stage, Index n_steps) = 0;
  // `done` steps of the stage are done; `note` says how it goes ("312 clips/s").
  virtual void update(Index done, std::string_view note) = 0;
  // Of steps that are not alike, the share of the stage's work that is done; before update().
  virtual void weigh(double /*share_done*/) {}
  virtual void end() = 0;
  // Something the user should know and that does not stop the work.
  virtual void warn(std::string_view message) = 0;
  // Whether the work is to stop here: it then throws Interrupted.
  virtual bool stop_asked() const { return false; }
  void stop_if_asked() const {
    if (stop_asked()) throw Interrupted();
  }
};

// For callers that do not care.
class NoProgress : public Progress {
 public:
  void begin(std::string_view, Index) override {}
  void update(Index, std::string_view) override {}
  void end() override {}
  void warn(std::string_view) override {}
};

// Says nothing, and stops when another is asked to.
class SilentProgress final : public NoProgress {
 public:
  explicit SilentProgress(const Progress& other) : other_(other) {}
  bool stop_asked() const override { return other_.stop_asked(); }

 private:
  const Progress& other_;
};

}  // namespace melgrad
