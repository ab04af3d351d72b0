#include "host/bench/peers.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <numeric>
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

// Runs argv without a shell, its output going to files. Returns the exit status, or 128 + the signal.
int run(std::vector<std::string> arguments, const std::filesystem::path& out,
        const std::filesystem::path& err) {
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  pid_t child = 0;
  const int error = posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) fail("{}: cannot be started: {}", arguments[0], std::system_category().message(error));
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

PeerResult run_peer(const std::string& python, const std::string& peer, const Json& request,
                    const std::filesystem::path& folder) {
  const auto script = folder / "peers.py", request_file = folder / "request.json";
  const auto out = folder / "out.json", err = folder / "err.txt";
  write_text(script, peers_script);
  write_text(request_file, request.dump());
  const int status = run({python, script.string(), peer, request_file.string()}, out, err);
  if (status != 0) {
    std::string words = read_text(err);
    if (words.size() > 400) words.erase(0, words.size() - 400);
    fail("peer {} ({}) ended with status {}: {}", peer, python, status, words);
  }
  const Json answer = Json::parse(read_text(out), nullptr, false);
  if (answer.is_discarded() || !answer.contains("peer")) fail("peer {} ({}) gave no answer", peer, python);
  PeerResult result{.peer = peer, .version = "", .missing = "", .cpu_seconds = {}, .values = {}};
  if (answer.contains("missing")) {
    result.missing = answer["missing"].get<std::string>();
    return result;
  }
  result.version = answer.at("version").get<std::string>();
  result.cpu_seconds = answer.at("cpu_seconds").get<std::vector<double>>();
  result.values = answer.at("values").get<std::vector<double>>();
  return result;
}

PeerComparison compare_with_peer(const std::string& python, const std::string& peer, const Json& request,
                                 const std::filesystem::path& folder, const std::function<void()>& ours,
                                 int repeats, double least_peer_seconds) {
  std::vector<double> our_seconds, peer_seconds, least;
  const auto time_ours = [&] {
    const double begin = process_cpu_seconds();
    ours();
    our_seconds.push_back(process_cpu_seconds() - begin);
  };
  ours();  // warms up
  PeerComparison comparison;
  double seconds = 0;
  for (int repeat = 0; repeat < repeats || seconds < least_peer_seconds; ++repeat) {
    time_ours();
    comparison.peer = run_peer(python, peer, request, folder);
    if (!comparison.peer.missing.empty()) return comparison;
    const std::vector<double>& parts = comparison.peer.cpu_seconds;
    peer_seconds.push_back(std::accumulate(parts.begin(), parts.end(), 0.0));
    seconds += peer_seconds.back();
    if (least.empty()) least = parts;
    std::ranges::transform(least, parts, least.begin(), [](double a, double b) { return std::min(a, b); });
    time_ours();
  }
  comparison.peer_seconds = median_range(peer_seconds);
  comparison.peer_seconds.minimum = std::accumulate(least.begin(), least.end(), 0.0);
  comparison.our_seconds = median_range(our_seconds);
  comparison.ratio = comparison.peer_seconds.minimum / comparison.our_seconds.minimum;
  return comparison;
}

}  // namespace melgrad
