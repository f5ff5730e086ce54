// Short vectors of floats for loops over channel blocks: B lanes of neighbouring channels, or for B = 1 sixteen neighbouring
// positions of one channel. The compiler maps them to whatever registers the processor has. Elements in memory are float32 or
// bfloat16 (a uint16_t here); arithmetic is always float32.
#pragma once
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <type_traits>

#include "program.h"

namespace metalr {

using bf16 = uint16_t;

template <int N>
struct VectorOf {
  typedef float reals __attribute__((vector_size(N * 4)));
  typedef uint32_t words __attribute__((vector_size(N * 4)));
  typedef bf16 halves __attribute__((vector_size(N * 2)));
};
template <int B>
using Lanes = typename VectorOf<B == 1 ? 16 : B>::reals;

/// A float, or a vector of floats, from memory of either type.
template <class T, class S>
inline T load(const S* p) {
  T v;
  if constexpr (std::is_same_v<S, float>) {
    std::memcpy(&v, p, sizeof v);
  } else if constexpr (std::is_same_v<T, float>) {
    const uint32_t bits = uint32_t(*p) << 16;
    std::memcpy(&v, &bits, 4);
  } else {
    constexpr int N = sizeof(T) / 4;
    typename VectorOf<N>::halves h;
    std::memcpy(&h, p, sizeof h);
    v = (T)(__builtin_convertvector(h, typename VectorOf<N>::words) << 16);
  }
  return v;
}

/// To memory of either type; bfloat16 is rounded to the nearest, halves to even, and NaN stays NaN.
template <class T, class S>
inline void store(S* p, T v) {
  if constexpr (std::is_same_v<S, float>) {
    std::memcpy(p, &v, sizeof v);
  } else if constexpr (std::is_same_v<T, float>) {
    uint32_t w;
    std::memcpy(&w, &v, 4);
    *p = v != v ? bf16((w >> 16) | 0x40) : bf16((w + 0x7fff + ((w >> 16) & 1)) >> 16);
  } else {
    constexpr int N = sizeof(T) / 4;
    using words = typename VectorOf<N>::words;
    const words w = (words)v;
    const words rounded = w + 0x7fff + ((w >> 16) & 1);
    const words r = (v != v ? (w | 0x400000) : rounded) >> 16;
    const auto h = __builtin_convertvector(r, typename VectorOf<N>::halves);
    std::memcpy(p, &h, sizeof h);
  }
}

/// The numbers of the channels that a vector covers: B of them, or one for all lanes.
template <int B, class T>
inline T ofChannel(const float* p, int64_t channel) {
  if constexpr (B == 1) return T{} + p[channel];
  else return load<T>(p + channel);
}

/// Calls f with the block size as a constant of the compiler.
template <class F>
void withBlock(int64_t block, const F& f) {
  if (block == 16) f(std::integral_constant<int, 16>());
  else if (block == 8) f(std::integral_constant<int, 8>());
  else if (block == 1) f(std::integral_constant<int, 1>());
  else throw std::runtime_error("blocks are of 1, 8 or 16 channels");
}

/// Calls f with a value of the element type.
template <class F>
void withStorage(Type t, const F& f) {
  if (t == Type::f32) f(float());
  else if (t == Type::bf16) f(bf16());
  else throw std::runtime_error("elements are float32 or bfloat16");
}

inline Type storageOf(Words& w) {
  const Type t = static_cast<Type>(w.next());
  if (t != Type::f32 && t != Type::bf16) throw std::runtime_error("elements are float32 or bfloat16");
  return t;
}

}  // namespace metalr
