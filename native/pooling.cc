// Max pooling that remembers which tap of its window won, in one byte, and its gradient.
// x is [N, C/B, D, H, W, B]; lines and images have D = 1 (and H = 1).
#include <algorithm>
#include <vector>

#include "lanes.h"
#include "program.h"

namespace metalr {
namespace {

struct Window {
  int64_t rows, block;  // rows = N · C/B
  std::vector<int64_t> in, out, kernel, strides, before, dilations;
  Type type;
  explicit Window(Words& w) : rows(w.size()), block(w.size()), in(w.list(3)), out(w.list(3)), kernel(w.list(3)), strides(w.list(3)), before(w.list(3)), dilations(w.list(3)), type(storageOf(w)) {
    if (kernel[0] * kernel[1] * kernel[2] > 255) throw std::runtime_error("a pooling window has 255 places at most");
  }
  int64_t inSize() const { return in[0] * in[1] * in[2] * block; }
  int64_t outSize() const { return out[0] * out[1] * out[2] * block; }

  /// Calls f(input offset, tap) for every tap of one output position that lies inside the image, in reading order.
  template <class F>
  void taps(int64_t d, int64_t h, int64_t w, const F& f) const {
    const int64_t z0 = d * strides[0] - before[0], y0 = h * strides[1] - before[1], x0 = w * strides[2] - before[2];
    for (int64_t i = 0; i < kernel[0]; i++) {
      const int64_t z = z0 + i * dilations[0];
      if (z < 0 || z >= in[0]) continue;
      for (int64_t j = 0; j < kernel[1]; j++) {
        const int64_t y = y0 + j * dilations[1];
        if (y < 0 || y >= in[1]) continue;
        const int64_t row = (z * in[1] + y) * in[2];
        const int tap = int((i * kernel[1] + j) * kernel[2]);
        for (int64_t k = 0; k < kernel[2]; k++) {
          const int64_t x = x0 + k * dilations[2];
          if (x >= 0 && x < in[2]) f((row + x) * block, tap + int(k));
        }
      }
    }
  }
  template <class F>
  void places(const F& f) const {
    int64_t at = 0;
    for (int64_t d = 0; d < out[0]; d++)
      for (int64_t h = 0; h < out[1]; h++)
        for (int64_t w = 0; w < out[2]; w++, at += block) f(d, h, w, at);
  }
};

/// A vector of B lanes, or one float: pooling windows of single channels are not worth more.
template <int B>
using Cell = std::conditional_t<B == 1, float, Lanes<B>>;

template <int B>
struct TapsOf {
  typedef uint8_t bytes __attribute__((vector_size(B)));
  typedef int32_t words __attribute__((vector_size(B * 4)));
};
template <>
struct TapsOf<1> {
  using bytes = uint8_t;
  using words = int32_t;
};

class MaxPool : public Step {
 public:
  explicit MaxPool(Words& w) : w_(w), x_(w.ref()), y_(w.ref()), taps_(w.ref()) {}
  void run(const Memory& m) override {
    withStorage(w_.type, [&](auto element) {
      using S = decltype(element);
      withBlock(w_.block, [&](auto b) { pool<decltype(b)::value>(m.at<S>(x_), m.at<S>(y_), m.at<uint8_t>(taps_)); });
    });
  }

 private:
  template <int B, class S>
  void pool(const S* x, S* y, uint8_t* taps) const {
    using V = Cell<B>;
    using I = typename TapsOf<B>::words;
    using C = typename TapsOf<B>::bytes;
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < w_.rows; r++) {
      const S* in = x + r * w_.inSize();
      S* out = y + r * w_.outSize();
      uint8_t* won = taps ? taps + r * w_.outSize() : nullptr;
      w_.places([&](int64_t d, int64_t h, int64_t c, int64_t at) {
        V best{};
        I tap{};
        bool first = true;
        w_.taps(d, h, c, [&](int64_t from, int t) {
          const V v = load<V>(in + from);
          if (first) {
            best = v;
            tap = I{} + t;
            first = false;
          } else {
            const auto wins = v > best;
            best = wins ? v : best;
            tap = wins ? I{} + t : tap;
          }
        });
        store(out + at, best);
        if (!won) return;
        if constexpr (B == 1) {
          won[at] = uint8_t(tap);
        } else {
          const C bytes = __builtin_convertvector(tap, C);
          std::memcpy(won + at, &bytes, B);
        }
      });
    }
  }
  Window w_;
  Ref x_, y_, taps_;
};

class MaxPoolGradient : public Step {
 public:
  explicit MaxPoolGradient(Words& w) : w_(w), taps_(w.ref()), dy_(w.ref()), dx_(w.ref()) {}
  void run(const Memory& m) override {
    withStorage(w_.type, [&](auto element) {
      using S = decltype(element);
      withBlock(w_.block, [&](auto b) { spread<decltype(b)::value>(m.at<uint8_t>(taps_), m.at<S>(dy_), m.at<S>(dx_)); });
    });
  }

 private:
  template <int B, class S>
  void spread(const uint8_t* taps, const S* dy, S* dx) const {
    using V = Cell<B>;
    using I = typename TapsOf<B>::words;
    using C = typename TapsOf<B>::bytes;
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < w_.rows; r++) {
      S* to = dx + r * w_.inSize();
      const S* from = dy + r * w_.outSize();
      const uint8_t* won = taps + r * w_.outSize();
      std::fill(to, to + w_.inSize(), S(0));
      w_.places([&](int64_t d, int64_t h, int64_t c, int64_t at) {
        const V v = load<V>(from + at);
        I tap;
        if constexpr (B == 1) {
          tap = won[at];
        } else {
          C bytes;
          std::memcpy(&bytes, won + at, B);
          tap = __builtin_convertvector(bytes, I);
        }
        w_.taps(d, h, c, [&](int64_t place, int t) { store(to + place, V(load<V>(to + place) + (tap == t ? v : V{}))); });
      });
    }
  }
  Window w_;
  Ref taps_, dy_, dx_;
};

}  // namespace

StepPtr makeMaxPool(Words& w, Setup&) { return std::make_unique<MaxPool>(w); }
StepPtr makeMaxPoolGradient(Words& w, Setup&) { return std::make_unique<MaxPoolGradient>(w); }

}  // namespace metalr
