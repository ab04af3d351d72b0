// The 57 values of pitch, loudness and timing of a clip: a block takes a clip. Everything is in double, and
// every sum in a fixed order.

#include <cmath>

#include "kernels/feature_stages.cuh"
#include "kernels/speech_kernels.hpp"
#include "kernels/warp_sums.cuh"

namespace melgrad::MELGRAD_KERNELS {
namespace {

constexpr double frames_per_s = 100;

// ---- over the block

struct Sum {
  __device__ double operator()(double a, double b) const { return a + b; }
};
struct Largest {
  __device__ double operator()(double a, double b) const { return a < b ? b : a; }
};
struct Least {
  __device__ double operator()(double a, double b) const { return b < a ? b : a; }
};

// `start` combined with of(i), i < n, in every thread. words: [n_warps].
template <class Of, class Combine>
__device__ __forceinline__ double over_block(int n, double start, const Of& of, const Combine& combine,
                                             double* words) {
  double own = start;
  for (int i = static_cast<int>(threadIdx.x); i < n; i += n_threads) own = combine(own, of(i));
#pragma unroll
  for (int step = 16; step > 0; step /= 2) own = combine(own, __shfl_xor_sync(whole_warp, own, step));
  __syncthreads();  // words have been read
  if (lane_id() == 0) words[warp_id()] = own;
  __syncthreads();
  double all = start;
  for (int w = 0; w < n_warps; ++w) all = combine(all, words[w]);
  return all;
}
template <class Of>
__device__ __forceinline__ double sum_of(int n, const Of& of, double* words) {
  return over_block(n, 0.0, of, Sum(), words);
}
template <class Of>
__device__ __forceinline__ double largest_of(int n, const Of& of, double* words) {
  return over_block(n, -INFINITY, of, Largest(), words);
}
// Where of(i) is first the largest.
template <class Of>
__device__ __forceinline__ double place_of_largest(int n, const Of& of, double largest, double* words) {
  return over_block(
      n, n, [&](int i) { return of(i) == largest ? static_cast<double>(i) : static_cast<double>(n); },
      Least(), words);
}

struct Moments {
  double mean, std;  // of the population
};
template <class Of>
__device__ __forceinline__ Moments moments_of(int n, const Of& of, double* words) {
  const double mean = sum_of(n, of, words) / n;
  const auto square = [&](int i) { return (of(i) - mean) * (of(i) - mean); };
  return {mean, sqrt(sum_of(n, square, words) / n)};
}

// ---- over a warp

// The key of a rank, counted from 0, among n keys of n_bits: the largest key that no more than `rank` of them
// are below, found bit by bit.
template <class KeyOf>
__device__ __forceinline__ std::uint64_t key_of_rank(int n, int rank, int n_bits, const KeyOf& key_of) {
  std::uint64_t found = 0;
  for (int bit = n_bits - 1; bit >= 0; --bit) {
    const std::uint64_t candidate = found | std::uint64_t{1} << bit;
    int n_below = 0;
    for (int i = lane_id(); i < n; i += 32) n_below += key_of(i) < candidate ? 1 : 0;
    if (warp_sum(n_below) <= rank) found = candidate;
  }
  return found;
}

// numpy.percentile of n values: linear between the two of value_of_rank around it.
template <class ValueOfRank>
__device__ __forceinline__ double percentile(int n, double percent, const ValueOfRank& value_of_rank) {
  const double place = percent / 100 * (n - 1);
  const int below = static_cast<int>(place), above = min(below + 1, n - 1);
  const double low = value_of_rank(below), high = value_of_rank(above);
  return low + (place - below) * (high - low);
}

// In the order of the doubles.
__device__ __forceinline__ std::uint64_t ordered_key(double x) {
  const auto bits = static_cast<std::uint64_t>(__double_as_longlong(x));
  return bits >> 63 != 0 ? ~bits : bits | std::uint64_t{1} << 63;
}
__device__ __forceinline__ double from_ordered_key(std::uint64_t key) {
  return __longlong_as_double(static_cast<long long>(key >> 63 != 0 ? key ^ std::uint64_t{1} << 63 : ~key));
}

// ---- a clip

struct ClipTracks {
  const float* rms_db;       // [n_frames]
  const float* periodicity;  // [n_frames]
  const int* lags;           // [n_frames], smooth
  const int* voiced;         // [n_voiced] frames
  const double* log_f0;      // by lag
  int n_frames, n_voiced;
  float* out;

  __device__ double db_at(int frame) const { return rms_db[frame]; }
  __device__ double f0_at(int frame) const { return log_f0[lags[frame]]; }
  // Of the i-th voiced frame.
  __device__ double f0(int i) const { return f0_at(voiced[i]); }
  __device__ double db(int i) const { return db_at(voiced[i]); }
  __device__ bool begins_run(int i) const { return i == 0 || voiced[i] != voiced[i - 1] + 1; }

