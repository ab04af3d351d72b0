#include "host/audio/decode.hpp"

#include <fcntl.h>
#include <sndfile.h>
#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <shared_mutex>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "host/audio/container.hpp"
#include "host/core/error.hpp"
#include "host/core/file_system.hpp"

namespace melgrad {
namespace {

// Memory for this many frames is taken on a header's word; for more, as they really come.
constexpr Index first_frames = 1 << 20;

// Never waits: a FIFO opens at once and is refused as no regular file.
Descriptor open_file(const std::filesystem::path& file) {
  Descriptor descriptor(file_system().open(file, O_RDONLY | O_NONBLOCK));
  if (descriptor.get() < 0) fail("cannot be opened: {}", errno_text(errno));
  return descriptor;
}

// Bytes in the file, after making sure that it is one.
sf_count_t regular_file_size(int descriptor) {
  struct stat status {};
  if (fstat(descriptor, &status) != 0) fail("cannot be read: {}", errno_text(errno));
  if (S_ISDIR(status.st_mode)) fail("is a folder, not a file");
  if (!S_ISREG(status.st_mode)) fail("is a device, pipe or socket, not a regular file");
  if (status.st_size == 0) fail("is empty (0 bytes)");
  return status.st_size;
}

// How libsndfile reads: through a descriptor and a position of ours. (Given a descriptor itself, libsndfile
// 1.2.0 closes it if it does not know the format, though asked not to.)
struct FileReader {
  int descriptor = -1;
  sf_count_t size = 0;
  sf_count_t position = 0;
  int error = 0;  // errno of a read that failed
};

SF_VIRTUAL_IO file_reader_calls() {
  SF_VIRTUAL_IO calls{};
  calls.get_filelen = [](void* user) { return static_cast<FileReader*>(user)->size; };
  calls.tell = [](void* user) { return static_cast<FileReader*>(user)->position; };
  calls.seek = [](sf_count_t offset, int whence, void* user) -> sf_count_t {
    auto& reader = *static_cast<FileReader*>(user);
    const sf_count_t base = whence == SEEK_CUR ? reader.position : whence == SEEK_END ? reader.size : 0;
    sf_count_t position = 0;
    if (__builtin_add_overflow(base, offset, &position) || position < 0) return -1;
    return reader.position = position;
  };
  calls.read = [](void* bytes, sf_count_t count, void* user) -> sf_count_t {
    auto& reader = *static_cast<FileReader*>(user);
    sf_count_t n_read = 0;
    while (n_read < count) {
      const std::span rest(static_cast<std::byte*>(bytes) + n_read, static_cast<std::size_t>(count - n_read));
      const ssize_t got = file_system().pread(reader.descriptor, rest, reader.position);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) reader.error = errno;
      if (got <= 0) break;
      n_read += got;
      reader.position += got;
    }
    return n_read;
  };
  calls.write = [](const void*, sf_count_t, void*) -> sf_count_t { return 0; };
  return calls;
}

struct CloseSound {
  void operator()(SNDFILE* sound) const { sf_close(sound); }
};
using Sound = std::unique_ptr<SNDFILE, CloseSound>;

// libsndfile keeps the reason of a failed sf_open in one variable of the process, which every sf_open resets.
// Opens share the lock; one that failed is repeated alone, to read its own reason.
Sound open_sound(FileReader& reader, SF_INFO& info) {
  static std::shared_mutex reason_mutex;
  SF_VIRTUAL_IO calls = file_reader_calls();
  {
    const std::shared_lock lock(reason_mutex);
    if (Sound sound{sf_open_virtual(&calls, SFM_READ, &info, &reader)}) return sound;
  }
  const std::unique_lock lock(reason_mutex);
  info = {};
  reader.position = 0;
  if (Sound sound{sf_open_virtual(&calls, SFM_READ, &info, &reader)}) return sound;
  std::string reason = sf_strerror(nullptr);
  while (!reason.empty() && (reason.back() == '.' || reason.back() == '\n')) reason.pop_back();
  fail("is not audio that libsndfile can read: {}", reason);
}

void check_limits(const SF_INFO& info, double max_duration_s) {
  if (info.samplerate < min_sample_rate || info.samplerate > max_sample_rate)
    fail("declares a sample rate of {} Hz; the limits are {} and {} Hz", info.samplerate, min_sample_rate,
         max_sample_rate);
  if (info.channels < 1 || info.channels > max_channels)
    fail("has {} channels; at most {} are mixed to mono", info.channels, max_channels);
  if (info.frames < 0) fail("declares {} samples", info.frames);
  const double duration_s = static_cast<double>(info.frames) / info.samplerate;
  if (info.frames != SF_COUNT_MAX && duration_s > max_duration_s)
    fail("declares {} samples, {:.0f} s; the limit is {} s", info.frames, duration_s, max_duration_s);
}

void check_declared_data(int descriptor, std::int64_t file_size) {
  const auto data = declared_data(descriptor);
  if (!data) return;
  const std::int64_t held = std::max<std::int64_t>(0, file_size - data->offset);
  if (data->n_bytes > held)
    fail("is truncated: its header declares {} bytes of samples, the file holds {}", data->n_bytes, held);
}

// Formats whose samples are integers of up to 16 bits, so that int16 loses nothing.
bool fits_int16(const SF_INFO& info) {
  switch (info.format & SF_FORMAT_SUBMASK) {
    case SF_FORMAT_PCM_S8:
    case SF_FORMAT_PCM_U8:
    case SF_FORMAT_PCM_16:
    case SF_FORMAT_ULAW:
    case SF_FORMAT_ALAW:
      return true;
    default:
      return false;
  }
}

sf_count_t read_frames(SNDFILE* sound, std::int16_t* frames, sf_count_t count) {
  return sf_readf_short(sound, frames, count);
}
sf_count_t read_frames(SNDFILE* sound, float* frames, sf_count_t count) {
  return sf_readf_float(sound, frames, count);
}

// All frames [n_frames, n_channels] of the file.
template <class T>
void read_all(SNDFILE* sound, const SF_INFO& info, double max_duration_s, std::vector<T>& frames) {
  const auto max_frames = static_cast<Index>(max_duration_s * info.samplerate);
  const Index wanted = std::min<Index>(info.frames, max_frames + 1);  // one more shows that there are more
  const Index n_channels = info.channels;
  Index room = std::min(wanted, first_frames), n_frames = 0;
  for (;;) {
    frames.resize(static_cast<std::size_t>(room * n_channels));
    n_frames += read_frames(sound, frames.data() + n_frames * n_channels, room - n_frames);
    if (n_frames < room || room == wanted) break;
    room = std::min(wanted, 2 * room);
  }
  frames.resize(static_cast<std::size_t>(n_frames * n_channels));
  if (sf_error(sound) != SF_ERR_NO_ERROR)
    fail("is corrupt after {} samples: {}", n_frames, sf_strerror(sound));
  if (n_frames > max_frames) fail("has more than {} samples, {} s, the limit", max_frames, max_duration_s);
  // MPEG audio without a table of contents has its length only estimated.
  const bool estimated = (info.format & SF_FORMAT_TYPEMASK) == SF_FORMAT_MPEG;
  if (n_frames < info.frames && info.frames != SF_COUNT_MAX && !estimated)
    fail("is truncated: its header declares {} samples, the file holds {}", info.frames, n_frames);
  if (n_frames == 0) fail("has no samples");
}

// frames [n_frames, 2] int16: one channel where both are identical, else their mean, which float32 holds
// exactly.
void mix_to_mono(std::span<const std::int16_t> frames, Waveform& waveform) {
  const std::size_t n_frames = frames.size() / 2;
  int difference = 0;
  for (std::size_t i = 0; i < n_frames; ++i) difference |= frames[2 * i] ^ frames[2 * i + 1];
  waveform.is_int16 = difference == 0;
  if (waveform.is_int16) {
    waveform.int16.resize(n_frames);
    for (std::size_t i = 0; i < n_frames; ++i) waveform.int16[i] = frames[2 * i];
  } else {
    waveform.float32.resize(n_frames);
    for (std::size_t i = 0; i < n_frames; ++i)
      waveform.float32[i] = static_cast<float>(frames[2 * i] + frames[2 * i + 1]) * 0x1p-16f;
  }
}

void mix_to_mono(std::span<const float> frames, Waveform& waveform) {
  const std::size_t n_frames = frames.size() / 2;
  waveform.is_int16 = false;
  waveform.float32.resize(n_frames);
  for (std::size_t i = 0; i < n_frames; ++i) waveform.float32[i] = (frames[2 * i] + frames[2 * i + 1]) * 0.5f;
}

// The largest magnitude, after refusing NaN, infinity and what would overflow in a power spectrum. A float's
// magnitude orders as its bits do, NaN and infinity above all: one integer maximum finds them.
float checked_peak(std::span<const float> samples) {
  constexpr auto limit = std::bit_cast<std::uint32_t>(static_cast<float>(max_amplitude));
  const auto magnitude = [](float sample) { return std::bit_cast<std::uint32_t>(sample) & 0x7fffffffu; };
  std::uint32_t largest = 0;
  for (const float sample : samples) largest = std::max(largest, magnitude(sample));
  if (largest <= limit) return std::bit_cast<float>(largest);
  const auto bad =
      std::find_if(samples.begin(), samples.end(), [&](float sample) { return magnitude(sample) > limit; });
  const auto index = bad - samples.begin();
  if (magnitude(*bad) >= 0x7f800000u)
    fail("sample {} of {} is {}: not a finite number", index, samples.size(), *bad);
  fail("sample {} of {} is {}; the limit is {}", index, samples.size(), *bad, max_amplitude);
}

template <class T>
void check_sound(std::span<const T> samples) {
  // Equal to itself shifted by one sample: every sample is the first.
  const bool constant =
      std::memcmp(samples.data(), samples.data() + 1, samples.size_bytes() - sizeof(T)) == 0;
  bool silent = constant && samples[0] == T{0};
  if constexpr (std::is_floating_point_v<T>) silent = checked_peak(samples) == 0;  // 0 and -0, mixed
  if (silent) fail("is silent: all {} samples are 0", samples.size());
  if (constant) fail("is without sound: all {} samples are {}", samples.size(), samples[0]);
}

}  // namespace

