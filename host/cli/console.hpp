#pragma once
// What the program says: results on stdout; progress, notes and warnings on stderr; everything in a log file
// if one is open. Work is not given up because stderr or the log cannot be written.

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>

#include "host/core/json.hpp"
#include "host/core/progress.hpp"
#include "host/report/text.hpp"

namespace melgrad {

struct CommonOptions;

// The program's exit statuses. That of a closed pipe is a shell's for who dies of SIGPIPE.
enum ExitStatus { exit_done = 0, exit_failed = 1, exit_usage = 2, exit_refused = 3, exit_closed_pipe = 141 };

// Nobody reads stdout any more (`melgrad ... | head`): no error, but no reason to go on.
struct ClosedPipe {};

// On a terminal, progress is a bar that is drawn over itself, with the rate and the time left; elsewhere a
// line when a stage ends, and every ten seconds while it lasts.
class Console final : public Progress {
 public:
  explicit Console(const CommonOptions& options);
  ~Console() override;
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  void begin(std::string_view stage, Index n_steps) override;
  void update(Index done, std::string_view note) override;
  void weigh(double share_done) override;
  void end() override;
  void warn(std::string_view message) override;
  bool stop_asked() const override;

  // From now on the first Ctrl-C, SIGTERM or SIGHUP asks the work to stop where it can be taken up again; the
  // second one ends the program.
  void heed_interrupts();
  // 128 + the number of the signal that asked: 130 for Ctrl-C, 143 for SIGTERM.
  int interrupted_status() const;

  // For stderr, except with --quiet.
  void note(std::string_view message);
  // For stderr with --verbose.
  void detail(std::string_view message);
  void error(std::string_view message);

  // For stdout. Throws ClosedPipe where nobody reads it.
  void result(std::string_view text);
  void json_result(const Json& json);
  const TextStyle& style() const { return out_style_; }
  bool json() const { return json_; }

  // From now on everything but results is appended to this file, with the time of day. What was said before
  // goes there first.
  void open_log(const std::filesystem::path& file);

 private:
  using Clock = std::chrono::steady_clock;

  void say(std::string_view severity, std::string_view message, bool on_stderr);
  void log(std::string_view severity, std::string_view message);
  void write_to_log(const std::string& text);
  void draw_bar();
  void clear_bar();
  double share_of_steps() const;
  std::string status_line() const;

  bool json_ = false;
  bool quiet_ = false;
  bool verbose_ = false;
  bool terminal_ = false;  // stderr is one
  TextStyle out_style_;
  TextStyle err_style_;
  std::FILE* log_ = nullptr;
  std::string log_name_;
  bool log_is_lost_ = false;  // could not be written; nothing is kept for it any more
  std::string said_before_log_;

  std::string stage_;  // empty: between stages
  std::string note_;
  Index n_steps_ = 0;
  Index done_ = 0;
  double share_done_ = 0;  // as weigh() said; 0: every step is alike
  bool bar_drawn_ = false;
  Clock::time_point started_;
  Clock::time_point last_shown_;
};

}  // namespace melgrad
