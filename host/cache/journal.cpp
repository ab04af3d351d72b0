#include "host/cache/journal.hpp"

#include <fcntl.h>
#include <xxhash.h>

#include <cassert>
#include <cerrno>
#include <string_view>
#include <utility>

#include "host/cache/atomic_file.hpp"
#include "host/core/error.hpp"
#include "host/core/file_system.hpp"

namespace melgrad {
namespace {

constexpr std::string_view magic = "melgrad-journal 1 ";
constexpr std::size_t checksum_size = 16;

std::string checked_line(std::string_view text) {
  assert(text.find('\n') == text.npos);
  return fmt::format("{:016x} {}\n", XXH3_64bits(text.data(), text.size()), text);
}

// The text of a line without its end; none where the checksum says otherwise.
std::optional<std::string> checked_text(std::string_view line) {
  if (line.size() <= checksum_size) return std::nullopt;
  std::string text(line.substr(checksum_size + 1));
  if (checked_line(text) != fmt::format("{}\n", line)) return std::nullopt;
  return text;
}

}  // namespace

Journal::Journal(const std::filesystem::path& file) : file_(file) {
  if (!std::filesystem::exists(file)) return;
  read(with_context(file.string(), [&] { return read_text_file(file); }));
}

Journal::~Journal() {
  if (descriptor_ >= 0) file_system().close(descriptor_);
}

void Journal::read(const std::string& content) {
  const std::string_view all = content;
  if (!all.starts_with(magic.substr(0, all.size()))) fail("{}: not a journal of melgrad", file_.string());
  std::size_t begin = 0;
  for (std::size_t end = all.find('\n'); end != all.npos; end = all.find('\n', begin)) {
    const std::string_view line = all.substr(begin, end - begin);
    begin = end + 1;
    size_ = static_cast<Index>(begin);
    if (!header_) {
      header_ = checked_text(line.substr(std::min(magic.size(), line.size())));
      if (!header_) fail("{}: its first line is damaged", file_.string());
    } else if (auto record = checked_text(line)) {
      records_.push_back(std::move(*record));
    } else {
      ++n_damaged_;
    }
  }
}

void Journal::open() {
  if (descriptor_ >= 0) return;
  descriptor_ = file_system().open(file_, O_WRONLY | O_CREAT);
  if (descriptor_ < 0) fail("{}: cannot be written: {}", file_.string(), errno_text(errno));
}

void Journal::write(const std::string& text) {
  open();
  const auto refuse = [&] {
    fail("{}: cannot write {} bytes: {}", file_.string(), text.size(), errno_text(errno));
  };
  const auto bytes = std::as_bytes(std::span(text));
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t written =
        file_system().pwrite(descriptor_, bytes.subspan(done), size_ + static_cast<Index>(done));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) refuse();
    done += static_cast<std::size_t>(written);
  }
  // What an earlier process left behind the last whole line goes, too.
  const Index size = size_ + static_cast<Index>(text.size());
  if (file_system().ftruncate(descriptor_, size) != 0 || file_system().fdatasync(descriptor_) != 0) refuse();
  size_ = size;
}

void Journal::start(const std::string& header) {
  const std::string text = std::string(magic) + checked_line(header);
  if (descriptor_ >= 0) file_system().close(std::exchange(descriptor_, -1));
  // Never over an older journal: a torn one would take its records for the new one's.
  save_atomically(file_, std::as_bytes(std::span(text)), [](const std::filesystem::path&) {});
  size_ = static_cast<Index>(text.size());
  records_.clear();
  n_damaged_ = 0;
  header_ = header;
}

void Journal::append(std::span<const std::string> records) {
  assert(header_);
  std::string text;
  for (const std::string& record : records) text += checked_line(record);
  write(text);
  records_.insert(records_.end(), records.begin(), records.end());
}

}  // namespace melgrad
