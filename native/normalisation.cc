// Batch normalisation by batch statistics, its application (with residual and ReLU in the same pass), and its gradient.
// x is [N, C/B, S, B]: B = 1 is C order, B = 16 or 8 the blocked layout. Sums run over a fixed number of pieces of the batch,
// in float32 over short runs and in float64 above them, so that they are exact and the same for any number of threads.
#include <cmath>
#include <cstring>

#include "program.h"

namespace metalr {
namespace {

constexpr int64_t kRun = 128;  // positions that are summed in float32 before float64 takes over
constexpr int kMost = 16;      // lanes of the largest block

struct Shape {
  int64_t images, channels, space, block;
  explicit Shape(Words& w) {
    images = w.size(), channels = w.size(), space = w.size(), block = w.size();
    if (block != 1 && block != 8 && block != 16) throw std::runtime_error("blocks are of 1, 8 or 16 channels");
    if (images < 1 || channels < 1 || space < 1 || channels % block) throw std::runtime_error("a normalisation has no shape");
  }
  int64_t blocks() const { return channels / block; }
  int64_t pieces() const { return images < kPieces ? images : kPieces; }
  int64_t start(int64_t image, int64_t b) const { return (image * blocks() + b) * space * block; }
};

/// Two sums for each channel. f(position, lane) gives both terms by reference; B is known to the compiler.
template <int B, class Terms>
void sums(const Shape& s, double* first, double* second, const Terms& terms) {
  const int64_t pieces = s.pieces(), blocks = s.blocks();
  std::vector<double> parts(size_t(2 * pieces * s.channels));
#pragma omp parallel for schedule(static) collapse(2)
  for (int64_t p = 0; p < pieces; p++)
    for (int64_t b = 0; b < blocks; b++) {
      double p1[B] = {}, p2[B] = {};
      for (int64_t i = pieceBegin(s.images, pieces, p); i < pieceBegin(s.images, pieces, p + 1); i++) {
        const int64_t start = s.start(i, b);
        for (int64_t from = 0; from < s.space; from += kRun) {
          const int64_t to = from + kRun < s.space ? from + kRun : s.space;
          if constexpr (B == 1) {
            // One channel: eight partial sums, which the compiler keeps in one register.
            float a[8] = {}, c[8] = {};
            int64_t k = from;
            for (; k + 8 <= to; k += 8)
              for (int l = 0; l < 8; l++) terms(start + k + l, b, a[l], c[l]);
            for (; k < to; k++) terms(start + k, b, a[0], c[0]);
            for (int l = 0; l < 8; l++) p1[0] += a[l], p2[0] += c[l];
          } else {
            float a[B] = {}, c[B] = {};
            for (int64_t k = from; k < to; k++)
#pragma omp simd
              for (int l = 0; l < B; l++) terms(start + k * B + l, b * B + l, a[l], c[l]);
            for (int l = 0; l < B; l++) p1[l] += a[l], p2[l] += c[l];
          }
        }
      }
      for (int l = 0; l < B; l++) {
        parts[size_t((p * s.channels + b * B + l) * 2)] = p1[l];
        parts[size_t((p * s.channels + b * B + l) * 2 + 1)] = p2[l];
      }
    }
  for (int64_t c = 0; c < s.channels; c++) {
    first[c] = second[c] = 0;
    for (int64_t p = 0; p < pieces; p++) {
      first[c] += parts[size_t((p * s.channels + c) * 2)];
      second[c] += parts[size_t((p * s.channels + c) * 2 + 1)];
    }
  }
}

/// f(position, channel) for every element.
template <int B, class Each>
void every(const Shape& s, const Each& each) {
  const int64_t rows = s.images * s.blocks();
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < rows; r++) {
    const int64_t channel = (r % s.blocks()) * B, start = r * s.space * B;
    if constexpr (B == 1) {
#pragma omp simd
      for (int64_t k = 0; k < s.space; k++) each(start + k, channel);
    } else {
      for (int64_t k = 0; k < s.space; k++)
#pragma omp simd
        for (int l = 0; l < B; l++) each(start + k * B + l, channel + l);
    }
  }
}

template <class F>
void withBlock(const Shape& s, const F& f) {
  if (s.block == 16) f(std::integral_constant<int, 16>());
  else if (s.block == 8) f(std::integral_constant<int, 8>());
  else f(std::integral_constant<int, 1>());
}

class NormStatistics : public Step {
 public:
  explicit NormStatistics(Words& w) : s_(w), x_(w.ref()), mean_(w.ref()), variance_(w.ref()), first_(s_.channels), second_(s_.channels), shift_(s_.channels) {}
  void run(const Memory& m) override {
    const float* x = m.at<float>(x_);
    float *mean = m.at<float>(mean_), *variance = m.at<float>(variance_);
    const double count = double(s_.images) * double(s_.space);
    // One pass around a value of the channel itself: no digits are lost where the mean is far from zero.
    for (int64_t c = 0; c < s_.channels; c++) shift_[c] = x[(c / s_.block) * s_.space * s_.block + c % s_.block];
    const float* shift = shift_.data();
    withBlock(s_, [&](auto b) {
      sums<decltype(b)::value>(s_, first_.data(), second_.data(), [=](int64_t i, int64_t c, float& a, float& q) {
        const float d = x[i] - shift[c];
        a += d;
        q += d * d;
      });
    });
    for (int64_t c = 0; c < s_.channels; c++) {
      const double d = first_[c] / count, v = second_[c] / count - d * d;
      mean[c] = float(shift_[c] + d);
      variance[c] = float(v > 0 ? v : (v == v ? 0 : v));
    }
  }

