#include "host/cpu/bf16_tiles.hpp"

#ifdef __x86_64__

#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MELGRAD_BF16_TILES __attribute__((target("amx-tile,amx-bf16,avx512f,avx512bw,avx512bf16")))
#define MELGRAD_BF16_VECTORS __attribute__((target("avx512f,avx512bw,avx512bf16")))

namespace melgrad {
namespace {

std::string find_lack() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned amx_bf16 = 1u << 22, amx_tile = 1u << 24;  // of leaf 7.0, EDX
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d & amx_bf16) == 0 || (d & amx_tile) == 0)
    return "this processor has no AMX with bf16 (amx_tile, amx_bf16)";
  constexpr unsigned avx512_bf16 = 1u << 5;  // of leaf 7.1, EAX
  if (__get_cpuid_count(7, 1, &a, &b, &c, &d) == 0 || (a & avx512_bf16) == 0)
    return "this processor has no AVX512_BF16";
  constexpr long request_permission = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM of Linux 5.16
  if (syscall(SYS_arch_prctl, request_permission, tile_data) != 0)
    return "this kernel does not grant the tile registers of AMX (Linux 5.16 can)";
  return "";
}

// The operand of LDTILECFG.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t bytes_per_row[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfig) == 64);

constexpr Index tile_rows = 16;  // and columns of C's and B's

// The compiler does not know that a tile load reads memory, so what was written before has to be there.
inline void finish_writes() {
  asm volatile("" ::: "memory");
}

constexpr TileConfig config;

// Functions of their own, because g++ forgets the target of a constructor.
MELGRAD_BF16_TILES void take_tiles() {
  _tile_loadconfig(&config);
}
MELGRAD_BF16_TILES void give_tiles_back() {
  _tile_release();
}

}  // namespace

const std::string& lack_of_bf16_tiles() {
  static const std::string lack = find_lack();
  return lack;
}

Bf16Tiles::Bf16Tiles() {
  take_tiles();
}

Bf16Tiles::~Bf16Tiles() {
  give_tiles_back();
}

// Tiles 0 to 3 are C's, 4 and 5 A's upper and lower rows, 6 and 7 B's left and right columns.
MELGRAD_BF16_TILES void Bf16Tiles::clear() const {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
}

MELGRAD_BF16_TILES void Bf16Tiles::add(const std::uint16_t* a, Index a_stride, const std::uint32_t* b,
                                       Index b_stride, Index n_cols) const {
  const Index a_bytes = a_stride * 2, b_bytes = b_stride * 4;
  finish_writes();
  _tile_loadd(4, a, a_bytes);
  _tile_loadd(6, b, b_bytes);
  _tile_loadd(5, a + tile_rows * a_stride, a_bytes);
  _tile_dpbf16ps(0, 4, 6);
  _tile_dpbf16ps(2, 5, 6);
  if (n_cols <= tile_rows) return;
  _tile_loadd(7, b + tile_rows, b_bytes);
  _tile_dpbf16ps(1, 4, 7);
  _tile_dpbf16ps(3, 5, 7);
}

MELGRAD_BF16_TILES void Bf16Tiles::store(float* c, Index c_stride, Index n_cols) const {
  const Index c_bytes = c_stride * 4;
  _tile_stored(0, c, c_bytes);
  _tile_stored(2, c + tile_rows * c_stride, c_bytes);
  if (n_cols <= tile_rows) return;
  _tile_stored(1, c + tile_rows, c_bytes);
  _tile_stored(3, c + tile_rows * c_stride + tile_rows, c_bytes);
}

MELGRAD_BF16_VECTORS void round_to_bf16(const float* in, Index n, std::uint16_t* out) {
  for (Index i = 0; i < n; i += 32) {
    const __m512 low = _mm512_load_ps(in + i);
    const __m512 high = i + 16 < n ? _mm512_load_ps(in + i + 16) : _mm512_setzero_ps();
    _mm512_store_si512(out + i, (__m512i)_mm512_cvtne2ps_pbh(high, low));
  }
}

