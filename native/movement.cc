// Steps that move or gather elements: strided copies (transposing, slicing, broadcasting, joining), filling, reductions,
// softmax, inner products.
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "lanes.h"
#include "program.h"
#include "vector_math.h"

namespace metalr {
namespace {

/// to[Σ i·toStrides] = from[Σ i·fromStrides] over all i below `shape`; strides count elements and may be 0 or negative. Or floats
/// are added to what is there: then threads divide the first axis, whose steps never meet, and the order of the sums is fixed.
class Copy : public Step {
 public:
  explicit Copy(Words& w) {
    int32_t n = w.next();
    if (n < 1 || n > 8) throw std::runtime_error("a copy has one to eight axes");
    shape_ = w.list(n), from_ = w.list(n), to_ = w.list(n);
    fromAt_ = w.size(), toAt_ = w.size();
    bytes_ = w.next();
    add_ = w.next() != 0;
    if (add_ && bytes_ != 4) throw std::runtime_error("only floats are added");
    source_ = w.ref(), target_ = w.ref();
  }
  void run(const Memory& m) override {
    if (add_) return add(m);
    switch (bytes_) {
      case 1: return move<uint8_t>(m);
      case 2: return move<uint16_t>(m);
      case 4: return move<uint32_t>(m);
      case 8: return move<uint64_t>(m);
      default: throw std::runtime_error("elements have 1, 2, 4 or 8 bytes");
    }
  }

 private:
  template <class T>
  void move(const Memory& m) {
    const T* from = m.at<T>(source_) + fromAt_;
    T* to = m.at<T>(target_) + toAt_;
    const size_t last = shape_.size() - 1;
    const int64_t rows = rowsFrom(0), length = shape_[last], fs = from_[last], ts = to_[last];
#pragma omp parallel for schedule(static) if (rows * length > 32768)
    for (int64_t r = 0; r < rows; r++) {
      const auto [f, t] = offsets(r);
      const T* source = from + f;
      T* target = to + t;
      if (fs == 1 && ts == 1) std::memcpy(target, source, size_t(length) * sizeof(T));
      else
        for (int64_t i = 0; i < length; i++) target[i * ts] = source[i * fs];
    }
  }
  void add(const Memory& m) {
    const float* from = m.at<float>(source_) + fromAt_;
    float* to = m.at<float>(target_) + toAt_;
    const size_t last = shape_.size() - 1;
    const int64_t outer = last > 0 ? shape_[0] : 1, rows = rowsFrom(1), length = shape_[last], fs = from_[last], ts = to_[last];
#pragma omp parallel for schedule(static) if (outer * rows * length > 32768)
    for (int64_t o = 0; o < outer; o++)
      for (int64_t r = o * rows; r < (o + 1) * rows; r++) {
        const auto [f, t] = offsets(r);
        const float* source = from + f;
        float* target = to + t;
        if (fs == 1 && ts == 1)
          for (int64_t i = 0; i < length; i++) target[i] += source[i];
        else
          for (int64_t i = 0; i < length; i++) target[i * ts] += source[i * fs];
      }
  }
  /// Rows (all axes but the last) of the axes from `first` on.
  int64_t rowsFrom(size_t first) const {
    int64_t rows = 1;
    for (size_t a = first; a + 1 < shape_.size(); a++) rows *= shape_[a];
    return rows;
  }
  std::pair<int64_t, int64_t> offsets(int64_t row) const {
    int64_t f = 0, t = 0;
    for (size_t a = shape_.size() - 1; a-- > 0;) {
      const int64_t i = row % shape_[a];
      row /= shape_[a];
      f += i * from_[a];
      t += i * to_[a];
    }
    return {f, t};
  }
  std::vector<int64_t> shape_, from_, to_;
  int64_t fromAt_, toAt_;
  int32_t bytes_;
  bool add_;
  Ref source_, target_;
};

class Fill : public Step {
 public:
  explicit Fill(Words& w) : n_(w.size()), value_(w.real()), target_(w.ref()) {}
  void run(const Memory& m) override {
    float* y = m.at<float>(target_);
    const float v = value_;
#pragma omp parallel for schedule(static) if (n_ > 65536)
    for (int64_t i = 0; i < n_; i++) y[i] = v;
  }

