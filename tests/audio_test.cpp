#include <doctest/doctest.h>
#include <sndfile.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "host/audio/batch.hpp"
#include "host/audio/decode.hpp"
#include "host/audio/resample.hpp"
#include "host/core/error.hpp"
#include "host/core/parallel.hpp"
#include "host/core/philox.hpp"
#include "support/audio_files.hpp"

using namespace melgrad;
using namespace melgrad::test;
namespace fs = std::filesystem;

namespace {

constexpr int wav_16 = SF_FORMAT_WAV | SF_FORMAT_PCM_16;
constexpr int flac_16 = SF_FORMAT_FLAC | SF_FORMAT_PCM_16;

// [left, right, left, right, ..]
template <class T>
std::vector<T> interleave(const std::vector<T>& left, const std::vector<T>& right) {
  std::vector<T> frames;
  for (std::size_t i = 0; i < left.size(); ++i) {
    frames.push_back(left[i]);
    frames.push_back(right[i]);
  }
  return frames;
}

std::string refusal(const fs::path& file, const DecodeOptions& options = {}) {
  try {
    decode_audio(file, options);
  } catch (const Error& error) {
    return error.what();
  }
  return "not refused";
}

std::string refusal_of(const std::string& bytes) {
  const TemporaryFolder folder;
  write_bytes(folder / "a.wav", bytes);
  return refusal(folder / "a.wav");
}

Waveform waveform_of(int sample_rate, const std::vector<std::int16_t>& samples) {
  return {sample_rate, true, samples, {}};
}
Waveform waveform_of(int sample_rate, const std::vector<float>& samples) {
  return {sample_rate, false, {}, samples};
}

// The largest |a - b| over [first, last).
double largest_difference(const std::vector<float>& a, const std::vector<float>& b, std::size_t first,
                          std::size_t last) {
  double largest = 0;
  for (std::size_t i = first; i < last; ++i) largest = std::max(largest, std::abs(double{a[i]} - b[i]));
  return largest;
}

}  // namespace