MELGRAD_BF16_VECTORS void pair_to_bf16(const float* low, const float* high, Index n, std::uint32_t* out) {
  alignas(64) std::uint16_t interleaved[32];
  for (std::uint16_t i = 0; i < 16; ++i) {
    interleaved[2 * i] = i;
    interleaved[2 * i + 1] = static_cast<std::uint16_t>(16 + i);
  }
  const __m512i order = _mm512_load_si512(interleaved);
  for (Index i = 0; i < n; i += 16) {
    const __m512 upper = high != nullptr ? _mm512_load_ps(high + i) : _mm512_setzero_ps();
    const auto halves = (__m512i)_mm512_cvtne2ps_pbh(upper, _mm512_load_ps(low + i));
    _mm512_store_si512(out + i, _mm512_permutexvar_epi16(order, halves));
  }
}

// 32 rows at once: as pairs of rows they are a matrix of 16 x 16 elements of 32 bits.
MELGRAD_BF16_VECTORS void transpose_bf16(const std::uint16_t* in, Index in_stride, Index n_rows, Index n_cols,
                                         std::uint16_t* out, Index out_stride) {
  for (Index row = 0; row < n_rows; row += 32) {
    for (Index col = 0; col < n_cols; col += 16) {
      const auto from = [&](Index r) {
        return reinterpret_cast<const __m256i*>(in + (row + r) * in_stride + col);
      };
      __m512i x[16], y[16];
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) {
        const __m512i even = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from(2 * i)));
        const __m512i odd = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from(2 * i + 1)));
        x[i] = _mm512_or_si512(even, _mm512_slli_epi32(odd, 16));
      }
      // Rounds of exchange between neighbours at a distance of 1, 2, 4 and 8 rows.
#pragma GCC unroll 8
      for (int i = 0; i < 16; i += 2) {
        y[i] = _mm512_unpacklo_epi32(x[i], x[i + 1]);
        y[i + 1] = _mm512_unpackhi_epi32(x[i], x[i + 1]);
      }
#pragma GCC unroll 4
      for (int i = 0; i < 16; i += 4) {
        x[i] = _mm512_unpacklo_epi64(y[i], y[i + 2]);
        x[i + 1] = _mm512_unpackhi_epi64(y[i], y[i + 2]);
        x[i + 2] = _mm512_unpacklo_epi64(y[i + 1], y[i + 3]);
        x[i + 3] = _mm512_unpackhi_epi64(y[i + 1], y[i + 3]);
      }
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        y[i] = _mm512_shuffle_i32x4(x[i], x[i + 4], 0x88);
        y[i + 4] = _mm512_shuffle_i32x4(x[i], x[i + 4], 0xdd);
        y[i + 8] = _mm512_shuffle_i32x4(x[i + 8], x[i + 12], 0x88);
        y[i + 12] = _mm512_shuffle_i32x4(x[i + 8], x[i + 12], 0xdd);
      }
      // y[i] has columns i and i + 8 of rows 0 to 7, y[i + 8] those of rows 8 to 15.
#pragma GCC unroll 8
      for (int i = 0; i < 8; ++i) {
        _mm512_store_si512(out + (col + i) * out_stride + row, _mm512_shuffle_i32x4(y[i], y[i + 8], 0x88));
        _mm512_store_si512(out + (col + i + 8) * out_stride + row,
                           _mm512_shuffle_i32x4(y[i], y[i + 8], 0xdd));
      }
    }
  }
}

}  // namespace melgrad

#else

namespace melgrad {

const std::string& lack_of_bf16_tiles() {
  static const std::string lack = "this processor is not of the x86-64 kind, which alone has AMX";
  return lack;
}

}  // namespace melgrad

#endif  // __x86_64__
