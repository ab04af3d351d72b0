#include "host/cli/console.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>
#include <utility>

#include "host/cli/options.hpp"
#include "host/core/error.hpp"
#include "host/core/file_system.hpp"

namespace melgrad {
namespace {

volatile std::sig_atomic_t interrupting_signal = 0;

constexpr std::chrono::milliseconds redraw_every{100};
constexpr std::chrono::seconds line_every{10};  // where stderr is no terminal

double seconds_between(std::chrono::steady_clock::time_point begin,
                       std::chrono::steady_clock::time_point end) {
  return std::chrono::duration<double>(end - begin).count();
}

std::string rate_text(double per_second) {
  return per_second < 10 ? fmt::format("{:.1f}/s", per_second) : fmt::format("{:.0f}/s", per_second);
}

// A closed pipe or a full disk behind stderr stops nobody.
void write_to_stderr(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

std::string local_time() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts)};
}

}  // namespace

Console::Console(const CommonOptions& options)
    : json_(options.json),
      quiet_(options.quiet),
      verbose_(options.verbose),
      terminal_(isatty(fileno(stderr)) != 0),
      out_style_(text_style(stdout, !options.no_color)),
      err_style_(text_style(stderr, !options.no_color)) {}

Console::~Console() {
  clear_bar();
  if (log_ != nullptr) std::fclose(log_);
}

void Console::begin(std::string_view stage, Index n_steps) {
  stage_ = stage;
  note_.clear();
  n_steps_ = n_steps;
  done_ = 0;
  share_done_ = 0;
  started_ = last_shown_ = Clock::now();
  if (terminal_ && !quiet_) draw_bar();
}

void Console::update(Index done, std::string_view note) {
  done_ = done;
  note_ = note;
  const auto now = Clock::now();
  if (quiet_ || now - last_shown_ < (terminal_ ? Clock::duration(redraw_every) : Clock::duration(line_every)))
    return;
  last_shown_ = now;
  if (terminal_)
    draw_bar();
  else
    say("", status_line(), true);
}

void Console::weigh(double share_done) {
  share_done_ = share_done;
}

bool Console::stop_asked() const {
  return interrupting_signal != 0;
}

void Console::heed_interrupts() {
  struct sigaction action {};
  action.sa_handler = [](int signal) { interrupting_signal = signal; };
  action.sa_flags = SA_RESETHAND;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before {};
    sigaction(signal, nullptr, &before);
    const bool is_nohup = signal == SIGHUP && before.sa_handler == SIG_IGN;
    if (!is_nohup) sigaction(signal, &action, nullptr);
  }
}

int Console::interrupted_status() const {
  return 128 + interrupting_signal;
}

void Console::end() {
  if (stage_.empty()) return;
  clear_bar();
  const double seconds = seconds_between(started_, Clock::now());
  std::string line = fmt::format("{}: {} in {}", stage_, done_, time_text(seconds));
  if (!note_.empty()) line += ", " + note_;
  stage_.clear();
  say("", line, !quiet_);
}

void Console::warn(std::string_view message) {
  say("warning", message, true);
}

void Console::note(std::string_view message) {
  say("", message, !quiet_);
}

void Console::detail(std::string_view message) {
  say("", message, verbose_ && !quiet_);
}

void Console::error(std::string_view message) {
  say("error", message, true);
}

void Console::result(std::string_view text) {
  clear_bar();
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  if (written && std::fflush(stdout) == 0) return;
  if (errno == EPIPE) throw ClosedPipe();
  fail("writing the results to stdout failed: {}", errno_text(errno));
}

void Console::json_result(const Json& json) {
  // Paths need not be UTF-8; JSON has to be.
  result(json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

void Console::open_log(const std::filesystem::path& file) {
  log_ = std::fopen(file.c_str(), "a");
  if (log_ == nullptr) fail("{}: cannot be written: {}", file.string(), errno_text(errno));
  log_name_ = file.string();
  write_to_log(std::exchange(said_before_log_, {}));
}

void Console::say(std::string_view severity, std::string_view message, bool on_stderr) {
  log(severity, message);
  if (!on_stderr) return;
  clear_bar();
  std::string line;
  if (!severity.empty()) line = painted(fmt::format("{}:", severity), Ink::bad, err_style_) + " ";
  write_to_stderr(line + printable(message) + "\n");
}

void Console::log(std::string_view severity, std::string_view message) {
  const std::string line =
      fmt::format("{} {}{}{}\n", local_time(), severity, severity.empty() ? "" : ": ", message);
  if (log_ == nullptr) {
    if (!log_is_lost_) said_before_log_ += line;
    return;
  }
  write_to_log(line);
}

void Console::write_to_log(const std::string& text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), log_) == text.size();
  if (written && std::fflush(log_) == 0) return;
  const int error = errno;
  std::fclose(std::exchange(log_, nullptr));
  log_is_lost_ = true;
  warn(fmt::format("{}: cannot be written: {}; it goes on without a log", log_name_, errno_text(error)));
}

double Console::share_of_steps() const {
  return n_steps_ > 0 ? static_cast<double>(done_) / static_cast<double>(n_steps_) : 0;
}

std::string Console::status_line() const {
  const double seconds = seconds_between(started_, Clock::now());
  const double rate = seconds > 0 ? static_cast<double>(done_) / seconds : 0;
  std::string line = fmt::format("{}: {}", stage_, done_);
  if (n_steps_ > 0) line += fmt::format("/{} ({:.0f} %)", n_steps_, 100 * share_of_steps());
  if (done_ > 0) line += ", " + rate_text(rate);
  const double share = share_done_ > 0 ? share_done_ : share_of_steps();
  if (share > 0 && n_steps_ > done_)
    line += fmt::format(", {} left", time_text(seconds * (1 - share) / share));
  if (!note_.empty()) line += ", " + note_;
  return line;
}

void Console::draw_bar() {
  constexpr int bar_width = 24;
  std::string line = status_line();
  if (n_steps_ > 0) {
    const double share = share_done_ > 0 ? share_done_ : share_of_steps();
    line = fmt::format("{} {}", bar(share, bar_width, err_style_), line);
  }
  line = cut(line, err_style_.width - 1);  // a line that wraps could not be drawn over
  write_to_stderr("\r\033[K" + line);
  bar_drawn_ = true;
}

void Console::clear_bar() {
  if (!bar_drawn_) return;
  write_to_stderr("\r\033[K");
  bar_drawn_ = false;
}

}  // namespace melgrad
