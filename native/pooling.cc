// Max pooling that remembers which tap of its window won, in one byte, and its gradient.
// x is [N, C/B, D, H, W, B]; lines and images have D = 1 (and H = 1).
#include <cstring>

#include "lanes.h"
#include "program.h"

namespace metalr {
namespace {

struct Window {
  int64_t rows, block;  // rows = N · C/B
  std::vector<int64_t> in, out, kernel, strides, before, dilations;
  explicit Window(Words& w) : rows(w.size()), block(w.size()), in(w.list(3)), out(w.list(3)), kernel(w.list(3)), strides(w.list(3)), before(w.list(3)), dilations(w.list(3)) {
    if (block != 1 && block != 8 && block != 16) throw std::runtime_error("blocks are of 1, 8 or 16 channels");
    if (kernel[0] * kernel[1] * kernel[2] > 255) throw std::runtime_error("a pooling window has 255 places at most");
  }
  int64_t inSize() const { return in[0] * in[1] * in[2] * block; }
  int64_t outSize() const { return out[0] * out[1] * out[2] * block; }
  /// f(input offset, tap) for every tap inside the image.
  template <class F>
  void taps(int64_t d, int64_t h, int64_t w, const F& f) const {
    int tap = 0;
    for (int64_t i = 0; i < kernel[0]; i++) {
      const int64_t z = d * strides[0] - before[0] + i * dilations[0];
      for (int64_t j = 0; j < kernel[1]; j++) {
        const int64_t y = h * strides[1] - before[1] + j * dilations[1];
        for (int64_t k = 0; k < kernel[2]; k++, tap++) {
          const int64_t x = w * strides[2] - before[2] + k * dilations[2];
          if (z < 0 || z >= in[0] || y < 0 || y >= in[1] || x < 0 || x >= in[2]) continue;
          f(((z * in[1] + y) * in[2] + x) * block, tap);
        }
      }
    }
  }
};

class MaxPool : public Step {
 public:
  explicit MaxPool(Words& w) : w_(w), x_(w.ref()), y_(w.ref()), taps_(w.ref()) {}
  void run(const Memory& m) override {
    const float* x = m.at<float>(x_);
    float* y = m.at<float>(y_);
    uint8_t* taps = m.at<uint8_t>(taps_);
    withBlock(w_.block, [&](auto b) {
      constexpr int B = decltype(b)::value;
#pragma omp parallel for schedule(static)
      for (int64_t r = 0; r < w_.rows; r++) {
        const float* in = x + r * w_.inSize();
        float* out = y + r * w_.outSize();
        uint8_t* won = taps ? taps + r * w_.outSize() : nullptr;
        int64_t at = 0;
        for (int64_t d = 0; d < w_.out[0]; d++)
          for (int64_t h = 0; h < w_.out[1]; h++)
            for (int64_t c = 0; c < w_.out[2]; c++, at += B) {
              float best[B];
              int32_t tap[B];
              bool first = true;
              w_.taps(d, h, c, [&](int64_t from, int t) {
                if (first) {
                  for (int l = 0; l < B; l++) best[l] = in[from + l], tap[l] = t;
                  first = false;
                } else {
#pragma omp simd
                  for (int l = 0; l < B; l++) {
                    const bool wins = in[from + l] > best[l];
                    best[l] = wins ? in[from + l] : best[l];
                    tap[l] = wins ? t : tap[l];
                  }
                }
              });
              for (int l = 0; l < B; l++) out[at + l] = best[l];
              if (won)
                for (int l = 0; l < B; l++) won[at + l] = uint8_t(tap[l]);
            }
      }
    });
  }

 private:
  Window w_;
  Ref x_, y_, taps_;
};

class MaxPoolGradient : public Step {
 public:
  explicit MaxPoolGradient(Words& w) : w_(w), taps_(w.ref()), dy_(w.ref()), dx_(w.ref()) {}
  void run(const Memory& m) override {
    const uint8_t* taps = m.at<uint8_t>(taps_);
    const float* dy = m.at<float>(dy_);
    float* dx = m.at<float>(dx_);
    withBlock(w_.block, [&](auto b) {
      constexpr int B = decltype(b)::value;
#pragma omp parallel for schedule(static)
      for (int64_t r = 0; r < w_.rows; r++) {
        float* to = dx + r * w_.inSize();
        const float* from = dy + r * w_.outSize();
        const uint8_t* won = taps + r * w_.outSize();
        std::memset(to, 0, size_t(w_.inSize()) * 4);
        int64_t at = 0;
        for (int64_t d = 0; d < w_.out[0]; d++)
          for (int64_t h = 0; h < w_.out[1]; h++)
            for (int64_t c = 0; c < w_.out[2]; c++, at += B)
              w_.taps(d, h, c, [&](int64_t place, int t) {
#pragma omp simd
                for (int l = 0; l < B; l++) to[place + l] += won[at + l] == t ? from[at + l] : 0.f;
              });
      }
    });
  }

 private:
  Window w_;
  Ref taps_, dy_, dx_;
};

}  // namespace

StepPtr makeMaxPool(Words& w, Setup&) { return std::make_unique<MaxPool>(w); }
StepPtr makeMaxPoolGradient(Words& w, Setup&) { return std::make_unique<MaxPoolGradient>(w); }

}  // namespace metalr
