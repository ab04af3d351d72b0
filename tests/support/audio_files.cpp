#include "support/audio_files.hpp"

#include <sndfile.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <numbers>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "host/cache/extraction.hpp"

namespace melgrad::test {
namespace {

namespace fs = std::filesystem;

std::string little_endian(std::uint64_t value, int n_bytes) {
  std::string bytes;
  for (int i = 0; i < n_bytes; ++i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}

// format_tag: 1 integers, 3 floats.
std::string wav(int format_tag, int bytes_per_sample, const std::string& data, const WavHeader& header) {
  const auto n_channels = static_cast<std::uint64_t>(header.n_channels);
  const auto rate = static_cast<std::uint64_t>(header.sample_rate);
  const auto frame_bytes = n_channels * static_cast<std::uint64_t>(bytes_per_sample);
  const std::string format = little_endian(static_cast<std::uint64_t>(format_tag), 2) +
                             little_endian(n_channels, 2) + little_endian(rate, 4) +
                             little_endian(rate * frame_bytes, 4) + little_endian(frame_bytes, 2) +
                             little_endian(static_cast<std::uint64_t>(8 * bytes_per_sample), 2);
  const std::uint64_t declared =
      header.declared_bytes < 0 ? data.size() : static_cast<std::uint64_t>(header.declared_bytes);
  const std::string chunks = riff_chunk("fmt ", format) + header.bytes_before_data + "data" +
                             little_endian(declared, 4) + data + std::string(data.size() % 2, '\0');
  return "RIFF" + little_endian(chunks.size() + 4, 4) + "WAVE" + chunks;
}

template <class T>
std::string as_bytes(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

SNDFILE* open_for_writing(const fs::path& file, int format, int sample_rate, int n_channels) {
  if (file.has_parent_path()) fs::create_directories(file.parent_path());
  SF_INFO info{};
  info.samplerate = sample_rate;
  info.channels = n_channels;
  info.format = format;
  SNDFILE* sound = sf_open(file.c_str(), SFM_WRITE, &info);
  if (sound == nullptr) throw std::runtime_error(file.string() + ": " + sf_strerror(nullptr));
  return sound;
}

}  // namespace

TemporaryFolder::TemporaryFolder() {
  std::string name = (fs::temp_directory_path() / "melgrad_test_XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::system_error(errno, std::generic_category(), name);
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  for (fs::recursive_directory_iterator entry(path_, ignored), end; entry != end; entry.increment(ignored))
    if (entry->is_directory(ignored) && !entry->is_symlink(ignored))
      fs::permissions(entry->path(), fs::perms::owner_all, ignored);
  fs::remove_all(path_, ignored);
}

WithoutPrivileges::WithoutPrivileges()
    : was_root_(geteuid() == 0), works_(!was_root_ || seteuid(65534) == 0) {}

WithoutPrivileges::~WithoutPrivileges() {
  if (was_root_ && works_ && seteuid(0) != 0) std::abort();  // every later test would run as nobody
}

void let_files_age() {
  std::this_thread::sleep_for(std::chrono::duration<double>(ExtractionOptions{}.min_file_age_s + 0.1));
}

void write_bytes(const fs::path& file, std::string_view bytes) {
  if (file.has_parent_path()) fs::create_directories(file.parent_path());
  fs::remove(file);  // ext4 waits for the disk where a file is written over
  std::ofstream stream(file, std::ios::binary);
  stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!stream.flush()) throw std::runtime_error(file.string() + ": cannot be written");
}

std::string read_bytes(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw std::runtime_error(file.string() + ": cannot be read");
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::string riff_chunk(std::string_view name, std::string_view content) {
  return std::string(name) + little_endian(content.size(), 4) + std::string(content) +
         std::string(content.size() % 2, '\0');
}

std::string wav_bytes(const std::vector<std::int16_t>& samples, const WavHeader& header) {
  return wav(1, 2, as_bytes(samples), header);
}

std::string wav_bytes(const std::vector<float>& samples, const WavHeader& header) {
  return wav(3, 4, as_bytes(samples), header);
}

std::string wav_bytes_24(const std::vector<std::int32_t>& samples, const WavHeader& header) {
  std::string data;
  for (const std::int32_t sample : samples) data += little_endian(static_cast<std::uint32_t>(sample), 3);
  return wav(1, 3, data, header);
}

void write_sound(const fs::path& file, int format, int sample_rate, int n_channels,
                 const std::vector<float>& samples) {
  SNDFILE* sound = open_for_writing(file, format, sample_rate, n_channels);
  sf_command(sound, SFC_SET_CLIPPING, nullptr, SF_TRUE);
  const auto count = static_cast<sf_count_t>(samples.size());
  const bool written = sf_write_float(sound, samples.data(), count) == count;
  if (sf_close(sound) != 0 || !written) throw std::runtime_error(file.string() + ": cannot be written");
}

void write_sound(const fs::path& file, int format, int sample_rate, int n_channels,
                 const std::vector<std::int16_t>& samples) {
  SNDFILE* sound = open_for_writing(file, format, sample_rate, n_channels);
  const auto count = static_cast<sf_count_t>(samples.size());
  const bool written = sf_write_short(sound, samples.data(), count) == count;
  if (sf_close(sound) != 0 || !written) throw std::runtime_error(file.string() + ": cannot be written");
}

std::vector<float> sine(int n_samples, double frequency_hz, int sample_rate, double amplitude) {
  std::vector<float> samples;
  for (int i = 0; i < n_samples; ++i)
    samples.push_back(
        static_cast<float>(amplitude * std::sin(2 * std::numbers::pi * frequency_hz * i / sample_rate)));
  return samples;
}

std::vector<std::int16_t> sine_int16(int n_samples, double frequency_hz, int sample_rate, double amplitude) {
  std::vector<std::int16_t> samples;
  for (const float sample : sine(n_samples, frequency_hz, sample_rate, amplitude))
    samples.push_back(static_cast<std::int16_t>(std::lround(sample * 32767)));
  return samples;
}

}  // namespace melgrad::test