void AudioDecoder::decode(const std::filesystem::path& file, Waveform& waveform) {
  const Descriptor descriptor = open_file(file);
  FileReader reader{descriptor.get(), regular_file_size(descriptor.get())};
  const auto decode_sound = [&] {
    SF_INFO info{};
    const Sound sound = open_sound(reader, info);
    check_limits(info, options_.max_duration_s);
    check_declared_data(descriptor.get(), reader.size);

    // One channel is read straight into the waveform.
    const auto read = [&](auto& frames, auto& mono) {
      auto& target = info.channels == 1 ? mono : frames;
      read_all(sound.get(), info, options_.max_duration_s, target);
      if (info.channels > 1) mix_to_mono(std::span(std::as_const(frames)), waveform);
    };
    waveform.sample_rate = info.samplerate;
    waveform.is_int16 = fits_int16(info);
    try {
      if (waveform.is_int16)
        read(int16_frames_, waveform.int16);
      else
        read(float_frames_, waveform.float32);
    } catch (const std::bad_alloc&) {
      fail("there is no memory for its {} samples", info.frames);
    }
  };
  try {
    decode_sound();
  } catch (const Error&) {
    if (reader.error == 0) throw;
  }
  // Whatever libsndfile makes of a file that cannot be read, this is the reason.
  if (reader.error != 0) fail("cannot be read: {}", errno_text(reader.error));
  std::visit([](auto samples) { check_sound(samples); }, waveform.samples());
}

Waveform decode_audio(const std::filesystem::path& file, const DecodeOptions& options) {
  Waveform waveform;
  AudioDecoder(options).decode(file, waveform);
  return waveform;
}

}  // namespace melgrad
