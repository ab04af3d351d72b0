#pragma once
// An append-only file of what is finished: after kill -9 or a full disk at any instant, every record whose
// append() returned reads back whole, and the next run carries on.
//
// A text file. The first line is "melgrad-journal 1 CHECKSUM HEADER", every other one "CHECKSUM RECORD": the
// checksum is XXH3 (64 bits, hexadecimal) of the text behind it, and texts have no line breaks.

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "host/core/matrix.hpp"

namespace melgrad {

class Journal {
 public:
  // Reads what is there; a last line that was not written to its end is cut off. Throws where the file is no
  // journal, or its header is damaged. One process at a time: the caller holds a FileLock.
  explicit Journal(const std::filesystem::path& file);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  const std::filesystem::path& file() const { return file_; }
  // What the journal is of; none where there is no file, or no header was written to its end.
  const std::optional<std::string>& header() const { return header_; }
  // Whole records, in order. Damaged lines are left out, and counted.
  const std::vector<std::string>& records() const { return records_; }
  Index n_damaged() const { return n_damaged_; }

  // Begins anew: the file holds the header and no records.
  void start(const std::string& header);
  // Returns once the records are on the disk. On an error none of them is in the file, or the next reader
  // cuts the torn one off.
  void append(std::span<const std::string> records);

 private:
  void read(const std::string& content);
  void open();
  void write(const std::string& text);

  std::filesystem::path file_;
  std::optional<std::string> header_;
  std::vector<std::string> records_;
  Index n_damaged_ = 0;
  Index size_ = 0;  // bytes up to the end of the last whole line
  int descriptor_ = -1;
};

}  // namespace melgrad
