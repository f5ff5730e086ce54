// Batch normalisation by batch statistics, its application (with residual and ReLU in the same pass), and its gradient.
// x is [N, C/B, S, B]: B = 1 is C order, B = 16 or 8 the blocked layout. Sums run over a fixed number of pieces of the batch,
// in float32 over short runs and in float64 above them, so that they are exact and the same for any number of threads.
#include <cmath>
#include <cstring>

#include "lanes.h"
#include "program.h"

namespace metalr {
namespace {

constexpr int64_t kRun = 128;  // positions that are summed in float32 before float64 takes over

struct Shape {
  int64_t images, channels, space, block;
  Type type;  // of images; statistics and parameters are float32
  explicit Shape(Words& w) {
    images = w.size(), channels = w.size(), space = w.size(), block = w.size(), type = storageOf(w);
    if (block != 1 && block != 8 && block != 16) throw std::runtime_error("blocks are of 1, 8 or 16 channels");
    if (images < 1 || channels < 1 || space < 1 || channels % block) throw std::runtime_error("a normalisation has no shape");
  }
  int64_t blocks() const { return channels / block; }
  int64_t pieces() const { return images < kPieces ? images : kPieces; }
  int64_t start(int64_t image, int64_t b) const { return (image * blocks() + b) * space * block; }
};

/// Two sums for each channel. terms(tag, position, channel, first, second) adds both terms of one vector; `tag` has its type.
template <int B, class Terms>
void sums(const Shape& s, double* first, double* second, std::vector<double>& parts, const Terms& terms) {
  using V = Lanes<B>;
  constexpr int kLanes = sizeof(V) / 4, kStep = kLanes / B;  // positions in a vector: 1, or 16 for single channels
  const int64_t pieces = s.pieces(), blocks = s.blocks();
  parts.assign(size_t(2 * pieces * s.channels), 0);
  double* out = parts.data();
#pragma omp parallel for schedule(static) collapse(2)
  for (int64_t p = 0; p < pieces; p++)
    for (int64_t b = 0; b < blocks; b++) {
      double p1[B] = {}, p2[B] = {};
      for (int64_t i = pieceBegin(s.images, pieces, p); i < pieceBegin(s.images, pieces, p + 1); i++) {
        const int64_t start = s.start(i, b);
        for (int64_t from = 0; from < s.space; from += kRun) {
          const int64_t to = from + kRun < s.space ? from + kRun : s.space;
          V a = {}, q = {};
          int64_t k = from;
          for (; k + kStep <= to; k += kStep) terms(V{}, start + k * B, b * B, a, q);
          for (int l = 0; l < kLanes; l++) p1[l % B] += a[l], p2[l % B] += q[l];
          float a1 = 0, q1 = 0;  // the last few positions of a single channel
          if constexpr (B == 1)
            for (; k < to; k++) terms(0.f, start + k, b, a1, q1);
          p1[0] += a1, p2[0] += q1;
        }
      }
      for (int l = 0; l < B; l++) {
        out[(p * s.channels + b * B + l) * 2] = p1[l];
        out[(p * s.channels + b * B + l) * 2 + 1] = p2[l];
      }
    }
  for (int64_t c = 0; c < s.channels; c++) {
    first[c] = second[c] = 0;
    for (int64_t p = 0; p < pieces; p++) {
      first[c] += out[(p * s.channels + c) * 2];
      second[c] += out[(p * s.channels + c) * 2 + 1];
    }
  }
}

/// each(tag, position, channel) for every vector of elements.
template <int B, class Each>
void every(const Shape& s, const Each& each) {
  using V = Lanes<B>;
  constexpr int kStep = sizeof(V) / 4 / B;
  const int64_t rows = s.images * s.blocks();
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < rows; r++) {
    const int64_t channel = (r % s.blocks()) * B, start = r * s.space * B;
    int64_t k = 0;
    for (; k + kStep <= s.space; k += kStep) each(V{}, start + k * B, channel);
    if constexpr (B == 1)
      for (; k < s.space; k++) each(0.f, start + k, channel);
  }
}

class NormStatistics : public Step {
 public:
  explicit NormStatistics(Words& w) : s_(w), x_(w.ref()), mean_(w.ref()), variance_(w.ref()), first_(s_.channels), second_(s_.channels), shift_(s_.channels) {}
  void run(const Memory& m) override {
    withStorage(s_.type, [&](auto element) { measure(m.at<decltype(element)>(x_), m.at<float>(mean_), m.at<float>(variance_)); });
  }

