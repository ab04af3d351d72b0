#include "host/bench/peers.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <optional>
#include <system_error>

#include "host/core/error.hpp"

extern char** environ;

namespace melgrad {

extern const char* const peers_script;  // tools/peers/peers.py, embedded by CMake

namespace {

void write_text(const std::filesystem::path& file, const std::string& text) {
  std::ofstream out(file, std::ios::binary);
  out << text;
  if (!out.flush()) fail("{}: cannot be written", file.string());
}

std::string read_text(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

// A program started without a shell, that reads and answers in lines; its errors go to a file.
class Peer::Process {
 public:
  Process(std::vector<std::string> arguments, std::filesystem::path errors) : errors_(std::move(errors)) {
    int sockets[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0)
      fail("{}: no socket: {}", arguments[0], std::system_category().message(errno));
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, sockets[1], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, sockets[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors_.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                     0600);
    const int error = posix_spawnp(&id_, argv[0], &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    ::close(sockets[1]);
    socket_ = sockets[0];
    if (error != 0) {
      ::close(socket_);
      fail("{}: cannot be started: {}", arguments[0], std::system_category().message(error));
    }
  }
  ~Process() {
    ::close(socket_);
    if (!has_ended_) {
      ::kill(id_, SIGKILL);
      wait();
    }
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // What is sent to a process that has ended is lost; the answer that does not come tells so.
  void send(const std::string& text) {
    static_cast<void>(::send(socket_, text.data(), text.size(), MSG_NOSIGNAL));
  }
  void send_no_more() { ::shutdown(socket_, SHUT_WR); }

  // Its next line, without the line's end; nothing where there is none.
  std::optional<std::string> read_line() {
    for (;;) {
      if (const std::size_t end = unread_.find('\n'); end != std::string::npos) {
        std::string line = unread_.substr(0, end);
        unread_.erase(0, end + 1);
        return line;
      }
      char bytes[4096];
      const ssize_t n = ::read(socket_, bytes, sizeof bytes);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return std::nullopt;
      unread_.append(bytes, static_cast<std::size_t>(n));
    }
  }

  // How a process ended that has closed its output, with the last of its errors.
  std::string last_words() {
    const int status = wait();
    std::string words = read_text(errors_);
    if (words.size() > 400) words.erase(0, words.size() - 400);
    return WIFSIGNALED(status) ? fmt::format("was ended by signal {}: {}", WTERMSIG(status), words)
                               : fmt::format("ended with status {}: {}", WEXITSTATUS(status), words);
  }

 private:
  int wait() {
    int status = 0;
    while (::waitpid(id_, &status, 0) < 0 && errno == EINTR) {
    }
    has_ended_ = true;
    return status;
  }

  std::filesystem::path errors_;
  pid_t id_ = 0;
  int socket_ = -1;
  bool has_ended_ = false;
  std::string unread_;
};

Peer::Peer(const std::string& python, const std::string& name, const Json& request,
           const std::filesystem::path& folder)
    : who_(fmt::format("peer {} ({})", name, python)) {
  const auto script = folder / "peers.py", request_file = folder / "request.json";
  write_text(script, peers_script);
  write_text(request_file, request.dump());
  process_ = std::make_unique<Process>(
      std::vector<std::string>{python, script.string(), name, request_file.string()}, folder / "errors.txt");
  const Answer first = answer();
  if (first.json.contains("missing")) {
    missing_ = member<std::string>(first, "missing");
    return;
  }
  version_ = member<std::string>(first, "version");
  n_parts_ = member<int>(first, "n_parts");
  if (n_parts_ < 1) fail("{} answers '{}': no work", who_, first.line);
}

Peer::~Peer() = default;

Peer::Answer Peer::answer() {
  const std::optional<std::string> line = process_->read_line();
  if (!line) fail("{} {}", who_, process_->last_words());
  return {*line, Json::parse(*line, nullptr, false)};
}

template <class Value>
Value Peer::member(const Answer& answer, const char* name) {
  try {
    return answer.json.at(name).get<Value>();
  } catch (const Json::exception&) {
    fail("{} answers '{}': no {}", who_, answer.line, name);
  }
}

double Peer::do_part(int part) {
  process_->send(fmt::format("{}\n", part));
  return member<double>(answer(), "cpu_seconds");
}

std::vector<double> Peer::values() {
  process_->send_no_more();
  return member<std::vector<double>>(answer(), "values");
}

namespace {

// One peer's turns so far.
struct Series {
  PeerComparison comparison;
  std::vector<double> our_seconds, peer_seconds;
  Ratios ratios;  // of processes

  void add_process(Peer& peer, const PeerWork& work, double least_seconds) {
    comparison.missing = peer.missing();
    if (!comparison.missing.empty()) return;
    comparison.version = peer.version();
    Turns turns([&] { return our_seconds.emplace_back(work.ours()); });
    do {
      const double before = turns.theirs();
      for (int part = 0; part < peer.n_parts(); ++part) turns.add(peer.do_part(part));
      peer_seconds.push_back(turns.theirs() - before);
    } while (turns.theirs() < least_seconds);
    comparison.values = peer.values();
    ratios.add(turns.theirs(), turns.ours() / peer.n_parts());  // of ours each turn was the whole work
  }

  PeerComparison finished() && {
    if (comparison.missing.empty()) {
      comparison.peer_seconds = median_range(peer_seconds);
      comparison.our_seconds = median_range(our_seconds);
      comparison.ratio = ratios.together();
    }
    return std::move(comparison);
  }
};

}  // namespace

std::vector<PeerComparison> compare_with_peers(const std::string& python, std::span<const PeerWork> works,
                                               const std::filesystem::path& folder, int repeats,
                                               double least_peer_seconds, Progress& progress) {
  std::vector<Series> series(works.size());
  for (const PeerWork& work : works) work.ours();  // warms up
  for (int repeat = 0; repeat < repeats; ++repeat) {
    for (std::size_t i = 0; i < works.size(); ++i) {
      if (!series[i].comparison.missing.empty()) continue;
      progress.begin(fmt::format("beside {}", works[i].name), 0);
      Peer peer(python, works[i].name, works[i].request, folder);
      series[i].add_process(peer, works[i], least_peer_seconds / repeats);
    }
  }
  std::vector<PeerComparison> comparisons;
  for (Series& each : series) comparisons.push_back(std::move(each).finished());
  return comparisons;
}

}  // namespace melgrad
