// Fills the tile that a transform reads (TileLayout) from a clip: each hop of samples becomes a column. Two
// chunks of frames share all but `lanes` of their columns, so those stay and only the new ones are
// transposed.

#if defined(MELGRAD_HOST_CPU_FRAME_TILE_INL_HPP_) == defined(HWY_TARGET_TOGGLE)
#ifdef MELGRAD_HOST_CPU_FRAME_TILE_INL_HPP_
#undef MELGRAD_HOST_CPU_FRAME_TILE_INL_HPP_
#else
#define MELGRAD_HOST_CPU_FRAME_TILE_INL_HPP_
#endif

#include <algorithm>
#include <cstring>

#include "host/cpu/feature_tables.hpp"
#include "host/cpu/lane_fft-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace melgrad {
namespace HWY_NAMESPACE {

// Pairs of int16 samples as they are.
struct PairWords {
  using Sample = std::int16_t;
  using Word = std::int32_t;
  static constexpr Index samples_per_word = 2;
#if HWY_TARGET != HWY_SCALAR
  using Tag = hn::Full128<Word>;
  static HWY_INLINE hn::Vec<Tag> load_4(const Sample* from) {
    return hn::BitCast(Tag(), hn::LoadU(hn::Full128<Sample>(), from));
  }
#endif
  static HWY_INLINE Word load(const Sample* from) {
    Word word;
    std::memcpy(&word, from, sizeof(word));
    return word;
  }
};

struct FloatWords {
  using Sample = float;
  using Word = float;
  static constexpr Index samples_per_word = 1;
#if HWY_TARGET != HWY_SCALAR
  using Tag = hn::Full128<Word>;
  static HWY_INLINE hn::Vec<Tag> load_4(const Sample* from) {
    return hn::LoadU(Tag(), from);
  }
#endif
  static HWY_INLINE Word load(const Sample* from) {
    return *from;
  }
};

// int16 samples of full scale 32768 as floats of full scale 1: for hops of an odd number of samples.
struct ConvertedWords {
  using Sample = std::int16_t;
  using Word = float;
  static constexpr Index samples_per_word = 1;
  static constexpr float scale = 1.0f / 32768;
#if HWY_TARGET != HWY_SCALAR
  using Tag = hn::Full128<Word>;
  static HWY_INLINE hn::Vec<Tag> load_4(const Sample* from) {
    const auto wide = hn::PromoteTo(hn::Full128<std::int32_t>(), hn::LoadU(hn::Full64<Sample>(), from));
    return hn::Mul(hn::ConvertTo(Tag(), wide), hn::Set(Tag(), scale));
  }
#endif
  static HWY_INLINE Word load(const Sample* from) {
    return static_cast<Word>(*from) * scale;
  }
};

#if HWY_TARGET != HWY_SCALAR
// Words first .. first + 4 of rows row, row + 4, row + 8, ... side by side, 4 words of each.
template <class Words, int n_rows>
HWY_INLINE auto gather_rows(const typename Words::Sample* const* rows, Index first) {
  if constexpr (n_rows == 4) {
    return Words::load_4(rows[0] + first * Words::samples_per_word);
  } else {
    const hn::Simd<typename Words::Word, static_cast<std::size_t>(n_rows), 0> d;
    return hn::Combine(d, gather_rows<Words, n_rows / 2>(rows + n_rows / 2, first),
                       gather_rows<Words, n_rows / 2>(rows, first));
  }
}
#endif

// Words [0, n_words) of `lanes` rows of samples become columns: word w of row r goes to out[w * pitch + r].
template <class Words>
HWY_INLINE void transpose_rows(const typename Words::Sample* const* rows, Index n_words, Index pitch,
                               typename Words::Word* HWY_RESTRICT out) {
  Index word = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::ScalableTag<typename Words::Word> d;
  for (; word + 4 <= n_words; word += 4) {
    const auto a = gather_rows<Words, lanes>(rows, word), b = gather_rows<Words, lanes>(rows + 1, word),
               c = gather_rows<Words, lanes>(rows + 2, word), e = gather_rows<Words, lanes>(rows + 3, word);
    const auto ac_low = hn::InterleaveLower(d, a, c), ac_high = hn::InterleaveUpper(d, a, c);
    const auto be_low = hn::InterleaveLower(d, b, e), be_high = hn::InterleaveUpper(d, b, e);
    typename Words::Word* const to = out + word * pitch;
    hn::StoreU(hn::InterleaveLower(d, ac_low, be_low), d, to);
    hn::StoreU(hn::InterleaveUpper(d, ac_low, be_low), d, to + pitch);
    hn::StoreU(hn::InterleaveLower(d, ac_high, be_high), d, to + 2 * pitch);
    hn::StoreU(hn::InterleaveUpper(d, ac_high, be_high), d, to + 3 * pitch);
  }
#endif
  for (; word < n_words; ++word)
    for (Index row = 0; row < lanes; ++row)
      out[word * pitch + row] = Words::load(rows[row] + word * Words::samples_per_word);
}

// Samples first .. first + count of the padded clip, with zeros where no valid frame reads.
template <class Sample>
HWY_NOINLINE void copy_padded(const Sample* samples, Index n_samples, Index first, Index count, Index padding,
                              PadMode pad_mode, Sample* out) {
  const auto pad = [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      const Index from = first + i >= -padding && first + i < n_samples + padding
                             ? padded_sample(first + i, n_samples, pad_mode)
                             : -1;
      out[i] = from < 0 ? Sample{0} : samples[from];
    }
  };
  const Index begin = std::clamp<Index>(-first, 0, count),
              end = std::clamp<Index>(n_samples - first, begin, count);
  pad(0, begin);
  std::copy(samples + first + begin, samples + first + end, out + begin);
  pad(end, count);
}

