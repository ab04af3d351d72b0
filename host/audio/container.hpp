#pragma once
// What the header of a chunked audio file says about its samples, before anyone believes it.

#include <cstdint>
#include <optional>

namespace melgrad {

struct DeclaredData {
  std::int64_t offset = 0;   // of the first byte of samples in the file
  std::int64_t n_bytes = 0;  // as declared; may reach beyond the end of the file
};

// Walks the chunks of WAV (RIFF, RIFX, RF64), AIFF, CAF and Wave64, or reads the header of AU, from an open
// file. Nothing for other formats, for files without a data chunk, and where the length is a placeholder of a
// writer that could not seek back (0, or 2 GiB less a few pages and more in a 32-bit field). libsndfile
// shortens such data to the file's end and says nothing, so truncation has to be found here.
std::optional<DeclaredData> declared_data(int file_descriptor);

}  // namespace melgrad