 private:
  Shape s_;
  Ref x_, mean_, variance_;
  std::vector<double> first_, second_;
  std::vector<float> shift_;
};

class NormApply : public Step {
 public:
  explicit NormApply(Words& w) : s_(w), epsilon_(w.real()), relu_(w.next() != 0), x_(w.ref()), scale_(w.ref()), bias_(w.ref()), mean_(w.ref()), variance_(w.ref()), sum_(w.ref()), y_(w.ref()), gain_(s_.channels), offset_(s_.channels) {}
  void run(const Memory& m) override {
    const float *scale = m.at<float>(scale_), *bias = m.at<float>(bias_), *mean = m.at<float>(mean_), *variance = m.at<float>(variance_);
    for (int64_t c = 0; c < s_.channels; c++) {
      gain_[c] = scale[c] / std::sqrt(variance[c] + epsilon_);
      offset_[c] = bias[c];
    }
    const float *x = m.at<float>(x_), *sum = m.at<float>(sum_), *gain = gain_.data(), *offset = offset_.data();
    float* y = m.at<float>(y_);
    const bool relu = relu_;
    withBlock(s_, [&](auto b) {
      constexpr int B = decltype(b)::value;
      // NaN stays NaN through max: the comparison is written so that it fails for NaN.
      if (sum && relu) every<B>(s_, [=](int64_t i, int64_t c) { const float v = (x[i] - mean[c]) * gain[c] + offset[c] + sum[i]; y[i] = v <= 0 ? 0 : v; });
      else if (sum) every<B>(s_, [=](int64_t i, int64_t c) { y[i] = (x[i] - mean[c]) * gain[c] + offset[c] + sum[i]; });
      else if (relu) every<B>(s_, [=](int64_t i, int64_t c) { const float v = (x[i] - mean[c]) * gain[c] + offset[c]; y[i] = v <= 0 ? 0 : v; });
      else every<B>(s_, [=](int64_t i, int64_t c) { y[i] = (x[i] - mean[c]) * gain[c] + offset[c]; });
    });
  }

