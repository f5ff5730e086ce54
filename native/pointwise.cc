// Chains of elementwise operators in one pass: every thread takes chunks of the elements and runs the whole chain on each, with
// intermediate results in a few short arrays that stay in its first-level cache. One read and one write for each operand.
#include <cmath>
#include <cstring>

#include <omp.h>
#if defined(__SSE__)
#include <xmmintrin.h>
#endif

#include "lanes.h"
#include "program.h"
#include "vector_math.h"

namespace metalr {
namespace {

constexpr int64_t kChunk = 512;
constexpr int kRegisters = 24;
/// From this size on, results that leave the program (new weights, the optimizer's slots) go past the caches.
constexpr int64_t kStreamed = 1 << 18;

/// How an input's index follows from the element's.
enum class Mode : int32_t {
  full = 0,     // the same index
  scalar = 1,   // one value for all
  middle = 2,   // (i / inner) % count: an operand that spans some neighbouring axes
  channel = 3,  // the channel of a blocked value: inner = space, count = channels
  corner = 4,   // image and channel of a blocked value: inner = space
};

struct Input {
  Ref ref;
  Type type;
  Mode mode;
  int64_t inner, count;
};
struct Output {
  Ref ref;
  Type type;
  int32_t reg;
};
struct Code {
  int32_t op, to, a, b, c;
  float p, q;
};

float element(const void* base, Type t, int64_t i) {
  switch (t) {
    case Type::f32: return static_cast<const float*>(base)[i];
    case Type::bf16: return load<float>(static_cast<const bf16*>(base) + i);
    case Type::u8: return static_cast<const uint8_t*>(base)[i];
    case Type::i64: return float(static_cast<const int64_t*>(base)[i]);
  }
  return 0;
}

class Pointwise : public Step {
 public:
  Pointwise(Words& w, Setup& s) : n_(w.size()), block_(s.block) {
    inputs_.resize(count(w.next(), 64));
    for (auto& i : inputs_) {
      i.ref = w.ref();
      i.type = static_cast<Type>(w.next());
      i.mode = static_cast<Mode>(w.next());
      i.inner = w.size();
      i.count = w.size();
      if (i.inner < 1 || i.count < 1) throw std::runtime_error("a broadcast has no size");
    }
    code_.resize(count(w.next(), 4096));
    for (auto& c : code_) {
      c.op = w.next(), c.to = w.next(), c.a = w.next(), c.b = w.next(), c.c = w.next();
      c.p = w.real(), c.q = w.real();
      for (int32_t r : {c.to, c.a, c.b, c.c})
        if (r < 0 || r >= kRegisters + int32_t(inputs_.size())) throw std::runtime_error("no such register");
      if (c.to >= kRegisters) throw std::runtime_error("an input cannot be written");
    }
    outputs_.resize(count(w.next(), 64));
    for (auto& o : outputs_) {
      o.ref = w.ref();
      o.type = static_cast<Type>(w.next());
      o.reg = w.next();
      if (o.reg < 0 || o.reg >= kRegisters + int32_t(inputs_.size())) throw std::runtime_error("no such register");
    }
  }

  void run(const Memory& m) override {
    const int64_t chunks = (n_ + kChunk - 1) / kChunk;
    if (chunks < 8) {
      work(m, 0, chunks);
      return;
    }
#pragma omp parallel
    {
      const int64_t threads = omp_get_num_threads(), me = omp_get_thread_num();
      work(m, chunks * me / threads, chunks * (me + 1) / threads);
    }
  }

 private:
  static size_t count(int32_t n, int32_t most) {
    if (n < 0 || n > most) throw std::runtime_error("a chain is too long");
    return size_t(n);
  }