 private:
  int64_t n_;
  float value_;
  Ref target_;
};

/// [outer, n, inner] → [outer, inner]: 0 sum, 1 mean, 2 maximum. Sums are float64 over runs of float32.
class Reduce : public Step {
 public:
  explicit Reduce(Words& w) : kind_(w.next()), type_(storageOf(w)), outer_(w.size()), n_(w.size()), inner_(w.size()), x_(w.ref()), y_(w.ref()) {}
  void run(const Memory& m) override {
    withStorage(type_, [&](auto element) { reduce(m.at<decltype(element)>(x_), m.at<float>(y_)); });
  }

 private:
  template <class S>
  void reduce(const S* x, float* y) const {
    if (inner_ == 1 && outer_ < 8) return fewRows(x, y);
    // Columns are taken in strips, so that every row of x is read along memory.
    const int64_t strips = (inner_ + kStrip - 1) / kStrip;
#pragma omp parallel for schedule(static) collapse(2) if (outer_ * n_ * inner_ > 32768)
    for (int64_t o = 0; o < outer_; o++)
      for (int64_t s = 0; s < strips; s++) {
        const int64_t from = s * kStrip, width = inner_ - from < kStrip ? inner_ - from : kStrip;
        const S* base = x + o * n_ * inner_ + from;
        float* out = y + o * inner_ + from;
        if (kind_ == 2) {
          float best[kStrip];
          for (int64_t i = 0; i < width; i++) best[i] = load<float>(base + i);
          for (int64_t k = 1; k < n_; k++)
            for (int64_t i = 0; i < width; i++) {
              const float v = load<float>(base + k * inner_ + i);
              best[i] = v > best[i] || v != v ? v : best[i];
            }
          for (int64_t i = 0; i < width; i++) out[i] = best[i];
        } else {
          double total[kStrip] = {};
          for (int64_t k = 0; k < n_; k += 128) {
            float part[kStrip] = {};
            const int64_t end = k + 128 < n_ ? k + 128 : n_;
            for (int64_t l = k; l < end; l++)
              for (int64_t i = 0; i < width; i++) part[i] += load<float>(base + l * inner_ + i);
            for (int64_t i = 0; i < width; i++) total[i] += part[i];
          }
          for (int64_t i = 0; i < width; i++) out[i] = float(kind_ == 1 ? total[i] / double(n_) : total[i]);
        }
      }
  }

