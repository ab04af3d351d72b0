#pragma once
// Small audio files for tests, good ones and awkward ones.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace melgrad::test {

// A new folder that is removed at the end, whatever permissions the test has left in it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::filesystem::path& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// For a test of file permissions, which do not stop root: while it lives, root reads as nobody (65534); other
// users stay who they are.
class WithoutPrivileges {
 public:
  WithoutPrivileges();
  ~WithoutPrivileges();
  WithoutPrivileges(const WithoutPrivileges&) = delete;
  WithoutPrivileges& operator=(const WithoutPrivileges&) = delete;
  // False where root may not change its user (a container with one user): skip the test.
  bool works() const { return works_; }

 private:
  bool was_root_;
  bool works_;
};

// Parent folders are made as needed.
void write_bytes(const std::filesystem::path& file, std::string_view bytes);
std::string read_bytes(const std::filesystem::path& file);
// Waits until files written before are old enough for a cache to note their stamps, so that two caches of
// them are the same bytes.
void let_files_age();

// A WAV written byte by byte. Samples are interleaved; `bytes_before_data` goes between the chunks "fmt " and
// "data"; declared_bytes < 0 is the truth.
struct WavHeader {
  int sample_rate = 16'000;
  int n_channels = 1;
  std::string bytes_before_data = {};
  std::int64_t declared_bytes = -1;
};
std::string wav_bytes(const std::vector<std::int16_t>& samples, const WavHeader& header = {});
std::string wav_bytes(const std::vector<float>& samples, const WavHeader& header = {});
std::string wav_bytes_24(const std::vector<std::int32_t>& samples, const WavHeader& header = {});
// A RIFF chunk with its padding byte.
std::string riff_chunk(std::string_view name, std::string_view content);

// Through libsndfile, in one of its formats: SF_FORMAT_FLAC | SF_FORMAT_PCM_16.
void write_sound(const std::filesystem::path& file, int format, int sample_rate, int n_channels,
                 const std::vector<float>& samples);
void write_sound(const std::filesystem::path& file, int format, int sample_rate, int n_channels,
                 const std::vector<std::int16_t>& samples);

// amplitude * sin(2 pi frequency t), of full scale 1 or rounded to int16.
std::vector<float> sine(int n_samples, double frequency_hz, int sample_rate, double amplitude = 0.5);
std::vector<std::int16_t> sine_int16(int n_samples, double frequency_hz, int sample_rate,
                                     double amplitude = 0.5);

}  // namespace melgrad::test