 private:
  template <class S>
  void measure(const S* x, float* mean, float* variance) {
    const double count = double(s_.images) * double(s_.space);
    // One pass around a value of the channel itself: no digits are lost where the mean is far from zero.
    for (int64_t c = 0; c < s_.channels; c++) shift_[c] = load<float>(x + (c / s_.block) * s_.space * s_.block + c % s_.block);
    const float* shift = shift_.data();
    withBlock(s_.block, [&](auto b) {
      constexpr int B = decltype(b)::value;
      sums<B>(s_, first_.data(), second_.data(), parts_, [=](auto tag, int64_t i, int64_t c, auto& a, auto& q) {
        using T = decltype(tag);
        const T d = load<T>(x + i) - ofChannel<B, T>(shift, c);
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

  Shape s_;
  Ref x_, mean_, variance_;
  std::vector<double> first_, second_, parts_;
  std::vector<float> shift_;
};

class NormApply : public Step {
 public:
  explicit NormApply(Words& w) : s_(w), epsilon_(w.real()), relu_(w.next() != 0), x_(w.ref()), scale_(w.ref()), bias_(w.ref()), mean_(w.ref()), variance_(w.ref()), sum_(w.ref()), y_(w.ref()), gain_(s_.channels) {}
  void run(const Memory& m) override {
    const float *scale = m.at<float>(scale_), *bias = m.at<float>(bias_), *mean = m.at<float>(mean_), *variance = m.at<float>(variance_);
    for (int64_t c = 0; c < s_.channels; c++) gain_[c] = scale[c] / std::sqrt(variance[c] + epsilon_);
    withStorage(s_.type, [&](auto element) {
      using S = decltype(element);
      apply(m.at<S>(x_), m.at<S>(sum_), mean, bias, m.at<S>(y_));
    });
  }

 private:
  template <class S>
  void apply(const S* x, const S* sum, const float* mean, const float* bias, S* y) const {
    const float* gain = gain_.data();
    withBlock(s_.block, [&](auto b) {
      constexpr int B = decltype(b)::value;
      const auto affine = [=](auto tag, int64_t i, int64_t c) {
        using T = decltype(tag);
        return (load<T>(x + i) - ofChannel<B, T>(mean, c)) * ofChannel<B, T>(gain, c) + ofChannel<B, T>(bias, c);
      };
      // ReLU keeps NaN: the comparison fails for it.
      const auto gate = [](auto v) { return v <= 0 ? decltype(v){} : v; };
      if (sum && relu_) every<B>(s_, [=](auto t, int64_t i, int64_t c) { store(y + i, gate(affine(t, i, c) + load<decltype(t)>(sum + i))); });
      else if (sum) every<B>(s_, [=](auto t, int64_t i, int64_t c) { store(y + i, affine(t, i, c) + load<decltype(t)>(sum + i)); });
      else if (relu_) every<B>(s_, [=](auto t, int64_t i, int64_t c) { store(y + i, gate(affine(t, i, c))); });
      else every<B>(s_, [=](auto t, int64_t i, int64_t c) { store(y + i, affine(t, i, c)); });
    });
  }

  Shape s_;
  float epsilon_;
  bool relu_;
  Ref x_, scale_, bias_, mean_, variance_, sum_, y_;
  std::vector<float> gain_;
};

/// dx, dscale, dbias; where `gate` is given, dy counts only where the gate is above zero (ReLU behind the normalisation), and
/// the gated dy is written to `gated` if asked for.
class NormGradient : public Step {
 public:
  explicit NormGradient(Words& w) : s_(w), epsilon_(w.real()), x_(w.ref()), scale_(w.ref()), mean_(w.ref()), variance_(w.ref()), dy_(w.ref()), gate_(w.ref()), gated_(w.ref()), dx_(w.ref()), dscale_(w.ref()), dbias_(w.ref()), first_(s_.channels), second_(s_.channels), p_(s_.channels), q_(s_.channels), r_(s_.channels) {}
  void run(const Memory& m) override {
    withStorage(s_.type, [&](auto element) {
      using S = decltype(element);
      differentiate(m, m.at<S>(x_), m.at<S>(dy_), m.at<S>(gate_), m.at<S>(gated_), m.at<S>(dx_));
    });
  }

 private:
  template <class S>
  void differentiate(const Memory& m, const S* x, const S* dy, const S* gate, S* gated, S* dx) {
    const float *scale = m.at<float>(scale_), *mean = m.at<float>(mean_), *variance = m.at<float>(variance_);
    float *dscale = m.at<float>(dscale_), *dbias = m.at<float>(dbias_);
    withBlock(s_.block, [&](auto b) {
      constexpr int B = decltype(b)::value;
      const auto count = [=](auto d, int64_t i, int64_t c, auto& a, auto& q) {
        using T = decltype(d);
        a += d;
        q += d * (load<T>(x + i) - ofChannel<B, T>(mean, c));
      };
      const auto passed = [=](auto t, int64_t i) {
        using T = decltype(t);
        return load<T>(gate + i) > 0 ? load<T>(dy + i) : T{};
      };
      if (gate && gated)
        sums<B>(s_, first_.data(), second_.data(), parts_, [=](auto t, int64_t i, int64_t c, auto& a, auto& q) {
          const auto d = passed(t, i);
          store(gated + i, d);
          count(d, i, c, a, q);
        });
      else if (gate) sums<B>(s_, first_.data(), second_.data(), parts_, [=](auto t, int64_t i, int64_t c, auto& a, auto& q) { count(passed(t, i), i, c, a, q); });
      else sums<B>(s_, first_.data(), second_.data(), parts_, [=](auto t, int64_t i, int64_t c, auto& a, auto& q) { count(load<decltype(t)>(dy + i), i, c, a, q); });
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
    const S* d = gated ? gated : dy;
    withBlock(s_.block, [&](auto b) {
      constexpr int B = decltype(b)::value;
      const auto gradient = [=](auto v, int64_t i, int64_t c) {
        using T = decltype(v);
        store(dx + i, ofChannel<B, T>(p, c) * v + ofChannel<B, T>(q, c) * (load<T>(x + i) - ofChannel<B, T>(mean, c)) + ofChannel<B, T>(r, c));
      };
      if (gate && !gated)
        every<B>(s_, [=](auto t, int64_t i, int64_t c) {
          using T = decltype(t);
          gradient(T(load<T>(gate + i) > 0 ? load<T>(d + i) : T{}), i, c);
        });
      else every<B>(s_, [=](auto t, int64_t i, int64_t c) { gradient(load<decltype(t)>(d + i), i, c); });
    });
  }

  Shape s_;
  float epsilon_;
  Ref x_, scale_, mean_, variance_, dy_, gate_, gated_, dx_, dscale_, dbias_;
  std::vector<double> first_, second_, parts_;
  std::vector<float> p_, q_, r_;
};

}  // namespace

StepPtr makeNormStatistics(Words& w, Setup&) { return std::make_unique<NormStatistics>(w); }
StepPtr makeNormApply(Words& w, Setup&) { return std::make_unique<NormApply>(w); }
StepPtr makeNormGradient(Words& w, Setup&) { return std::make_unique<NormGradient>(w); }

}  // namespace metalr
