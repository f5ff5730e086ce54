// What every step of a native program shares: operands, the reader of the word stream, the machine a program runs on.
// The word stream is written by src/compile/onednn/encode.ts, which also checks it; the checks here are a second fence.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <vector>

namespace metalr {

enum class Space : int32_t { none = -1, arena = 0, constants = 1, input = 2, output = 3 };
enum class Type : int32_t { f32 = 0, bf16 = 1, u8 = 2, i64 = 3 };

/// An operand: `offset` counts 64-byte units in the arena or the constants, or is the number of an input or output.
struct Ref {
  Space space = Space::none;
  int32_t offset = 0;
  bool given() const { return space != Space::none; }
};

/// Where a program's operands lie during one run.
struct Memory {
  char* arena = nullptr;
  const char* constants = nullptr;
  const std::vector<void*>* inputs = nullptr;
  const std::vector<void*>* outputs = nullptr;
  template <class T>
  T* at(Ref r) const {
    switch (r.space) {
      case Space::arena: return reinterpret_cast<T*>(arena + int64_t(r.offset) * 64);
      case Space::constants: return reinterpret_cast<T*>(const_cast<char*>(constants) + int64_t(r.offset) * 64);
      case Space::input: return static_cast<T*>((*inputs)[r.offset]);
      case Space::output: return static_cast<T*>((*outputs)[r.offset]);
      case Space::none: return nullptr;
    }
    return nullptr;
  }
};

/// Reads 32-bit words of one instruction; reading past its end is an error, never memory.
class Words {
 public:
  Words(const int32_t* begin, size_t count) : at_(begin), end_(begin + count) {}
  int32_t next() {
    if (at_ == end_) throw std::runtime_error("an instruction ends early");
    return *at_++;
  }
  int64_t size() {  // two words, low first
    uint32_t low = static_cast<uint32_t>(next());
    return (int64_t(next()) << 32) | low;
  }
  float real() {
    int32_t word = next();
    float value;
    __builtin_memcpy(&value, &word, 4);
    return value;
  }
  Ref ref() {
    int32_t space = next();
    return Ref{static_cast<Space>(space), next()};
  }
  std::vector<int64_t> list(int32_t n) {
    if (n < 0 || n > 64) throw std::runtime_error("a list is too long");
    std::vector<int64_t> v(n);
    for (auto& x : v) x = size();
    return v;
  }
  bool done() const { return at_ == end_; }

 private:
  const int32_t* at_;
  const int32_t* end_;
};

/// One step of a program; made once, run many times.
struct Step {
  virtual ~Step() = default;
  virtual void run(const Memory& m) = 0;
};
using StepPtr = std::unique_ptr<Step>;

/// What steps need while they are made: channels in a block, and working memory that all share.
struct Setup {
  int block = 16;
  size_t shared = 0;                // bytes that the greediest step wants
  char* const* working = nullptr;   // set before the first run
  size_t reserve(size_t bytes) {    // steps run one after another: they share one area
    if (bytes > shared) shared = bytes;
    return bytes;
  }
};

StepPtr makeConvolution(Words& w, Setup& s, bool winograd);
StepPtr makeMatmul(Words& w, Setup& s);
StepPtr makeReorder(Words& w, Setup& s);
StepPtr makePointwise(Words& w, Setup& s);
StepPtr makeNormStatistics(Words& w, Setup& s);
StepPtr makeNormApply(Words& w, Setup& s);
StepPtr makeNormGradient(Words& w, Setup& s);
StepPtr makeMaxPool(Words& w, Setup& s);
StepPtr makeMaxPoolGradient(Words& w, Setup& s);
StepPtr makeCopy(Words& w, Setup& s);
StepPtr makeFill(Words& w, Setup& s);
StepPtr makeReduce(Words& w, Setup& s);
StepPtr makeSoftmax(Words& w, Setup& s);
StepPtr makeDot(Words& w, Setup& s);

/// Pieces that a sum is split into, whatever the number of threads: the same bits with any of them.
constexpr int64_t kPieces = 16;

inline int64_t pieceBegin(int64_t n, int64_t pieces, int64_t i) { return n * i / pieces; }

}  // namespace metalr