  // By one thread.
  __device__ void put(int value, double x) const {
    if (threadIdx.x == 0) out[value] = static_cast<float>(x);
  }
};

// The median of five frames' lags. Zeros before the clip, which are below any pitch, are longer lags than
// any.
__device__ __forceinline__ int smooth_lag(const int* lags, int frame) {
  int near[5];
#pragma unroll
  for (int i = 0; i < 5; ++i) near[i] = frame + i >= 2 ? lags[frame + i - 2] : n_lags;
  int median = 0;
#pragma unroll
  for (int i = 0; i < 5; ++i) {
    int n_less = 0, n_equal = 0;
#pragma unroll
    for (int j = 0; j < 5; ++j) {
      n_less += near[j] < near[i];
      n_equal += near[j] == near[i];
    }
    if (n_less <= 2 && n_less + n_equal > 2) median = near[i];
  }
  return median;
}

// Writes the frames for which is_voiced(frame), in their order, and returns their number. counts: [n_warps].
template <class IsVoiced>
__device__ __forceinline__ int list_voiced(int n_frames, const IsVoiced& is_voiced, int* voiced,
                                           int* counts) {
  int n_voiced = 0;
  for (int first = 0; first < n_frames; first += n_threads) {
    const int frame = first + static_cast<int>(threadIdx.x);
    const bool is_in = frame < n_frames && is_voiced(frame);
    const unsigned votes = __ballot_sync(whole_warp, is_in);
    __syncthreads();  // counts have been read
    if (lane_id() == 0) counts[warp_id()] = __popc(votes);
    __syncthreads();
    int place = n_voiced + __popc(votes & ((1u << lane_id()) - 1));
    for (int w = 0; w < n_warps; ++w) {
      if (w < warp_id()) place += counts[w];
      n_voiced += counts[w];
    }
    if (is_in) voiced[place] = frame;
  }
  __syncthreads();
  return n_voiced;
}

// Periodic frames less than 30 dB below the loudest; where they are fewer than five, the five most periodic.
__device__ __forceinline__ int find_voiced(const ClipTracks& clip, double loudest, int* voiced, int* counts) {
  const auto is_voiced = [&](int frame) {
    return clip.periodicity[frame] > 0.5f && clip.db_at(frame) - loudest > -30;
  };
  const int n_voiced = list_voiced(clip.n_frames, is_voiced, voiced, counts);
  constexpr int least = 5;
  if (n_voiced >= least) return n_voiced;
  const auto key = [&](int frame) { return std::uint64_t{ordered_bits(clip.periodicity[frame])}; };
  const int rank = clip.n_frames - min(least, clip.n_frames);
  const std::uint64_t limit = key_of_rank(clip.n_frames, rank, 32, key);
  const auto is_among_them = [&](int frame) { return key(frame) >= limit; };
  return list_voiced(clip.n_frames, is_among_them, voiced, counts);
}

// Values 0 to 11: mean, std, percentiles, ranges and slope of f0.
__device__ __forceinline__ void put_pitch_level(const ClipTracks& clip, const Moments& f0, double* words) {
  const int n = clip.n_voiced;
  clip.put(0, f0.mean);
  clip.put(1, f0.std);
  // Pitches are few: keys of 8 bits, which rise with the pitch.
  static_assert(n_lags < 256);
  const auto key = [&](int i) { return static_cast<std::uint64_t>(n_lags - clip.lags[clip.voiced[i]]); };
  const auto of_rank = [&](int rank) {
    return clip.log_f0[n_lags - static_cast<int>(key_of_rank(n, rank, 8, key))];
  };
  constexpr double percents[7] = {2, 10, 25, 50, 75, 90, 98};
  __syncthreads();  // words have been read
  if (warp_id() < 7) {
    const double value = percentile(n, percents[warp_id()], of_rank);
    if (lane_id() == 0) words[warp_id()] = value;
  }
  __syncthreads();
  for (int i = 0; i < 7; ++i) clip.put(2 + i, words[i]);
  clip.put(9, words[6] - words[0]);
  clip.put(10, words[5] - words[1]);

  const auto seconds = [&](int i) { return clip.voiced[i] / frames_per_s; };
  const double mean_s = sum_of(n, seconds, words) / n;
  const double squares = sum_of(
      n, [&](int i) { return (seconds(i) - mean_s) * (seconds(i) - mean_s); }, words);
  const double products = sum_of(
      n, [&](int i) { return (seconds(i) - mean_s) * (clip.f0(i) - f0.mean); }, words);
  clip.put(11, n > 3 && squares > 0 ? products / squares : 0);
}

// Values 12 to 18: steps of f0 from frame to frame, without jumps.
__device__ __forceinline__ void put_steps(const ClipTracks& clip, double* words) {
  const int n = clip.n_voiced;
  const auto step = [&](int i) { return clip.f0_at(clip.voiced[i]) - clip.f0_at(clip.voiced[i] - 1); };
  const auto is_step = [&](int i) { return !clip.begins_run(i) && fabs(step(i)) < 0.2; };
  const auto over_steps = [&](const auto& of) {
    return sum_of(
        n, [&](int i) { return is_step(i) ? of(step(i)) : 0.0; }, words);
  };
  const int n_steps = static_cast<int>(over_steps([](double) { return 1.0; }));
  if (n_steps == 0) {
    for (int value = 12; value < 19; ++value) clip.put(value, 0);
    return;
  }
  const double mean = over_steps([](double x) { return x; }) / n_steps;
  clip.put(12, mean);
  clip.put(13, sqrt(over_steps([&](double x) { return (x - mean) * (x - mean); }) / n_steps));
  clip.put(14, over_steps([](double x) { return fabs(x); }) / n_steps);
  const auto key = [&](int i) { return is_step(i) ? ordered_key(step(i)) : ~std::uint64_t{0}; };
  const auto of_rank = [&](int rank) { return from_ordered_key(key_of_rank(n, rank, 64, key)); };
  constexpr double percents[4] = {5, 25, 75, 95};
  if (warp_id() < 4) {
    const double value = percentile(n_steps, percents[warp_id()], of_rank);
    if (lane_id() == 0) clip.out[15 + warp_id()] = static_cast<float>(value);
  }
}

// Values 19 to 26: periodicity, and runs of voiced frames.
__device__ __forceinline__ void put_voicing(const ClipTracks& clip, double* words) {
  const int n = clip.n_voiced;
  const Moments voiced = moments_of(
      n, [&](int i) { return static_cast<double>(clip.periodicity[clip.voiced[i]]); }, words);
  clip.put(19, voiced.mean);
  clip.put(20, voiced.std);
  clip.put(21, sum_of(
                   clip.n_frames, [&](int t) { return static_cast<double>(clip.periodicity[t]); }, words) /
                   clip.n_frames);
  clip.put(22, static_cast<double>(n) / clip.n_frames);
  const double n_runs = sum_of(
      n, [&](int i) { return clip.begins_run(i) ? 1.0 : 0.0; }, words);
  const double mean_s = n / n_runs / frames_per_s;
  // Of the run that begins at i.
  const auto seconds = [&](int i) {
    int end = i + 1;
    while (end < n && !clip.begins_run(end)) ++end;
    return (end - i) / frames_per_s;
  };
  const auto over_runs = [&](const auto& of) {
    return [&](int i) { return clip.begins_run(i) ? of(seconds(i)) : 0.0; };
  };
  const auto square = [&](double s) { return (s - mean_s) * (s - mean_s); };
  clip.put(23, n_runs / (clip.n_frames / frames_per_s));
  clip.put(24, mean_s);
  clip.put(25, sqrt(sum_of(n, over_runs(square), words) / n_runs));
  clip.put(26, largest_of(n, over_runs([](double s) { return s; }), words));
}

// Values 27 to 30 and 38 to 42: f0 of quarters of the voiced frames, loudness of fifths of all less the mean.
// A warp takes a part, cut as numpy.array_split does.
__device__ __forceinline__ void put_parts(const ClipTracks& clip, double f0_mean, double db_mean) {
  const auto put = [&](int value, int n, int n_parts, int part, double less, double otherwise,
                       const auto& of) {
    const int size = n / n_parts, longer = n % n_parts;
    const int begin = part * size + min(part, longer), end = begin + size + (part < longer ? 1 : 0);
    double sum = 0;
    for (int i = begin + lane_id(); i < end; i += 32) sum += of(i);
    sum = warp_sum(sum);
    const double mean = end > begin ? sum / (end - begin) : otherwise;
    if (lane_id() == 0) clip.out[value + part] = static_cast<float>(mean - less);
  };
  for (int part = warp_id(); part < 9; part += n_warps)
    if (part < 4)
      put(27, clip.n_voiced, 4, part, 0, f0_mean, [&](int i) { return clip.f0(i); });
    else
      put(38, clip.n_frames, 5, part - 4, db_mean, db_mean, [&](int t) { return clip.db_at(t); });
}

// Values 43 to 48: autocorrelation of loudness after 50 to 400 ms; 0 up to 41 frames.
__device__ __forceinline__ void put_rhythm(const ClipTracks& clip, double db_mean, double* words) {
  constexpr int lags[7] = {0, 5, 10, 15, 20, 30, 40};
  __syncthreads();  // words have been read
  if (warp_id() < 7) {
    const int lag = lags[warp_id()];
    double sum = 0;
    for (int t = lag + lane_id(); t < clip.n_frames; t += 32)
      sum += (clip.db_at(t) - db_mean) * (clip.db_at(t - lag) - db_mean);
    sum = warp_sum(sum);
    if (lane_id() == 0) words[warp_id()] = sum;
  }
  __syncthreads();
  for (int i = 0; i < 6; ++i) clip.put(43 + i, clip.n_frames > 41 ? words[1 + i] / (words[0] + 1e-9) : 0);
}

// Values 31 to 34: loudness of voiced frames, and its correlation with f0.
__device__ __forceinline__ void put_voiced_loudness(const ClipTracks& clip, const Moments& f0,
                                                    const Moments& db, double db_largest, double* words) {
  const int n = clip.n_voiced;
  clip.put(31, db.mean);
  clip.put(32, db.std);
  clip.put(33, db_largest);
  const double products = sum_of(
      n, [&](int i) { return (clip.f0(i) - f0.mean) * (clip.db(i) - db.mean); }, words);
  const bool vary = n > 3 && f0.std > 1e-6 && db.std > 1e-6;
  clip.put(34, vary ? products / n / (f0.std * db.std) : 0);
}

__global__ void __launch_bounds__(n_threads, 1)
    speech_prosody_kernel(const __grid_constant__ speech::Tables tables,
                          const __grid_constant__ speech::Part part) {
  SHARED_ARRAY(double, words, n_warps);
  SHARED_ARRAY(int, counts, n_warps);
  const int index = static_cast<int>(blockIdx.x);
  const speech::Clip of_clip = part.clips[index];
  const std::int64_t pitches = speech::pitch_row(of_clip, index);
  int* const lags = part.smooth_lags + of_clip.first_row;
  int* const voiced = part.voiced + of_clip.first_row;
  for (int t = static_cast<int>(threadIdx.x); t < of_clip.n_frames; t += n_threads)
    lags[t] = of_clip.has_smooth_pitch ? smooth_lag(part.lags + pitches, t) : part.lags[pitches + t];

  ClipTracks clip{part.rms_db + of_clip.first_row,
                  part.periodicity + pitches,
                  lags,
                  voiced,
                  tables.log_f0,
                  of_clip.n_frames,
                  0,
                  part.features + std::int64_t{index} * part.n_features +
                      part.first_feature[static_cast<int>(SpeechGroup::prosody)]};
  const auto db_at = [&](int t) { return clip.db_at(t); };
  const double loudest = largest_of(clip.n_frames, db_at, words);
  clip.n_voiced = find_voiced(clip, loudest, voiced, counts);
  const auto f0_of = [&](int i) { return clip.f0(i); };
  const auto db_of = [&](int i) { return clip.db(i); };
  const Moments f0 = moments_of(clip.n_voiced, f0_of, words), db = moments_of(clip.n_voiced, db_of, words);
  const double f0_largest = largest_of(clip.n_voiced, f0_of, words);
  const double db_largest = largest_of(clip.n_voiced, db_of, words);
  put_pitch_level(clip, f0, words);
  put_steps(clip, words);
  put_voicing(clip, words);
  const double db_mean = sum_of(clip.n_frames, db_at, words) / clip.n_frames;
  put_parts(clip, f0.mean, db_mean);
  put_voiced_loudness(clip, f0, db, db_largest, words);
  for (int i = 0; i < 3; ++i) {
    const double limit = -10.0 * (i + 1);
    const auto is_above = [&](int t) { return clip.db_at(t) - loudest > limit ? 1.0 : 0.0; };
    clip.put(35 + i, sum_of(clip.n_frames, is_above, words) / clip.n_frames);
  }
  put_rhythm(clip, db_mean, words);
  clip.put(49, clip.n_frames / frames_per_s);
  clip.put(50, of_clip.full_s);
  clip.put(51, of_clip.lead_s);
  clip.put(52, of_clip.trail_s);
  clip.put(53, f0.mean - clip.f0(0));
  clip.put(54, clip.f0(clip.n_voiced - 1) - f0.mean);
  clip.put(55, place_of_largest(clip.n_voiced, f0_of, f0_largest, words) / clip.n_voiced);
  clip.put(56, place_of_largest(clip.n_voiced, db_of, db_largest, words) / clip.n_voiced);
}

}  // namespace

void launch_speech_prosody(const speech::Tables& tables, const speech::Part& part, cudaStream_t stream) {
  launch(speech_prosody_kernel, {static_cast<unsigned>(part.n_clips), n_threads}, stream, tables, part);
}

}  // namespace melgrad::MELGRAD_KERNELS