  static constexpr int64_t kStrip = 64;
  template <class S>
  void fewRows(const S* x, float* y) const {
    for (int64_t o = 0; o < outer_; o++) {
      const S* row = x + o * n_;
      double parts[kPieces] = {};
      float tops[kPieces];
#pragma omp parallel for schedule(static) if (n_ > 32768)
      for (int64_t p = 0; p < kPieces; p++) {
        double total = 0;
        float top = -std::numeric_limits<float>::infinity();
        for (int64_t i = pieceBegin(n_, kPieces, p); i < pieceBegin(n_, kPieces, p + 1);) {
          const int64_t end = pieceBegin(n_, kPieces, p + 1), stop = i + 128 < end ? i + 128 : end;
          float part[8] = {};
          if (kind_ == 2) {
            for (; i < stop; i++) {
              const float v = load<float>(row + i);
              top = v > top || v != v ? v : top;
            }
          } else {
            for (; i + 8 <= stop; i += 8)
              for (int l = 0; l < 8; l++) part[l] += load<float>(row + i + l);
            for (; i < stop; i++) part[0] += load<float>(row + i);
            for (float v : part) total += v;
          }
        }
        parts[p] = total;
        tops[p] = top;
      }
      double total = 0;
      float top = tops[0];
      for (int64_t p = 0; p < kPieces; p++) {
        total += parts[p];
        top = tops[p] > top || tops[p] != tops[p] ? tops[p] : top;
      }
      y[o] = kind_ == 2 ? top : float(kind_ == 1 ? total / double(n_) : total);
    }
  }
  int32_t kind_;
  Type type_;
  int64_t outer_, n_, inner_;
  Ref x_, y_;
};

/// Softmax (0) or log-softmax (1) along the middle of [outer, n, inner].
class Softmax : public Step {
 public:
  explicit Softmax(Words& w) : kind_(w.next()), outer_(w.size()), n_(w.size()), inner_(w.size()), x_(w.ref()), y_(w.ref()) {}
  void run(const Memory& m) override {
    const float* x = m.at<float>(x_);
    float* y = m.at<float>(y_);
#pragma omp parallel for schedule(static) collapse(2) if (outer_ * n_ * inner_ > 8192)
    for (int64_t o = 0; o < outer_; o++)
      for (int64_t i = 0; i < inner_; i++) {
        const float* in = x + o * n_ * inner_ + i;
        float* out = y + o * n_ * inner_ + i;
        float top = in[0];
        for (int64_t k = 1; k < n_; k++) top = in[k * inner_] > top ? in[k * inner_] : top;
        double total = 0;
        for (int64_t k = 0; k < n_; k++) {
          const float e = std::exp(in[k * inner_] - top);
          if (kind_ == 0) out[k * inner_] = e;
          total += e;
        }
        if (kind_ == 0) {
          const float scale = float(1 / total);
          for (int64_t k = 0; k < n_; k++) out[k * inner_] *= scale;
        } else {
          const float shift = float(top + std::log(total));
          for (int64_t k = 0; k < n_; k++) out[k * inner_] = in[k * inner_] - shift;
        }
      }
  }

 private:
  int32_t kind_;
  int64_t outer_, n_, inner_;
  Ref x_, y_;
};

class Dot : public Step {
 public:
  explicit Dot(Words& w) : n_(w.size()), type_(storageOf(w)), a_(w.ref()), b_(w.ref()), y_(w.ref()) {}
  void run(const Memory& m) override {
    withStorage(type_, [&](auto element) {
      using S = decltype(element);
      *m.at<float>(y_) = product(m.at<S>(a_), m.at<S>(b_));
    });
  }

 private:
  template <class S>
  float product(const S* a, const S* b) const {
    double parts[kPieces] = {};
#pragma omp parallel for schedule(static) if (n_ > 16384)
    for (int64_t p = 0; p < kPieces; p++) {
      double total = 0;
      const int64_t end = pieceBegin(n_, kPieces, p + 1);
      for (int64_t i = pieceBegin(n_, kPieces, p); i < end;) {
        const int64_t stop = i + 2048 < end ? i + 2048 : end;
        float part[32] = {};
        for (; i + 32 <= stop; i += 32)
          for (int l = 0; l < 32; l++) part[l] += load<float>(a + i + l) * load<float>(b + i + l);
        for (; i < stop; i++) part[0] += load<float>(a + i) * load<float>(b + i);
        for (float v : part) total += v;
      }
      parts[p] = total;
    }
    double total = 0;
    for (double v : parts) total += v;
    return float(total);
  }

  int64_t n_;
  Type type_;
  Ref a_, b_, y_;
};

}  // namespace

StepPtr makeCopy(Words& w, Setup&) { return std::make_unique<Copy>(w); }
StepPtr makeFill(Words& w, Setup&) { return std::make_unique<Fill>(w); }
StepPtr makeReduce(Words& w, Setup&) { return std::make_unique<Reduce>(w); }
StepPtr makeSoftmax(Words& w, Setup&) { return std::make_unique<Softmax>(w); }
StepPtr makeDot(Words& w, Setup&) { return std::make_unique<Dot>(w); }

}  // namespace metalr
