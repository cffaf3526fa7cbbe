// Sixteen floats as one value, in three spellings that give the same bits: one AVX-512 register,
// two AVX2 registers, or an array. Included only by the *_cpu.cpp files, which are compiled once
// for each instruction set with ZEROTH_ISA set to isa_portable, isa_avx2 or isa_avx512.
//
// Same bits everywhere, because: every operation is an IEEE one, fma is written where it is meant,
// a horizontal sum is one fixed tree, and a short tail is the same code with the missing lanes at
// zero.
//
// The files compiled for a wider instruction set must not emit a shared inline function (the linker
// might keep that copy for everybody), so nothing here or there uses the standard library's
// templates; a test looks at the symbols.
#pragma once

#include <stdint.h>
#include <string.h>

#if defined(__AVX2__) || defined(__AVX512F__)
#include <immintrin.h>
#endif

#ifndef ZEROTH_ISA
#error "compile this file through zeroth_kernel_isa(), which sets ZEROTH_ISA"
#endif

namespace zeroth {
namespace ZEROTH_ISA {

#define ZEROTH_INLINE static inline __attribute__((always_inline, unused))

ZEROTH_INLINE int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}
ZEROTH_INLINE int64_t larger(int64_t a, int64_t b) {
  return a > b ? a : b;
}

using Bf16 = uint16_t;

ZEROTH_INLINE float float_from_bits(uint32_t bits) {
  float f;
  memcpy(&f, &bits, 4);
  return f;
}
ZEROTH_INLINE uint32_t bits_of(float f) {
  uint32_t bits;
  memcpy(&bits, &f, 4);
  return bits;
}
/// Round to nearest even. NaN stays NaN only if its top bits say so; kernels keep NaN out.
ZEROTH_INLINE Bf16 to_bf16(float f) {
  const uint32_t bits = bits_of(f);
  return static_cast<Bf16>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}
ZEROTH_INLINE float round_bf16(float f) {
  return float_from_bits(uint32_t{to_bf16(f)} << 16);
}

#if defined(__AVX512F__)

struct F16 {
  __m512 v;
};
ZEROTH_INLINE __mmask16 lanes(int64_t n) {
  return n >= 16 ? static_cast<__mmask16>(0xFFFF) : static_cast<__mmask16>((1u << n) - 1u);
}
ZEROTH_INLINE F16 set1(float f) {
  return {_mm512_set1_ps(f)};
}
ZEROTH_INLINE F16 load(const float* p) {
  return {_mm512_loadu_ps(p)};
}
ZEROTH_INLINE F16 load(const float* p, int64_t n) {
  return {_mm512_maskz_loadu_ps(lanes(n), p)};
}
ZEROTH_INLINE F16 load(const Bf16* p) {
  const __m512i wide =
      _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
}
ZEROTH_INLINE void store(float* p, F16 a) {
  _mm512_storeu_ps(p, a.v);
}
ZEROTH_INLINE void store(float* p, F16 a, int64_t n) {
  _mm512_mask_storeu_ps(p, lanes(n), a.v);
}
ZEROTH_INLINE F16 add(F16 a, F16 b) {
  return {_mm512_add_ps(a.v, b.v)};
}
ZEROTH_INLINE F16 sub(F16 a, F16 b) {
  return {_mm512_sub_ps(a.v, b.v)};
}
ZEROTH_INLINE F16 mul(F16 a, F16 b) {
  return {_mm512_mul_ps(a.v, b.v)};
}
ZEROTH_INLINE F16 div(F16 a, F16 b) {
  return {_mm512_div_ps(a.v, b.v)};
}
ZEROTH_INLINE F16 max(F16 a, F16 b) {
  return {_mm512_max_ps(a.v, b.v)};
}
ZEROTH_INLINE F16 min(F16 a, F16 b) {
  return {_mm512_min_ps(a.v, b.v)};
}
ZEROTH_INLINE F16 sqrt(F16 a) {
  return {_mm512_sqrt_ps(a.v)};
}
ZEROTH_INLINE F16 fma(F16 a, F16 b, F16 c) {
  return {_mm512_fmadd_ps(a.v, b.v, c.v)};
}
/// Lanes below n of a, the others of b.
ZEROTH_INLINE F16 first(int64_t n, F16 a, F16 b) {
  return {_mm512_mask_mov_ps(b.v, lanes(n), a.v)};
}
/// yes where a < b, else no.
ZEROTH_INLINE F16 select_less(F16 a, F16 b, F16 yes, F16 no) {
  return {_mm512_mask_mov_ps(no.v, _mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ), yes.v)};
}
/// 2^n for integral n in [-126, 127].
ZEROTH_INLINE F16 exp2_integer(F16 n) {
  const __m512i e = _mm512_add_epi32(_mm512_cvtps_epi32(n.v), _mm512_set1_epi32(127));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(e, 23))};
}
ZEROTH_INLINE F16 round_bf16(F16 a) {
  const __m512i bits = _mm512_castps_si512(a.v);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i up = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7FFF)), odd);
  return {
      _mm512_castsi512_ps(_mm512_and_si512(up, _mm512_set1_epi32(static_cast<int>(0xFFFF0000u))))};
}
ZEROTH_INLINE float sum(F16 a) {
  const __m256 h = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  const __m128 d = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(d, _mm_shuffle_ps(d, d, 1)));
}
ZEROTH_INLINE float max_of(F16 a) {
  return _mm512_reduce_max_ps(a.v);
}

