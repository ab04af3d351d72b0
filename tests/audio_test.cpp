#include <doctest/doctest.h>
#include <sndfile.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "host/audio/batch.hpp"
#include "host/audio/decode.hpp"
#include "host/audio/manifest.hpp"
#include "host/audio/resample.hpp"
#include "host/core/error.hpp"
#include "support/audio_files.hpp"

using namespace melgrad;
using namespace melgrad::test;
namespace fs = std::filesystem;

TEST_SUITE("audio") {
  TEST_CASE("a 16-bit mono WAV keeps its samples as they are") {
    const TemporaryFolder folder;
    const auto samples = sine_int16(1000, 440, 16'000);
    write_bytes(folder / "a.wav", wav_bytes(samples));
    const Waveform waveform = decode_audio(folder / "a.wav");
    CHECK(waveform.sample_rate == 16'000);
    CHECK(waveform.is_int16);
    CHECK(waveform.int16 == samples);
  }
}
