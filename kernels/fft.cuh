#pragma once
// Spectra of real frames of 256 to 4096 samples: eight warps transform a tile of frames from global memory
// into rows of |X|^2 or |X| in shared memory.
//
// A frame of n_fft real samples is z[n] = x[2n] + i x[2n + 1], n < M = n_fft / 2, and its transform Z gives
//   2 X[k] = Z[k] + conj(Z[M - k]) - i W^k (Z[k] - conj(Z[M - k])),  W = exp(-2 pi i / n_fft)
// A warp computes 1024 values of Z at once: 32 in each lane, as a DFT over registers, one transposition
// through shared memory and a DFT over registers again. So one frame of n_fft 2048 is a warp's work; 2, 4, 8
// shorter frames are too, and a frame of 4096 is split between two warps: one gets z[n] + z[n + 1024], whose
// transform is Z at even places, the other the difference times exp(-2 pi i n / 2048) for the odd ones.
// Partners Z[k] and Z[M - k] are in the same warp in each case.

#include <cstdint>

#include "kernels/launch.cuh"

namespace melgrad::MELGRAD_KERNELS {

inline constexpr unsigned whole_warp = 0xffffffffu;
inline constexpr int n_warps = 8;  // of a block of every kernel here
inline constexpr int n_threads = 32 * n_warps;

// How frames of n_fft lie in a tile.
template <int n_fft>
struct TileShape {
  static_assert(n_fft >= 256 && n_fft <= 4096 && (n_fft & (n_fft - 1)) == 0);
  static constexpr int n_bins = n_fft / 2 + 1;
  static constexpr int n_frames = 8 * 2048 / n_fft;
  static constexpr int radix = n_fft <= 2048 ? n_fft / 64 : 32;  // of the first DFT
  static constexpr int frames_per_warp = 32 / radix;
  // Words from row to row: 32 / n_frames modulo 32, so that lanes that stand for a frame and one of 32 /
  // n_frames neighbouring bins read without bank conflicts; odd from 32 frames on.
  static constexpr int row_stride = n_fft == 256    ? 145
                                    : n_fft == 512  ? 289
                                    : n_fft == 1024 ? 578
                                    : n_fft == 2048 ? 1156
                                                    : 2312;
  // The largest |X|^2 of a frame stands behind its bins, in 4096 in two parts: of the even and the odd bins.
  static constexpr int largest_at = n_bins;
  static constexpr int n_largest = n_fft == 4096 ? 2 : 1;
  // For the transposition: a warp's 32 rows of 32 words, which start in banks 4 apart.
  static constexpr int pitch = 36;
  static constexpr int warp_words = 1156;
  static constexpr int n_words =
      n_frames * row_stride > n_warps* warp_words ? n_frames* row_stride : n_warps* warp_words;
  static_assert(n_bins + n_largest <= row_stride && 32 * pitch <= warp_words);
};

// Per lane, so that loads are coalesced; built by fft_tables() in device_feature_tables.cu.
struct TransformTables {
  // [n_fft / 128][32]: the window / 65536 at samples 64 a + 2 lane, + 1, and the same of a + 1: the formula
  // above gives 2 X, and the full scale of samples is 32768 in registers.
  const float4* window;
  // [radix / 2][32]: exp(-2 pi i lane c / (32 radix)) of c and c + 1
  const float4* twiddles;
  // [n_parts][8][32]: -i W^k of the bins k that a lane has in registers d and d + 1
  const float4* post;
  const float4* split;  // [16][32], of 4096 alone: exp(-2 pi i n / 2048) of n = 32 a + lane, and of a + 1
};

// Where a tile's frames are. A clip's samples are padded and lie in one piece.
struct FrameSamples {
  const void* samples;  // of the clip; int16 or float, 128-byte aligned
  std::int64_t first;   // sample of the tile's first frame
  int hop_length;
  int n_valid;  // frames in this tile; the others are zeros
  bool is_float;
};

struct Complex {
  float r, i;
};

__device__ __forceinline__ void multiply(Complex& x, float wr, float wi) {
  const float r = fmaf(x.i, -wi, x.r * wr), i = fmaf(x.i, wr, x.r * wi);
  x.r = r;
  x.i = i;
}

// ---- DFTs over registers, in place, in natural order

__device__ __forceinline__ void dft4(Complex& a, Complex& b, Complex& c, Complex& d) {
  const float pr = a.r + c.r, pi = a.i + c.i, qr = a.r - c.r, qi = a.i - c.i;
  const float ur = b.r + d.r, ui = b.i + d.i, vr = b.r - d.r, vi = b.i - d.i;
  a = {pr + ur, pi + ui};
  b = {qr + vi, qi - vr};
  c = {pr - ur, pi - ui};
  d = {qr - vi, qi + vr};
}

__device__ __forceinline__ void dft8(Complex* x) {
  constexpr float h = 0.70710678118654752f;
  dft4(x[0], x[2], x[4], x[6]);
  dft4(x[1], x[3], x[5], x[7]);
  const Complex e0 = x[0], e1 = x[2], e2 = x[4], e3 = x[6], o0 = x[1], o1 = x[3], o2 = x[5], o3 = x[7];
  const float s1 = o1.r + o1.i, t1 = o1.i - o1.r, s3 = o3.i - o3.r, t3 = o3.i + o3.r;
  x[0] = {e0.r + o0.r, e0.i + o0.i};
  x[4] = {e0.r - o0.r, e0.i - o0.i};
  x[1] = {fmaf(h, s1, e1.r), fmaf(h, t1, e1.i)};
  x[5] = {fmaf(-h, s1, e1.r), fmaf(-h, t1, e1.i)};
  x[2] = {e2.r + o2.i, e2.i - o2.r};
  x[6] = {e2.r - o2.i, e2.i + o2.r};
  x[3] = {fmaf(h, s3, e3.r), fmaf(-h, t3, e3.i)};
  x[7] = {fmaf(-h, s3, e3.r), fmaf(h, t3, e3.i)};
}

// cos(2 pi k / 32) for any k >= 0.
__host__ __device__ constexpr float cos32(int k) {
  constexpr float quarter[] = {1.0f,
                               0.98078528040323045f,
                               0.92387953251128676f,
                               0.83146961230254524f,
                               0.70710678118654752f,
                               0.55557023301960222f,
                               0.38268343236508977f,
                               0.19509032201612827f,
                               0.0f};
  k &= 31;
  return k <= 8 ? quarter[k] : k <= 16 ? -quarter[16 - k] : k <= 24 ? -quarter[k - 16] : quarter[32 - k];
}
__host__ __device__ constexpr float sin32(int k) {
  return cos32(k + 24);
}

// n = 4 m: m-point DFTs of every fourth value, then 4-point ones.
template <int n>
__device__ __forceinline__ void dft(Complex* x) {
  if constexpr (n == 4) {
    dft4(x[0], x[1], x[2], x[3]);
  } else if constexpr (n == 8) {
    dft8(x);
  } else {
    constexpr int m = n / 4;
    Complex t[n];
#pragma unroll
    for (int v = 0; v < 4; ++v) {
      Complex y[m];
#pragma unroll
      for (int u = 0; u < m; ++u) y[u] = x[4 * u + v];
      dft<m>(y);
#pragma unroll
      for (int s = 0; s < m; ++s) t[v * m + s] = y[s];
    }
#pragma unroll
    for (int s = 0; s < m; ++s) {
      Complex a = t[s], b = t[m + s], c = t[2 * m + s], d = t[3 * m + s];
      if (s != 0) {
        constexpr int turn = 32 / n;
        multiply(b, cos32(turn * s), -sin32(turn * s));
        if (turn * s == 4)
          c = {c.i, -c.r};
        else
          multiply(c, cos32(2 * turn * s), -sin32(2 * turn * s));
        multiply(d, cos32(3 * turn * s), -sin32(3 * turn * s));
      }
      dft4(a, b, c, d);
      x[s] = a;
      x[m + s] = b;
      x[2 * m + s] = c;
      x[3 * m + s] = d;
    }
  }
}

// ---- samples

// Two int16 of a word as floats: one instruction each. They run at a quarter of the rate, but beside the
// others; permuting bytes into the mantissa of 2^23 takes five for a pair, and instructions are what limits
// us.
__device__ __forceinline__ Complex pair_of_int16(unsigned word) {
  return {static_cast<float>(static_cast<std::int16_t>(word & 0xffffu)),
          static_cast<float>(static_cast<std::int16_t>(word >> 16))};
}

// z[n] with n = first_pair + 32 a + lane for a < count, windowed. `window` is at a = 0 of the lane.
template <int count>
__device__ __forceinline__ void load_pairs(const FrameSamples& source, std::int64_t first, int lane,
                                           const float4* window, Complex* z) {
  const bool is_even = (first & 1) == 0;
  if (source.is_float && is_even) {
    const float2* from =
        reinterpret_cast<const float2*>(static_cast<const float*>(source.samples) + first) + lane;
#pragma unroll
    for (int a = 0; a < count; ++a) {
      const float2 pair = __ldg(from + 32 * a);
      z[a] = {32768.0f * pair.x, 32768.0f * pair.y};
    }
  } else if (source.is_float) {
    const float* from = static_cast<const float*>(source.samples) + first + 2 * lane;
#pragma unroll
    for (int a = 0; a < count; ++a)
      z[a] = {32768.0f * __ldg(from + 64 * a), 32768.0f * __ldg(from + 64 * a + 1)};
  } else if (is_even) {
    const unsigned* from =
        reinterpret_cast<const unsigned*>(static_cast<const std::int16_t*>(source.samples) + first) + lane;
#pragma unroll
    for (int a = 0; a < count; ++a) z[a] = pair_of_int16(__ldg(from + 32 * a));
  } else {
    const std::int16_t* from = static_cast<const std::int16_t*>(source.samples) + first + 2 * lane;
#pragma unroll
    for (int a = 0; a < count; ++a)
      z[a] = {static_cast<float>(__ldg(from + 64 * a)), static_cast<float>(__ldg(from + 64 * a + 1))};
  }
#pragma unroll
  for (int a = 0; a < count; a += 2) {
    const float4 w = __ldg(window + 16 * a);
    z[a].r *= w.x;
    z[a].i *= w.y;
    z[a + 1].r *= w.z;
    z[a + 1].i *= w.w;
  }
}

// The 32 values that a lane starts with: of n_fft <= 2048, register g radix + a is z[32 a + lane] of the
// warp's g-th frame.
template <int n_fft>
__device__ __forceinline__ void load_frames(const TransformTables& tables, const FrameSamples& source,
                                            int warp, int lane, Complex* x) {
  using Shape = TileShape<n_fft>;
  if constexpr (n_fft == 4096) {
    const int frame = warp / 2;
    if (frame >= source.n_valid) {
#pragma unroll
      for (int a = 0; a < 32; ++a) x[a] = {0, 0};
      return;
    }
    const std::int64_t first = source.first + std::int64_t{frame} * source.hop_length;
    const float sign = warp % 2 == 0 ? 1.0f : -1.0f;
#pragma unroll
    for (int a = 0; a < 32; a += 8) {
      Complex near[8], far[8];
      load_pairs<8>(source, first + 64 * a, lane, tables.window + 16 * a + lane, near);
      load_pairs<8>(source, first + 64 * a + 2048, lane, tables.window + 16 * (a + 32) + lane, far);
#pragma unroll
      for (int j = 0; j < 8; ++j)
        x[a + j] = {fmaf(sign, far[j].r, near[j].r), fmaf(sign, far[j].i, near[j].i)};
    }
    if (warp % 2 != 0) {
      const float4* const split = tables.split + lane;
#pragma unroll
      for (int a = 0; a < 32; a += 2) {
        const float4 w = __ldg(split + 16 * a);
        multiply(x[a], w.x, w.y);
        multiply(x[a + 1], w.z, w.w);
      }
    }
  } else {
#pragma unroll
    for (int g = 0; g < Shape::frames_per_warp; ++g) {
      const int frame = warp + n_warps * g;
      if (frame < source.n_valid) {
        load_pairs<Shape::radix>(source, source.first + std::int64_t{frame} * source.hop_length, lane,
                                 tables.window + lane, x + g * Shape::radix);
      } else {
#pragma unroll
        for (int a = 0; a < Shape::radix; ++a) x[g * Shape::radix + a] = {0, 0};
      }
    }
  }
}

// ---- the transform

// Register r of lane l becomes register l of lane r, for one component at a time.
template <int pitch, float Complex::*component>
__device__ __forceinline__ void transpose_component(Complex* x, float* scratch, int lane) {
#pragma unroll
  for (int r = 0; r < 32; ++r) scratch[r * pitch + lane] = x[r].*component;
  __syncwarp();
#pragma unroll
  for (int l = 0; l < 32; l += 4) {
    const float4 v = *reinterpret_cast<const float4*>(scratch + lane * pitch + l);
    x[l].*component = v.x;
    x[l + 1].*component = v.y;
    x[l + 2].*component = v.z;
    x[l + 3].*component = v.w;
  }
  __syncwarp();
}

// |X|^2 of the bin that register d of the lane stands for, and of its partner.
struct BinPair {
  float near, far;
};
__device__ __forceinline__ BinPair split_real(Complex z, Complex partner, float wr, float wi) {
  const float ar = z.r + partner.r, ai = z.i - partner.i, br = z.r - partner.r, bi = z.i + partner.i;
  const float tr = fmaf(-bi, wi, br * wr), ti = fmaf(bi, wr, br * wi);
  const float pr = ar + tr, pi = ai + ti, qr = ar - tr, qi = ai - ti;
  return {fmaf(pi, pi, pr * pr), fmaf(qi, qi, qr * qr)};
}

// sqrt(x) within 2 units in the last place, 0 of 0.
__device__ __forceinline__ float fast_sqrt(float x) {
  return x * rsqrtf(fmaxf(x, 1e-37f));
}

// rows[frame * row_stride + bin] = |X|^2, or |X| if `magnitude`. For |X|^2 the frame's largest stands behind
// the bins. All of the block call it; rows have been read before, and are there after the next
// __syncthreads().
template <int n_fft, bool magnitude>
__device__ __noinline__ void transform_tile(const TransformTables& tables, const FrameSamples& source) {
  using Shape = TileShape<n_fft>;
  DYNAMIC_SHARED(float, rows);
  constexpr int radix = Shape::radix;
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  Complex x[32];
  load_frames<n_fft>(tables, source, warp, lane, x);
  const float4* const twiddles = tables.twiddles + lane;
#pragma unroll
  for (int g = 0; g < 32; g += radix) dft<radix>(x + g);
#pragma unroll
  for (int c = 0; c < radix; c += 2) {
    const float4 w = __ldg(twiddles + 16 * c);
#pragma unroll
    for (int g = 0; g < 32; g += radix) {
      if (c != 0) multiply(x[g + c], w.x, w.y);
      multiply(x[g + c + 1], w.z, w.w);
    }
  }
  float* const scratch = rows + warp * Shape::warp_words;
  transpose_component<Shape::pitch, &Complex::r>(x, scratch, lane);
  transpose_component<Shape::pitch, &Complex::i>(x, scratch, lane);
  dft<32>(x);  // now register d of lane g radix + c is Z[c + radix d] of the warp's g-th frame

  // Elsewhere a row is the scratch of the same warp.
  if constexpr (n_fft != 2048) __syncthreads();
  const bool odd = n_fft == 4096 && warp % 2 != 0;
  const int c = lane % radix;
  const int frame = n_fft == 4096 ? warp / 2 : warp + n_warps * (lane / radix);
  float* const row = rows + frame * Shape::row_stride;
  // Partners of registers d < 16 of lane c are registers 31 - d of lane radix - c; of c = 0, its own 32 - d;
  // of odd places those of lane 31 - c.
  const int source_lane = odd ? 31 - lane : lane - c + (radix - c) % radix;
  const bool is_first = c == 0 && !odd;
  constexpr int step = n_fft == 4096 ? 2 : 1;
  const int near0 = odd ? 2 * lane + 1 : step * c;
  const float4* const post = tables.post + (odd ? 8 * 32 : 0) + lane;
  float largest = 0;
#pragma unroll
  for (int d = 0; d < 16; ++d) {
    const Complex own = is_first ? x[(32 - d) & 31] : x[31 - d];
    const Complex partner{__shfl_sync(whole_warp, own.r, source_lane),
                          __shfl_sync(whole_warp, own.i, source_lane)};
    const float4 w = __ldg(post + 32 * (d / 2));
    BinPair pair = split_real(x[d], partner, d % 2 == 0 ? w.x : w.z, d % 2 == 0 ? w.y : w.w);
    largest = fmaxf(largest, fmaxf(pair.near, pair.far));
    if (magnitude) pair = {fast_sqrt(pair.near), fast_sqrt(pair.far)};
    const int near = near0 + step * radix * d;
    row[near] = pair.near;
    row[n_fft / 2 - near] = pair.far;
  }
  if (is_first) {
    const float middle = 4 * fmaf(x[16].i, x[16].i, x[16].r * x[16].r);
    largest = fmaxf(largest, middle);
    row[n_fft / 4] = magnitude ? fast_sqrt(middle) : middle;
  }
  if constexpr (!magnitude) {
#pragma unroll
    for (int step_lanes = radix / 2; step_lanes > 0; step_lanes /= 2)
      largest = fmaxf(largest, __shfl_xor_sync(whole_warp, largest, step_lanes));
    if (c == 0) row[Shape::largest_at + (odd ? 1 : 0)] = largest;
  }
}

}  // namespace melgrad::MELGRAD_KERNELS