  void work(const Memory& m, int64_t from, int64_t to) {
    alignas(64) float own[kRegisters + 64][kChunk];
    float* reg[kRegisters + 64];
    for (size_t k = 0; k < kRegisters + inputs_.size(); k++) reg[k] = own[k];
    for (size_t k = 0; k < inputs_.size(); k++) {
      const Input& in = inputs_[k];
      if (in.mode != Mode::scalar) continue;
      const float v = element(m.at<void>(in.ref), in.type, 0);
      for (float& x : own[kRegisters + k]) x = v;
    }
    for (int64_t chunk = from; chunk < to; chunk++) {
      const int64_t at = chunk * kChunk;
      const int64_t len = n_ - at < kChunk ? n_ - at : kChunk;
      for (size_t k = 0; k < inputs_.size(); k++) fetch(m, inputs_[k], at, len, own[kRegisters + k], reg[kRegisters + k]);
      for (const Code& c : code_) execute(c, reg, len);
      for (const Output& o : outputs_) store(m, o, at, len, reg[o.reg]);
    }
    finishStream();
  }

  void fetch(const Memory& m, const Input& in, int64_t at, int64_t len, float* own, float*& reg) const {
    char* base = m.at<char>(in.ref);
    switch (in.mode) {
      case Mode::scalar: return;
      case Mode::full:
        if (in.type == Type::f32) {
          reg = reinterpret_cast<float*>(base) + at;  // read where it lies
        } else if (in.type == Type::bf16) {
          const bf16* p = reinterpret_cast<bf16*>(base) + at;
          for (int64_t i = 0; i < len; i++) own[i] = load<float>(p + i);
        } else if (in.type == Type::u8) {
          const uint8_t* p = reinterpret_cast<uint8_t*>(base) + at;
          for (int64_t i = 0; i < len; i++) own[i] = p[i];
        } else {
          for (int64_t i = 0; i < len; i++) own[i] = element(base, in.type, at + i);
        }
        return;
      case Mode::middle: {
        int64_t row = at / in.inner, inside = at % in.inner;
        for (int64_t i = 0; i < len;) {
          const int64_t run = in.inner - inside < len - i ? in.inner - inside : len - i;
          if (in.inner == 1) {
            own[i] = element(base, in.type, row % in.count);
          } else {
            const float v = element(base, in.type, row % in.count);
            for (int64_t k = 0; k < run; k++) own[i + k] = v;
          }
          i += run;
          inside = 0;
          row++;
        }
        return;
      }
      case Mode::channel:
      case Mode::corner: {
        const int64_t rowLength = in.inner * block_, blocks = in.count / block_;
        for (int64_t i = 0; i < len; i++) {
          const int64_t e = at + i, row = e / rowLength, lane = e % block_;
          const int64_t index = in.mode == Mode::channel ? (row % blocks) * block_ + lane : row * block_ + lane;
          own[i] = element(base, in.type, index);
        }
        return;
      }
    }
  }

  void store(const Memory& m, const Output& o, int64_t at, int64_t len, const float* v) const {
    char* base = m.at<char>(o.ref);
    switch (o.type) {
      case Type::f32: {
        float* p = reinterpret_cast<float*>(base) + at;
        if (n_ >= kStreamed && o.ref.space == Space::output) stream(p, v, len);
        else std::memcpy(p, v, size_t(len) * 4);
        return;
      }
      case Type::bf16: {
        bf16* p = reinterpret_cast<bf16*>(base) + at;
        for (int64_t i = 0; i < len; i++) metalr::store(p + i, v[i]);
        return;
      }
      case Type::u8: {
        uint8_t* p = reinterpret_cast<uint8_t*>(base) + at;
        for (int64_t i = 0; i < len; i++) p[i] = v[i] != 0;
        return;
      }
      case Type::i64: {
        int64_t* p = reinterpret_cast<int64_t*>(base) + at;
        for (int64_t i = 0; i < len; i++) p[i] = int64_t(v[i]);
        return;
      }
    }
  }

  /// Stores that do not first read what they overwrite: a third less traffic for a pass over four arrays that writes three.
  static void stream(float* to, const float* v, int64_t len) {
#if defined(__SSE__)
    if (reinterpret_cast<uintptr_t>(to) % 16 == 0) {  // JavaScript's arrays start at multiples of 16
      int64_t i = 0;
      for (; i + 4 <= len; i += 4) _mm_stream_ps(to + i, _mm_loadu_ps(v + i));
      to += i, v += i, len -= i;
    }
#endif
    std::memcpy(to, v, size_t(len) * 4);
  }
  static void finishStream() {
#if defined(__SSE__)
    _mm_sfence();
#endif
  }