/// out[d * ld + j] = rows[j][d] for 16 rows and 16 columns.
ZEROTH_INLINE void transpose16(const float* const (&rows)[16], int64_t column, float* out,
                               int64_t ld) {
  __m512 r[16];
  __m512 t[16];
  for (int i = 0; i < 16; ++i) r[i] = _mm512_loadu_ps(rows[i] + column);
  for (int i = 0; i < 8; ++i) {
    t[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
  }
  for (int i = 0; i < 4; ++i) {
    r[4 * i] = _mm512_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
    r[4 * i + 1] = _mm512_shuffle_ps(t[4 * i], t[4 * i + 2], 0xEE);
    r[4 * i + 2] = _mm512_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
    r[4 * i + 3] = _mm512_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xEE);
  }
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xDD);
    t[i + 8] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xDD);
  }
  for (int i = 0; i < 4; ++i) {
    store(out + i * ld, F16{_mm512_shuffle_f32x4(t[i], t[i + 8], 0x88)});
    store(out + (i + 4) * ld, F16{_mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0x88)});
    store(out + (i + 8) * ld, F16{_mm512_shuffle_f32x4(t[i], t[i + 8], 0xDD)});
    store(out + (i + 12) * ld, F16{_mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0xDD)});
  }
}

#elif defined(__AVX2__)

struct F16 {
  __m256 lo, hi;
};
ZEROTH_INLINE __m256i half_lanes(int64_t n) {
  const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(larger(0, smaller(n, 8)))), index);
}
ZEROTH_INLINE F16 set1(float f) {
  return {_mm256_set1_ps(f), _mm256_set1_ps(f)};
}
ZEROTH_INLINE F16 load(const float* p) {
  return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}