// Columns [column, column + lanes) of the tile from hop blocks [block, block + lanes) of the clip.
template <class Words>
HWY_NOINLINE void fill_columns(const FeaturePlan& plan, const TileLayout& layout,
                               const typename Words::Sample* samples, Index n_samples, Index block,
                               Index column, Workspace& workspace) {
  using Sample = typename Words::Sample;
  const Index length = layout.n_rows * Words::samples_per_word;
  const Index padding = plan.spec.stft.center ? plan.spec.stft.n_fft / 2 : 0;
  const Sample* rows[lanes];
  Sample* edge = reinterpret_cast<Sample*>(workspace.edge.data());
  const Sample* zeros = nullptr;
  for (Index row = 0; row < lanes; ++row) {
    const Index first = plan.first_sample(block + row);
    const bool is_inside = first >= 0 && first + length <= n_samples;
    const bool is_beyond = first >= n_samples + padding;
    if (is_inside) {
      rows[row] = samples + first;
    } else if (is_beyond && zeros != nullptr) {
      rows[row] = zeros;
    } else {
      copy_padded(samples, n_samples, first, length, padding, plan.spec.stft.pad_mode, edge);
      if (is_beyond) zeros = edge;
      rows[row] = edge;
      edge += length;
    }
  }
  using Word = typename Words::Word;
  transpose_rows<Words>(rows, layout.n_rows, layout.pitch,
                        reinterpret_cast<Word*>(workspace.tile.data()) + column);
}

// Moves the columns that the next `lanes` frames share with the last ones to the front. Words are moved as
// int32, whatever they hold.
HWY_INLINE void shift_columns(const TileLayout& layout, std::int32_t* tile) {
  const auto n_bytes = static_cast<std::size_t>(layout.n_columns - lanes) * sizeof(std::int32_t);
  if (n_bytes == 0) return;
  for (Index row = 0; row < layout.n_rows; ++row, tile += layout.pitch) {
#if HWY_TARGET != HWY_SCALAR
    if (n_bytes <= 16) {  // pitch leaves room for whole vectors of 4
      const hn::Full128<std::int32_t> d;
      hn::StoreU(hn::LoadU(d, tile + lanes), d, tile);
      continue;
    }
#endif
    std::memmove(tile, tile + lanes, n_bytes);
  }
}

// The tile of the frames from first_frame on; is_next if it held those of the `lanes` frames before.
template <class Words>
HWY_INLINE void fill_tile_with(const FeaturePlan& plan, const TileLayout& layout,
                               const typename Words::Sample* samples, Index n_samples, Index first_frame,
                               bool is_next, Workspace& workspace) {
  const Index n_columns = layout.n_columns;
  if (is_next) {
    shift_columns(layout, workspace.tile.data());
    fill_columns<Words>(plan, layout, samples, n_samples, first_frame + n_columns - lanes, n_columns - lanes,
                        workspace);
    return;
  }
  for (Index begin = 0; begin < n_columns; begin += lanes) {
    const Index column = std::min(begin, n_columns - lanes);
    fill_columns<Words>(plan, layout, samples, n_samples, first_frame + column, column, workspace);
  }
}

// The transform that reads a clip's tiles.
HWY_INLINE const LaneFft& tile_transform(const FeatureTables& tables, const ClipTask& task) {
  const bool pairs = task.int16_samples != nullptr && tables.pair_fft.n_fft != 0;
  return pairs ? tables.pair_fft : tables.float_fft;
}

// Returns tile_transform().
HWY_INLINE const LaneFft& fill_tile(const FeatureTables& tables, const ClipTask& task, Index first_frame,
                                    bool is_next, Workspace& workspace) {
  const LaneFft& fft = tile_transform(tables, task);
  const auto fill = [&](auto words, const auto* samples) HWY_ATTR {
    fill_tile_with<decltype(words)>(tables.plan, fft.layout, samples, task.n_samples, first_frame, is_next,
                                    workspace);
  };
  if (fft.layout.pairs)
    fill(PairWords(), task.int16_samples);
  else if (task.int16_samples != nullptr)
    fill(ConvertedWords(), task.int16_samples);
  else
    fill(FloatWords(), task.float_samples);
  return fft;
}

}  // namespace HWY_NAMESPACE
}  // namespace melgrad
HWY_AFTER_NAMESPACE();

#endif