 private:
  Shape s_;
  float epsilon_;
  bool relu_;
  Ref x_, scale_, bias_, mean_, variance_, sum_, y_;
  std::vector<float> gain_, offset_;
};

/// dx, dscale, dbias; where `gate` is given, dy counts only where the gate is above zero (ReLU behind the normalisation), and
/// the gated dy is written to `gated` if asked for.
class NormGradient : public Step {
 public:
  explicit NormGradient(Words& w) : s_(w), epsilon_(w.real()), x_(w.ref()), scale_(w.ref()), mean_(w.ref()), variance_(w.ref()), dy_(w.ref()), gate_(w.ref()), gated_(w.ref()), dx_(w.ref()), dscale_(w.ref()), dbias_(w.ref()), first_(s_.channels), second_(s_.channels), p_(s_.channels), q_(s_.channels), r_(s_.channels) {}
  void run(const Memory& m) override {
    const float *x = m.at<float>(x_), *scale = m.at<float>(scale_), *mean = m.at<float>(mean_), *variance = m.at<float>(variance_), *dy = m.at<float>(dy_), *gate = m.at<float>(gate_);
    float *gated = m.at<float>(gated_), *dx = m.at<float>(dx_), *dscale = m.at<float>(dscale_), *dbias = m.at<float>(dbias_);
    withBlock(s_, [&](auto b) {
      constexpr int B = decltype(b)::value;
      if (gate && gated)
        sums<B>(s_, first_.data(), second_.data(), [=](int64_t i, int64_t c, float& a, float& q) {
          const float d = gate[i] > 0 ? dy[i] : 0;
          gated[i] = d;
          a += d;
          q += d * (x[i] - mean[c]);
        });
      else if (gate)
        sums<B>(s_, first_.data(), second_.data(), [=](int64_t i, int64_t c, float& a, float& q) {
          const float d = gate[i] > 0 ? dy[i] : 0;
          a += d;
          q += d * (x[i] - mean[c]);
        });
      else
        sums<B>(s_, first_.data(), second_.data(), [=](int64_t i, int64_t c, float& a, float& q) {
          a += dy[i];
          q += dy[i] * (x[i] - mean[c]);
        });
    });
    const double count = double(s_.images) * double(s_.space);
    for (int64_t c = 0; c < s_.channels; c++) {
      const double inverse = 1 / std::sqrt(double(variance[c]) + epsilon_);
      if (dbias) dbias[c] = float(first_[c]);
      if (dscale) dscale[c] = float(second_[c] * inverse);
      const double p = scale[c] * inverse;
      p_[c] = float(p);
      q_[c] = float(-p * inverse * inverse * second_[c] / count);
      r_[c] = float(-p * first_[c] / count);
    }
    if (!dx) return;
    const float *p = p_.data(), *q = q_.data(), *r = r_.data();
    const float* d = gated ? gated : dy;
    withBlock(s_, [&](auto b) {
      constexpr int B = decltype(b)::value;
      if (gate && !gated) every<B>(s_, [=](int64_t i, int64_t c) { dx[i] = p[c] * (gate[i] > 0 ? d[i] : 0) + q[c] * (x[i] - mean[c]) + r[c]; });
      else every<B>(s_, [=](int64_t i, int64_t c) { dx[i] = p[c] * d[i] + q[c] * (x[i] - mean[c]) + r[c]; });
    });
  }

 private:
  Shape s_;
  float epsilon_;
  Ref x_, scale_, mean_, variance_, dy_, gate_, gated_, dx_, dscale_, dbias_;
  std::vector<double> first_, second_;
  std::vector<float> p_, q_, r_;
};

}  // namespace

StepPtr makeNormStatistics(Words& w, Setup&) { return std::make_unique<NormStatistics>(w); }
StepPtr makeNormApply(Words& w, Setup&) { return std::make_unique<NormApply>(w); }
StepPtr makeNormGradient(Words& w, Setup&) { return std::make_unique<NormGradient>(w); }

}  // namespace metalr