  static void execute(const Code& k, float* const* reg, int64_t len) {
    float* to = reg[k.to];
    const float *a = reg[k.a], *b = reg[k.b], *c = reg[k.c];
    const float p = k.p, q = k.q;
    // A register may be overwritten by an operator that reads it: element by element that is safe.
#define EACH(expression)                        \
  _Pragma("GCC ivdep") for (int64_t i = 0; i < len; i++) to[i] = (expression); \
  return
    switch (k.op) {
      case 0: EACH(a[i]);
      case 1: EACH(a[i] + b[i]);
      case 2: EACH(a[i] - b[i]);
      case 3: EACH(a[i] * b[i]);
      case 4: EACH(a[i] / b[i]);
      case 5: EACH(a[i] != a[i] || b[i] != b[i] ? a[i] + b[i] : a[i] > b[i] ? a[i] : b[i]);
      case 6: EACH(a[i] != a[i] || b[i] != b[i] ? a[i] + b[i] : a[i] < b[i] ? a[i] : b[i]);
      case 7: EACH(std::pow(a[i], b[i]));
      case 8: EACH(a[i] > b[i] ? 1.f : 0.f);
      case 9: EACH(a[i] >= b[i] ? 1.f : 0.f);
      case 10: EACH(a[i] < b[i] ? 1.f : 0.f);
      case 11: EACH(a[i] <= b[i] ? 1.f : 0.f);
      case 12: EACH(a[i] == b[i] ? 1.f : 0.f);
      case 13: EACH(a[i] != 0 ? b[i] : c[i]);
      case 14: EACH(-a[i]);
      case 15: EACH(std::fabs(a[i]));
      case 16: EACH(a[i] > 0 ? 1.f : a[i] < 0 ? -1.f : a[i]);
      case 17: vectorExp(a, to, len); return;
      case 18: vectorLog(a, to, len); return;
      case 19: EACH(std::sqrt(a[i]));
      case 20: EACH(1.f / a[i]);
      case 21: EACH(a[i] <= 0 ? 0.f : a[i]);
      case 22: vectorSigmoid(a, to, len); return;
      case 23: vectorTanh(a, to, len); return;
      case 24: EACH(a[i] < p ? p : a[i] > q ? q : a[i]);                       // clip
      case 25: EACH(a[i] < 0 ? p * a[i] : a[i]);                               // leaky ReLU
      case 26: EACH(a[i] < 0 ? p * std::expm1(a[i]) : a[i]);                   // ELU
      case 27: EACH((a[i] > 0 ? a[i] : 0) + std::log1p(std::exp(-std::fabs(a[i]))));  // softplus
      case 28: EACH(a[i] != a[i] ? a[i] : p * a[i] + q < 0 ? 0.f : p * a[i] + q > 1 ? 1.f : p * a[i] + q);  // hard sigmoid
      case 29: vectorErf(a, to, len); return;
      case 30: EACH(std::floor(a[i]));
      case 31: EACH(std::ceil(a[i]));
      case 32: EACH(std::nearbyint(a[i]));
      case 33: EACH(a[i] == 0 ? 1.f : 0.f);
      case 34: EACH(a[i] != 0 && b[i] != 0 ? 1.f : 0.f);
      case 35: EACH(a[i] != 0 || b[i] != 0 ? 1.f : 0.f);
      case 36: EACH((a[i] != 0) != (b[i] != 0) ? 1.f : 0.f);
      case 37: EACH(std::sin(a[i]));
      case 38: EACH(std::cos(a[i]));
      case 39: EACH(a[i] < 0 ? b[i] * a[i] : a[i]);  // PReLU
      case 40: EACH(std::trunc(a[i]));
      case 41: EACH(a[i] != 0 ? 1.f : 0.f);
      default: throw std::runtime_error("no such elementwise operator");
    }
#undef EACH
  }

  int64_t n_;
  int64_t block_;
  std::vector<Input> inputs_;
  std::vector<Code> code_;
  std::vector<Output> outputs_;
};

}  // namespace

StepPtr makePointwise(Words& w, Setup& s) { return std::make_unique<Pointwise>(w, s); }

}  // namespace metalr
