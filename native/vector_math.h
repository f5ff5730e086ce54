// Exponentials and their relatives on short arrays. Compiled apart (vector_math.cc), with the compiler's vector versions.
#pragma once
#include <cstdint>

namespace metalr {
void vectorExp(const float* x, float* y, int64_t n);
void vectorLog(const float* x, float* y, int64_t n);
void vectorSigmoid(const float* x, float* y, int64_t n);
void vectorTanh(const float* x, float* y, int64_t n);
void vectorErf(const float* x, float* y, int64_t n);
}  // namespace metalr