TEST_SUITE("audio") {
  TEST_CASE("a 16-bit mono WAV keeps its samples as they are") {
    const TemporaryFolder folder;
    const auto samples = sine_int16(1000, 440, 16'000);
    write_bytes(folder / "a.wav", wav_bytes(samples));
    const Waveform waveform = decode_audio(folder / "a.wav");
    CHECK(waveform.sample_rate == 16'000);
    CHECK(waveform.is_int16);
    CHECK(waveform.int16 == samples);
    CHECK(waveform.duration_s() == doctest::Approx(1000 / 16'000.0));
  }

  TEST_CASE("two identical channels stay int16, and are the same audio as one") {
    const TemporaryFolder folder;
    const auto samples = sine_int16(1001, 440, 16'000);
    write_bytes(folder / "mono.wav", wav_bytes(samples));
    write_bytes(folder / "stereo.wav", wav_bytes(interleave(samples, samples), {.n_channels = 2}));
    const Waveform stereo = decode_audio(folder / "stereo.wav");
    CHECK(stereo.is_int16);
    CHECK(stereo.int16 == samples);
    CHECK(audio_hash(stereo) == audio_hash(decode_audio(folder / "mono.wav")));
  }

  TEST_CASE("two different channels become their mean, exactly") {
    const TemporaryFolder folder;
    const std::vector<std::int16_t> left = {-32768, 32767, 1, 0, 5}, right = {-32768, 32766, 0, 0, -5};
    write_bytes(folder / "a.wav", wav_bytes(interleave(left, right), {.n_channels = 2}));
    const Waveform waveform = decode_audio(folder / "a.wav");
    REQUIRE_FALSE(waveform.is_int16);
    CHECK(waveform.float32 == std::vector<float>{-1, 65533 / 65536.0f, 1 / 65536.0f, 0, 0});

    write_bytes(folder / "f.wav", wav_bytes(std::vector<float>{0.5f, 0.25f, -1, 1}, {.n_channels = 2}));
    CHECK(decode_audio(folder / "f.wav").float32 == std::vector<float>{0.375f, 0});
  }

  TEST_CASE("8-bit samples become int16 of the same amplitude") {
    const TemporaryFolder folder;
    write_sound(folder / "a.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_U8, 8000, 1,
                std::vector<std::int16_t>{-32768, 0, 256, 0x7f00});
    const Waveform waveform = decode_audio(folder / "a.wav");
    CHECK(waveform.is_int16);
    CHECK(waveform.int16 == std::vector<std::int16_t>{-32768, 0, 256, 0x7f00});
  }

  TEST_CASE("24-bit and float samples become float32, exactly") {
    const TemporaryFolder folder;
    write_bytes(folder / "24.wav", wav_bytes_24({-8388608, 8388607, 1, 0}));
    CHECK(decode_audio(folder / "24.wav").float32 ==
          std::vector<float>{-1, 8388607 / 8388608.0f, 1 / 8388608.0f, 0});
    const std::vector<float> loud = {1.5f, -2, 0.1f, 40'000};  // beyond full scale is not clipped
    write_bytes(folder / "f.wav", wav_bytes(loud));
    CHECK(decode_audio(folder / "f.wav").float32 == loud);
  }

  TEST_CASE("the same PCM has the same hash in every lossless format") {
    const TemporaryFolder folder;
    const auto samples = sine_int16(5000, 440, 16'000);
    write_sound(folder / "a.wav", wav_16, 16'000, 1, samples);
    const std::string expected = audio_hash(decode_audio(folder / "a.wav"));
    for (const int container :
         {SF_FORMAT_FLAC, SF_FORMAT_AIFF, SF_FORMAT_CAF, SF_FORMAT_AU, SF_FORMAT_W64, SF_FORMAT_RF64}) {
      CAPTURE(container);
      write_sound(folder / "b", container | SF_FORMAT_PCM_16, 16'000, 1, samples);
      CHECK(audio_hash(decode_audio(folder / "b")) == expected);
    }
    const std::vector<std::int32_t> fine = {-8388608, 8388607, 1, 0};
    write_bytes(folder / "24.wav", wav_bytes_24(fine));
    write_sound(folder / "24.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_24, 16'000, 1,
                decode_audio(folder / "24.wav").float32);
    CHECK(audio_hash(decode_audio(folder / "24.flac")) == audio_hash(decode_audio(folder / "24.wav")));
  }

  TEST_CASE("the hash is XXH3 of 128 bits, seeded with rate and type, for ever: caches are found by it") {
    // From the Python package xxhash 4.1: xxh3_128_hexdigest(array('h', [1, -2, 3]), seed=2 * 16000), and of
    // array('f', ..) with seed 2 * 16000 + 1.
    CHECK(audio_hash(waveform_of(16'000, std::vector<std::int16_t>{1, -2, 3})) ==
          "444a8538367d78a5a51c2814dcae57d3");
    CHECK(audio_hash(waveform_of(16'000, std::vector<float>{1, -2, 3})) ==
          "55e41da589a72ae624f4cb3186f4d642");
    CHECK(audio_hash(waveform_of(16'001, std::vector<std::int16_t>{1, -2, 3})) !=
          "444a8538367d78a5a51c2814dcae57d3");
  }

  TEST_CASE("Ogg Vorbis and MP3 decode to the tone that went in") {
    const TemporaryFolder folder;
    const auto samples = sine(32'000, 440, 16'000);
    write_sound(folder / "a.ogg", SF_FORMAT_OGG | SF_FORMAT_VORBIS, 16'000, 1, samples);
    write_sound(folder / "a.mp3", SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, 16'000, 1, samples);
    for (const char* name : {"a.ogg", "a.mp3"}) {
      CAPTURE(name);
      const Waveform waveform = decode_audio(folder / name);
      CHECK(waveform.sample_rate == 16'000);
      REQUIRE(waveform.n_samples() >= 31'000);
      // Away from the ends, where codecs fade. 2 % of full scale: lossy, but a tone is easy for them.
      CHECK(largest_difference(waveform.float32, samples, 4000, 28'000) < 0.02);
    }
  }

  TEST_CASE("chunks before the samples are skipped, of odd length too") {
    const TemporaryFolder folder;
    const auto samples = sine_int16(100, 440, 16'000);
    const std::string filler = riff_chunk("FLLR", std::string(4044, '\0'));  // as Apple's writers align
    const std::string odd = riff_chunk("LIST", "INFOxyz") + riff_chunk("note", "data");
    for (const std::string& chunks : {filler, odd, odd + filler}) {
      write_bytes(folder / "a.wav", wav_bytes(samples, {.bytes_before_data = chunks}));
      CHECK(decode_audio(folder / "a.wav").int16 == samples);
    }
    write_bytes(folder / "a.wav", wav_bytes(samples) + odd);
    CHECK(decode_audio(folder / "a.wav").int16 == samples);
  }

  TEST_CASE("a WAV from a pipe, with a placeholder for its length, is read to its end") {
    const TemporaryFolder folder;
    const auto samples = sine_int16(100, 440, 16'000);
    for (const std::int64_t placeholder : {0x7ffff000ll, 0x80000000ll, 0xffffffffll}) {
      CAPTURE(placeholder);
      write_bytes(folder / "a.wav", wav_bytes(samples, {.declared_bytes = placeholder}));
      CHECK(decode_audio(folder / "a.wav").int16 == samples);
    }
  }

  TEST_CASE("a FLAC that does not know its length is read to its end") {
    const TemporaryFolder folder;
    const auto samples = sine_int16(10'000, 440, 16'000);
    write_sound(folder / "a.flac", flac_16, 16'000, 1, samples);
    std::string bytes = read_bytes(folder / "a.flac");
    // Total samples: the lower 36 of the 64 bits at byte 18 (magic 4, block header 4, STREAMINFO byte 10).
    bytes[21] = static_cast<char>(bytes[21] & 0xf0);
    bytes.replace(22, 4, 4, '\0');
    write_bytes(folder / "b.flac", bytes);
    CHECK(decode_audio(folder / "b.flac").int16 == samples);
    CHECK(refusal(folder / "b.flac", {.max_duration_s = 0.5}) ==
          "has more than 8000 samples, 0.5 s, the limit");
  }

  TEST_CASE("a decoder and a waveform that are used again hold nothing of the last clip") {
    const TemporaryFolder folder;
    const auto longer = sine_int16(2000, 440, 16'000), shorter = sine_int16(500, 300, 8000);
    const auto floats = sine(700, 200, 22'050);
    write_bytes(folder / "longer.wav", wav_bytes(longer));
    write_bytes(folder / "floats.wav", wav_bytes(floats, {.sample_rate = 22'050}));
    write_bytes(folder / "stereo.wav",
                wav_bytes(interleave(shorter, shorter), {.sample_rate = 8000, .n_channels = 2}));
    AudioDecoder decoder;
    Waveform waveform;
    for (int round = 0; round < 2; ++round) {
      decoder.decode(folder / "longer.wav", waveform);
      CHECK(waveform.int16 == longer);
      decoder.decode(folder / "floats.wav", waveform);
      CHECK_FALSE(waveform.is_int16);
      CHECK(waveform.float32 == floats);
      const std::int16_t* memory = waveform.int16.data();
      decoder.decode(folder / "stereo.wav", waveform);
      CHECK(waveform.is_int16);
      CHECK(waveform.int16 == shorter);
      CHECK(waveform.sample_rate == 8000);
      CHECK(waveform.int16.data() == memory);
    }
  }

  TEST_CASE("what is no audio file is refused with its own reason") {
    const TemporaryFolder folder;
    CHECK(refusal(folder / "absent.wav") == "cannot be opened: No such file or directory");
    CHECK(refusal(folder.path()) == "is a folder, not a file");
    fs::create_symlink("loop.wav", folder / "loop.wav");
    CHECK(refusal(folder / "loop.wav") == "cannot be opened: Too many levels of symbolic links");
    REQUIRE(mkfifo((folder / "fifo.wav").c_str(), 0600) == 0);
    CHECK(refusal(folder / "fifo.wav") == "is a device, pipe or socket, not a regular file");
    CHECK(refusal_of("") == "is empty (0 bytes)");
    CHECK(refusal_of("This is a text and no recording, whatever its name says.\n") ==
          "is not audio that libsndfile can read: Format not recognised");
    CHECK(refusal_of("RIFF") == "is not audio that libsndfile can read: Format not recognised");
  }

  TEST_CASE("a file without read permission is refused, and the reason says so") {
    const TemporaryFolder folder;
    const fs::path file = folder / "a.wav";
    write_bytes(file, wav_bytes(sine_int16(100, 440, 16'000)));
    fs::permissions(folder.path(), fs::perms::owner_all | fs::perms::others_exec);
    fs::permissions(file, fs::perms::none);
    std::string reason;
    {
      const WithoutPrivileges nobody;
      if (!nobody.works()) {
        MESSAGE("skipped: root cannot become another user here");
        return;
      }
      reason = refusal(file);
    }
    CHECK(reason == "cannot be opened: Permission denied");
  }

  TEST_CASE("absurd headers are refused, naming the value and the limit") {
    const auto samples = sine_int16(96, 440, 16'000);
    CHECK(refusal_of(wav_bytes(samples, {.sample_rate = 1})) ==
          "declares a sample rate of 1 Hz; the limits are 1000 and 768000 Hz");
    CHECK(refusal_of(wav_bytes(samples, {.sample_rate = 2'000'000})) ==
          "declares a sample rate of 2000000 Hz; the limits are 1000 and 768000 Hz");
    CHECK(refusal_of(wav_bytes(samples, {.n_channels = 8})) == "has 8 channels; at most 2 are mixed to mono");
    CHECK(refusal_of(wav_bytes(std::vector<std::int16_t>{})) == "has no samples");
  }

  TEST_CASE("a clip beyond the limit of length is refused before memory is taken for it") {
    const TemporaryFolder folder;
    write_sound(folder / "a.flac", flac_16, 16'000, 1, sine_int16(16'000, 440, 16'000));
    CHECK(refusal(folder / "a.flac", {.max_duration_s = 0.5}) ==
          "declares 16000 samples, 1 s; the limit is 0.5 s");
    CHECK(refusal(folder / "a.flac", {.max_duration_s = 1}) == "not refused");
    // 2^36 - 1 samples, 137 GB as int16, in a file of some kilobytes.
    std::string bytes = read_bytes(folder / "a.flac");
    bytes[21] = static_cast<char>(bytes[21] | 0x0f);
    bytes.replace(22, 4, 4, '\xff');
    write_bytes(folder / "b.flac", bytes);
    CHECK(refusal(folder / "b.flac") == "declares 68719476735 samples, 4294967 s; the limit is 14400 s");
    // Within a limit set too high, memory is taken only for samples that come.
    CHECK(refusal(folder / "b.flac", {.max_duration_s = 1e9}) ==
          "is truncated: its header declares 68719476735 samples, the file holds 16000");
  }

  TEST_CASE("truncated files are refused, whatever their format") {
    const auto samples = sine_int16(1000, 440, 16'000);
    const std::string wav = wav_bytes(samples);
    CHECK(refusal_of(wav.substr(0, wav.size() - 500)) ==
          "is truncated: its header declares 2000 bytes of samples, the file holds 1500");
    CHECK(refusal_of(wav.substr(0, 44)) ==
          "is truncated: its header declares 2000 bytes of samples, the file holds 0");
    CHECK(refusal_of(wav_bytes(samples, {.declared_bytes = 100'000})) ==
          "is truncated: its header declares 100000 bytes of samples, the file holds 2000");
    const TemporaryFolder folder;
    for (const int container : {SF_FORMAT_AIFF, SF_FORMAT_CAF, SF_FORMAT_AU, SF_FORMAT_RF64, SF_FORMAT_W64}) {
      CAPTURE(container);
      write_sound(folder / "a", container | SF_FORMAT_PCM_16, 16'000, 1, samples);
      const std::string bytes = read_bytes(folder / "a");
      write_bytes(folder / "b", bytes.substr(0, bytes.size() - 500));
      CHECK(refusal(folder / "b") ==
            "is truncated: its header declares 2000 bytes of samples, the file holds 1500");
    }
  }

  TEST_CASE("a FLAC that ends early or is damaged is refused") {
    const TemporaryFolder folder;
    write_sound(folder / "a.flac", flac_16, 16'000, 1, sine_int16(40'000, 440, 16'000));
    const std::string bytes = read_bytes(folder / "a.flac");
    for (const std::size_t kept : {bytes.size() - 1, bytes.size() / 2, std::size_t{9000}}) {
      CAPTURE(kept);
      write_bytes(folder / "b.flac", bytes.substr(0, kept));
      const std::string reason = refusal(folder / "b.flac");
      CHECK_MESSAGE((reason.starts_with("is truncated: its header declares 40000 samples, the file holds ") ||
                     reason.starts_with("is corrupt after ")),
                    reason);
    }
    // Bits turned in the middle of a frame: its checksum is wrong.
    std::string damaged = bytes;
    damaged[bytes.size() / 2] = static_cast<char>(~damaged[bytes.size() / 2]);
    write_bytes(folder / "c.flac", damaged);
    CHECK_MESSAGE(refusal(folder / "c.flac").starts_with("is corrupt after "), refusal(folder / "c.flac"));
  }

  TEST_CASE("silence and constants are refused") {
    CHECK(refusal_of(wav_bytes(std::vector<std::int16_t>(1000))) == "is silent: all 1000 samples are 0");
    CHECK(refusal_of(wav_bytes(std::vector<float>{0.0f, -0.0f, 0.0f})) == "is silent: all 3 samples are 0");
    CHECK(refusal_of(wav_bytes(std::vector<std::int16_t>(10, 7))) ==
          "is without sound: all 10 samples are 7");
    CHECK(refusal_of(wav_bytes(std::vector<float>(10, 0.5f))) == "is without sound: all 10 samples are 0.5");
    CHECK(refusal_of(wav_bytes(std::vector<std::int16_t>{1})) == "is without sound: all 1 samples are 1");
    std::vector<std::int16_t> one_step(1000);
    one_step.back() = 1;
    CHECK(refusal_of(wav_bytes(one_step)) == "not refused");
  }

  TEST_CASE("NaN, infinity and values that would overflow are refused, naming the sample") {
    auto samples = sine(100, 440, 16'000);
    samples[17] = std::numeric_limits<float>::quiet_NaN();
    CHECK(refusal_of(wav_bytes(samples)) == "sample 17 of 100 is nan: not a finite number");
    samples[17] = -std::numeric_limits<float>::infinity();
    CHECK(refusal_of(wav_bytes(samples)) == "sample 17 of 100 is -inf: not a finite number");
    samples[17] = 1e20f;
    CHECK(refusal_of(wav_bytes(samples)) == "sample 17 of 100 is 1e+20; the limit is 4294967296");
    samples[17] = 2147483648.0f;  // 32-bit integers as floats
    CHECK(refusal_of(wav_bytes(samples)) == "not refused");
    samples = std::vector<float>(100, std::numeric_limits<float>::quiet_NaN());
    CHECK(refusal_of(wav_bytes(samples, {.n_channels = 2})) == "sample 0 of 50 is nan: not a finite number");
  }

  TEST_CASE("many threads that refuse at once each have their own reason") {
    const TemporaryFolder folder;
    const std::string wav = wav_bytes(sine_int16(100, 440, 16'000));
    std::string no_format = wav;
    no_format.replace(12, 4, "xxxx");
    write_bytes(folder / "good.wav", wav);
    write_bytes(folder / "text.wav", "no recording");
    write_bytes(folder / "no_format.wav", no_format);
    const std::string alone = refusal(folder / "no_format.wav");
    REQUIRE(alone != refusal(folder / "text.wav"));
    std::atomic<int> n_wrong{0};
    parallel_for(3000, 4, [&](Index item, int) {
      const char* name[] = {"good.wav", "text.wav", "no_format.wav"};
      const std::string expected[] = {"not refused",
                                      "is not audio that libsndfile can read: Format not recognised", alone};
      n_wrong += refusal(folder / name[item % 3]) != expected[item % 3];
    });
    CHECK(n_wrong == 0);
  }

  TEST_CASE("no bytes crash the decoder: files with random damage are decoded or refused") {
    const TemporaryFolder folder;
    const auto samples = sine_int16(600, 440, 16'000);
    PhiloxSequence random(1, RandomStream::split);
    int n_decoded = 0, n_refused = 0;
    for (const int container : {SF_FORMAT_WAV, SF_FORMAT_FLAC, SF_FORMAT_AIFF, SF_FORMAT_CAF, SF_FORMAT_AU,
                                SF_FORMAT_W64, SF_FORMAT_RF64}) {
      write_sound(folder / "a", container | SF_FORMAT_PCM_16, 16'000, 1, samples);
      const std::string good = read_bytes(folder / "a");
      for (int round = 0; round < 300; ++round) {
        std::string bytes = good;
        // Most damage goes where headers are.
        for (std::uint32_t n = 1 + random.next_below(4); n > 0; --n) {
          const auto range =
              random.next_below(4) == 0 ? bytes.size() : std::min<std::size_t>(120, bytes.size());
          bytes[random.next_below(static_cast<std::uint32_t>(range))] = static_cast<char>(random.next());
        }
        if (random.next_below(4) == 0)
          bytes.resize(random.next_below(static_cast<std::uint32_t>(bytes.size())));
        write_bytes(folder / "b", bytes);
        try {
          const Waveform waveform = decode_audio(folder / "b");
          CHECK(waveform.n_samples() > 0);
          ++n_decoded;
        } catch (const Error&) {
          ++n_refused;
        }
      }
    }
    CHECK(n_decoded > 100);
    CHECK(n_refused > 100);
  }

  TEST_CASE("the published WAV files of RAVDESS are the same audio as their FLAC copies") {
    const char* ravdess = std::getenv("MELGRAD_RAVDESS");
    if (ravdess == nullptr) {
      MESSAGE("skipped: MELGRAD_RAVDESS is not set");
      return;
    }
    int n_compared = 0;
    for (const auto& entry : fs::directory_iterator(fs::path(ravdess) / "original_wav")) {
      const std::string stem = entry.path().stem().string();
      CAPTURE(stem);
      const Waveform wav = decode_audio(entry.path());
      const Waveform flac = decode_audio(fs::path(ravdess) / ("Actor_" + stem.substr(18)) / (stem + ".flac"));
      CHECK(wav.is_int16);
      CHECK(audio_hash(wav) == audio_hash(flac));
      ++n_compared;
    }
    CHECK(n_compared == 3);
  }

  TEST_CASE("resampling keeps a tone's frequency, phase and amplitude") {
    struct Case {
      int from, to;
      ResampleQuality quality;
      double tolerance;
    };
    // hq promises 20 bits, vhq 28, of which float32 output keeps 24: half of full scale, a few units in the
    // last place.
    for (const Case& c : {Case{48'000, 16'000, ResampleQuality::hq, 4e-6},
                          {16'000, 48'000, ResampleQuality::hq, 4e-6},
                          {44'100, 16'000, ResampleQuality::hq, 4e-6},
                          {48'000, 16'000, ResampleQuality::vhq, 4e-7},
                          {8'000, 22'050, ResampleQuality::vhq, 4e-7}}) {
      CAPTURE(c.from);
      CAPTURE(c.to);
      Waveform waveform = waveform_of(c.from, sine(c.from, 440, c.from));
      Resampler(c.to, c.quality).resample(waveform);
      CHECK(waveform.sample_rate == c.to);
      REQUIRE(waveform.n_samples() == c.to);
      const auto expected = sine(c.to, 440, c.to);
      // 100 ms at each end see the tone switched on and off.
      const auto end = static_cast<std::size_t>(c.to / 10);
      CHECK(largest_difference(waveform.float32, expected, end, expected.size() - end) < c.tolerance);
    }
  }

  TEST_CASE("resampling takes int16 to float32 of full scale 1") {
    Waveform waveform = waveform_of(48'000, sine_int16(48'000, 440, 48'000));
    Resampler(16'000).resample(waveform);
    REQUIRE_FALSE(waveform.is_int16);
    REQUIRE(waveform.n_samples() == 16'000);
    // Rounding to int16 is off by half a step, and 32767 is not 32768.
    CHECK(largest_difference(waveform.float32, sine(16'000, 440, 16'000), 1600, 14'400) < 3e-5);
  }

  TEST_CASE("resampling removes what the lower rate cannot hold") {
    Waveform waveform = waveform_of(48'000, sine(48'000, 10'000, 48'000));
    Resampler(16'000).resample(waveform);
    // 20 bits of rejection.
    CHECK(largest_difference(waveform.float32, std::vector<float>(16'000), 1600, 14'400) < 1e-6);
  }

  TEST_CASE("a waveform that has the rate already is left alone") {
    const auto samples = sine_int16(100, 440, 16'000);
    Waveform waveform = waveform_of(16'000, samples);
    Resampler(16'000).resample(waveform);
    CHECK(waveform.is_int16);
    CHECK(waveform.int16 == samples);
  }

  TEST_CASE("resampled lengths are rounded up, for the shortest clips too") {
    Resampler resampler(16'000);
    for (const int n_samples : {1, 2, 3, 100, 4799, 4801}) {
      CAPTURE(n_samples);
      Waveform waveform = waveform_of(48'000, sine(n_samples, 440, 48'000));
      resampler.resample(waveform);
      CHECK(waveform.n_samples() == (n_samples + 2) / 3);
    }
    CHECK_THROWS_WITH_AS(Resampler(1), "cannot resample to 1 Hz; the limits are 1000 and 768000 Hz", Error);
  }

  TEST_CASE("a batch holds its clips one after another, as int16 while all of them are") {
    BatchBuilder builder;
    CHECK(builder.view().n_clips() == 0);
    builder.append(waveform_of(8000, std::vector<std::int16_t>{1, 2, 3}));
    builder.append(waveform_of(8000, std::vector<std::int16_t>{-4}));
    const WaveformBatch batch = builder.view();
    CHECK(batch.sample_rate == 8000);
    REQUIRE(batch.n_clips() == 2);
    CHECK(batch.length(0) == 3);
    CHECK(batch.length(1) == 1);
    const auto samples = std::get<std::span<const std::int16_t>>(batch.samples);
    CHECK(std::vector(samples.begin(), samples.end()) == std::vector<std::int16_t>{1, 2, 3, -4});
  }

  TEST_CASE("one float32 clip makes a batch float32, and changes no value") {
    BatchBuilder builder;
    builder.append(waveform_of(8000, std::vector<std::int16_t>{-32768, 1}));
    builder.append(waveform_of(8000, std::vector<float>{0.5f}));
    builder.append(waveform_of(8000, std::vector<std::int16_t>{16384}));
    const WaveformBatch batch = builder.view();
    REQUIRE(batch.n_clips() == 3);
    const auto samples = std::get<std::span<const float>>(batch.samples);
    CHECK(std::vector(samples.begin(), samples.end()) == std::vector<float>{-1, 1 / 32768.0f, 0.5f, 0.5f});
  }

  TEST_CASE("a cleared batch takes another rate and type, and keeps its memory") {
    BatchBuilder builder;
    builder.append(waveform_of(8000, std::vector<std::int16_t>(100, 1)));
    const auto memory = std::get<std::span<const std::int16_t>>(builder.view().samples).data();
    CHECK_THROWS_WITH_AS(builder.append(waveform_of(16'000, std::vector<std::int16_t>{1})),
                         "a batch of 8000 Hz cannot take a clip of 16000 Hz", Error);
    builder.clear();
    builder.append(waveform_of(16'000, std::vector<float>{1, 2}));
    CHECK(builder.view().sample_rate == 16'000);
    CHECK(std::get<std::span<const float>>(builder.view().samples).size() == 2);
    builder.clear();
    builder.append(waveform_of(8000, std::vector<std::int16_t>(100, 2)));
    const auto samples = std::get<std::span<const std::int16_t>>(builder.view().samples);
    CHECK(samples.data() == memory);
    CHECK(samples[0] == 2);
    CHECK(samples.size() == 100);
  }
}