ZEROTH_INLINE F16 load(const float* p, int64_t n) {
  if (n >= 16) return load(p);
  return {_mm256_maskload_ps(p, half_lanes(n)), _mm256_maskload_ps(p + 8, half_lanes(n - 8))};
}
ZEROTH_INLINE F16 load(const Bf16* p) {
  const __m256i lo = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  const __m256i hi =
      _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 8)));
  return {_mm256_castsi256_ps(_mm256_slli_epi32(lo, 16)),
          _mm256_castsi256_ps(_mm256_slli_epi32(hi, 16))};
}
ZEROTH_INLINE void store(float* p, F16 a) {
  _mm256_storeu_ps(p, a.lo);
  _mm256_storeu_ps(p + 8, a.hi);
}
ZEROTH_INLINE void store(float* p, F16 a, int64_t n) {
  if (n >= 16) return store(p, a);
  _mm256_maskstore_ps(p, half_lanes(n), a.lo);
  _mm256_maskstore_ps(p + 8, half_lanes(n - 8), a.hi);
}
ZEROTH_INLINE F16 add(F16 a, F16 b) {
  return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)};
}
ZEROTH_INLINE F16 sub(F16 a, F16 b) {
  return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)};
}
ZEROTH_INLINE F16 mul(F16 a, F16 b) {
  return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)};
}
ZEROTH_INLINE F16 div(F16 a, F16 b) {
  return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)};
}
ZEROTH_INLINE F16 max(F16 a, F16 b) {
  return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)};
}
ZEROTH_INLINE F16 min(F16 a, F16 b) {
  return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)};
}
ZEROTH_INLINE F16 sqrt(F16 a) {
  return {_mm256_sqrt_ps(a.lo), _mm256_sqrt_ps(a.hi)};
}
ZEROTH_INLINE F16 fma(F16 a, F16 b, F16 c) {
  return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
ZEROTH_INLINE F16 first(int64_t n, F16 a, F16 b) {
  return {_mm256_blendv_ps(b.lo, a.lo, _mm256_castsi256_ps(half_lanes(n))),
          _mm256_blendv_ps(b.hi, a.hi, _mm256_castsi256_ps(half_lanes(n - 8)))};
}
ZEROTH_INLINE F16 select_less(F16 a, F16 b, F16 yes, F16 no) {
  return {_mm256_blendv_ps(no.lo, yes.lo, _mm256_cmp_ps(a.lo, b.lo, _CMP_LT_OQ)),
          _mm256_blendv_ps(no.hi, yes.hi, _mm256_cmp_ps(a.hi, b.hi, _CMP_LT_OQ))};
}
ZEROTH_INLINE __m256 half_exp2_integer(__m256 n) {
  const __m256i e = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
  return _mm256_castsi256_ps(_mm256_slli_epi32(e, 23));
}
ZEROTH_INLINE F16 exp2_integer(F16 n) {
  return {half_exp2_integer(n.lo), half_exp2_integer(n.hi)};
}
ZEROTH_INLINE __m256 half_round_bf16(__m256 a) {
  const __m256i bits = _mm256_castps_si256(a);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i up = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7FFF)), odd);
  return _mm256_castsi256_ps(
      _mm256_and_si256(up, _mm256_set1_epi32(static_cast<int>(0xFFFF0000u))));
}
ZEROTH_INLINE F16 round_bf16(F16 a) {
  return {half_round_bf16(a.lo), half_round_bf16(a.hi)};
}
ZEROTH_INLINE float sum(F16 a) {
  const __m256 h = _mm256_add_ps(a.lo, a.hi);
  const __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  const __m128 d = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(d, _mm_shuffle_ps(d, d, 1)));
}
ZEROTH_INLINE float max_of(F16 a) {
  const __m256 h = _mm256_max_ps(a.lo, a.hi);
  const __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  const __m128 d = _mm_max_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_max_ss(d, _mm_shuffle_ps(d, d, 1)));
}
ZEROTH_INLINE void transpose8(const float* const* rows, int64_t column, float* out, int64_t ld) {
  __m256 r[8];
  __m256 t[8];
  for (int i = 0; i < 8; ++i) r[i] = _mm256_loadu_ps(rows[i] + column);
  for (int i = 0; i < 4; ++i) {
    t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
  }
  for (int i = 0; i < 2; ++i) {
    r[4 * i] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
    r[4 * i + 1] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xEE);
    r[4 * i + 2] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
    r[4 * i + 3] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xEE);
  }
  for (int i = 0; i < 4; ++i) {
    _mm256_storeu_ps(out + i * ld, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
    _mm256_storeu_ps(out + (i + 4) * ld, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
  }
}
ZEROTH_INLINE void transpose16(const float* const (&rows)[16], int64_t column, float* out,
                               int64_t ld) {
  for (int j = 0; j < 16; j += 8) {
    for (int d = 0; d < 16; d += 8) transpose8(rows + j, column + d, out + d * ld + j, ld);
  }
}

#else  // portable

struct F16 {
  float v[16];
};
#define ZEROTH_LANES(expression)                        \
  F16 out;                                              \
  for (int i = 0; i < 16; ++i) out.v[i] = (expression); \
  return out
ZEROTH_INLINE F16 set1(float f) {
  ZEROTH_LANES(f);
}
ZEROTH_INLINE F16 load(const float* p) {
  ZEROTH_LANES(p[i]);
}
ZEROTH_INLINE F16 load(const float* p, int64_t n) {
  ZEROTH_LANES(i < n ? p[i] : 0.0F);
}
ZEROTH_INLINE F16 load(const Bf16* p) {
  ZEROTH_LANES(float_from_bits(uint32_t{p[i]} << 16));
}
ZEROTH_INLINE void store(float* p, F16 a) {
  for (int i = 0; i < 16; ++i) p[i] = a.v[i];
}
ZEROTH_INLINE void store(float* p, F16 a, int64_t n) {
  for (int i = 0; i < 16 && i < n; ++i) p[i] = a.v[i];
}
ZEROTH_INLINE F16 add(F16 a, F16 b) {
  ZEROTH_LANES(a.v[i] + b.v[i]);
}
ZEROTH_INLINE F16 sub(F16 a, F16 b) {
  ZEROTH_LANES(a.v[i] - b.v[i]);
}
ZEROTH_INLINE F16 mul(F16 a, F16 b) {
  ZEROTH_LANES(a.v[i] * b.v[i]);
}
ZEROTH_INLINE F16 div(F16 a, F16 b) {
  ZEROTH_LANES(a.v[i] / b.v[i]);
}
ZEROTH_INLINE F16 max(F16 a, F16 b) {
  ZEROTH_LANES(a.v[i] > b.v[i] ? a.v[i] : b.v[i]);
}
ZEROTH_INLINE F16 min(F16 a, F16 b) {
  ZEROTH_LANES(a.v[i] < b.v[i] ? a.v[i] : b.v[i]);
}
ZEROTH_INLINE F16 sqrt(F16 a) {
  ZEROTH_LANES(__builtin_sqrtf(a.v[i]));
}
ZEROTH_INLINE F16 fma(F16 a, F16 b, F16 c) {
  ZEROTH_LANES(__builtin_fmaf(a.v[i], b.v[i], c.v[i]));
}
ZEROTH_INLINE F16 first(int64_t n, F16 a, F16 b) {
  ZEROTH_LANES(i < n ? a.v[i] : b.v[i]);
}
ZEROTH_INLINE F16 select_less(F16 a, F16 b, F16 yes, F16 no) {
  ZEROTH_LANES(a.v[i] < b.v[i] ? yes.v[i] : no.v[i]);
}
ZEROTH_INLINE F16 exp2_integer(F16 n) {
  ZEROTH_LANES(float_from_bits(static_cast<uint32_t>(static_cast<int32_t>(n.v[i]) + 127) << 23));
}
ZEROTH_INLINE F16 round_bf16(F16 a) {
  ZEROTH_LANES(round_bf16(a.v[i]));
}
#undef ZEROTH_LANES
ZEROTH_INLINE float sum(F16 a) {
  for (int width = 8; width >= 1; width /= 2) {
    for (int i = 0; i < width; ++i) a.v[i] = a.v[i] + a.v[i + width];
  }
  return a.v[0];
}
ZEROTH_INLINE float max_of(F16 a) {
  float m = a.v[0];
  for (int i = 1; i < 16; ++i) m = a.v[i] > m ? a.v[i] : m;
  return m;
}
ZEROTH_INLINE void transpose16(const float* const (&rows)[16], int64_t column, float* out,
                               int64_t ld) {
  for (int d = 0; d < 16; ++d) {
    for (int j = 0; j < 16; ++j) out[d * ld + j] = rows[j][column + d];
  }
}

#endif

/// e^x, relative error below 2e-7; 0 below -87, e^88 above 88. Cephes expf: reduction by ln 2 in
/// two parts, degree 5.
ZEROTH_INLINE F16 exp(F16 x) {
  const F16 clamped = min(max(x, set1(-87.0F)), set1(88.0F));
  const F16 magic =
      set1(12582912.0F);  // 1.5 * 2^23: adding and subtracting it rounds to an integer
  const F16 n = sub(fma(clamped, set1(1.44269504F), magic), magic);
  F16 r = fma(n, set1(-0.693359375F), clamped);
  r = fma(n, set1(2.12194440e-4F), r);
  F16 p = set1(1.9875691500e-4F);
  p = fma(p, r, set1(1.3981999507e-3F));
  p = fma(p, r, set1(8.3334519073e-3F));
  p = fma(p, r, set1(4.1665795894e-2F));
  p = fma(p, r, set1(1.6666665459e-1F));
  p = fma(p, r, set1(5.0000001201e-1F));
  p = fma(p, mul(r, r), add(r, set1(1.0F)));
  return select_less(x, set1(-87.0F), set1(0.0F), mul(p, exp2_integer(n)));
}

/// 1 / (1 + e^-x).
ZEROTH_INLINE F16 sigmoid(F16 x) {
  return div(set1(1.0F), add(set1(1.0F), exp(sub(set1(0.0F), x))));
}

/// Natural logarithm of a positive normal double, error below 2 units in the last place: 2
/// atanh((m-1)/(m+1)) + e ln 2 with the mantissa m in [sqrt(1/2), sqrt(2)). Written out because
/// libm's differs between machines.
ZEROTH_INLINE double log_of(double x) {
  uint64_t bits;
  memcpy(&bits, &x, 8);
  int64_t e = static_cast<int64_t>(bits >> 52) - 1023;
  bits = (bits & 0x000FFFFFFFFFFFFFull) | 0x3FF0000000000000ull;
  double m;
  memcpy(&m, &bits, 8);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    e += 1;
  }
  const double s = (m - 1.0) / (m + 1.0);
  const double s2 = s * s;
  double p = 0.0;
  for (int k = 21; k >= 3; k -= 2) p = p * s2 + 1.0 / k;
  return static_cast<double>(e) * 0.69314718055994530942 + 2.0 * s * (1.0 + s2 * p);
}

/// Sum of a[i] * b[i] in lane i mod 16, i ascending, then one tree.
ZEROTH_INLINE float dot(const float* a, const float* b, int64_t n) {
  F16 s = set1(0.0F);
  for (int64_t i = 0; i < n; i += 16) s = fma(load(a + i, n - i), load(b + i, n - i), s);
  return sum(s);
}

}  // namespace ZEROTH_ISA
}  // namespace zeroth
