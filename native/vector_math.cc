// Exponentials and their relatives on short arrays, as loops over the C library's functions.
#include "vector_math.h"

#include <cmath>

namespace metalr {
void vectorExp(const float* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; i++) y[i] = std::exp(x[i]);
}
void vectorLog(const float* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; i++) y[i] = std::log(x[i]);
}
void vectorSigmoid(const float* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    const float e = std::exp(-std::fabs(x[i]));  // never overflows
    y[i] = (x[i] >= 0 ? 1.f : e) / (1.f + e);
  }
}
void vectorTanh(const float* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; i++) y[i] = std::tanh(x[i]);
}
void vectorErf(const float* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; i++) y[i] = std::erf(x[i]);
}
}  // namespace metalr
