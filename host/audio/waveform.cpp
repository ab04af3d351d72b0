#include "host/audio/waveform.hpp"

#include <fmt/format.h>
#include <xxhash.h>

#include <bit>
#include <variant>

namespace melgrad {

static_assert(std::endian::native == std::endian::little,
              "audio hashes are defined over little-endian samples");

std::string audio_hash(const Waveform& waveform) {
  const auto seed = static_cast<XXH64_hash_t>(waveform.sample_rate) << 1 | (waveform.is_int16 ? 0u : 1u);
  const auto hash = std::visit(
      [&](auto samples) { return XXH3_128bits_withSeed(samples.data(), samples.size_bytes(), seed); },
      waveform.samples());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

}  // namespace melgrad
