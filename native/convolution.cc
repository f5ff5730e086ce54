// Convolutions and their gradients. Operands arrive in the program's layouts; where the primitive prefers another one, the
// step reorders into working memory (weights mostly, which are small beside the images).
#include "onednn.h"

namespace metalr {
namespace {

size_t padded(size_t bytes) { return (bytes + 63) / 64 * 64; }

/// One operand: as the program stores it, and as the primitive wants it.
struct Operand {
  Ref ref;
  desc own, wanted;
  dnnl::reorder move;
  bool moves = false;
  size_t at = 0;  // in working memory, if it moves
  dnnl::memory mine, theirs;
};

class Convolution : public Step {
 public:
  Convolution(Words& w, Setup& s, bool winograd) : working_(s.working) {
    int32_t kind = w.next();
    int32_t n = w.next();
    if (n < 1 || n > 3) throw std::runtime_error("convolutions have one to three space axes");
    int64_t images = w.size(), in = w.size(), out = w.size(), groups = w.size();
    auto space = w.list(n), outSpace = w.list(n), kernel = w.list(n), strides = w.list(n), dilations = w.list(n), before = w.list(n), after = w.list(n);
    Type types[3];
    Layout layouts[3];
    for (int i = 0; i < 3; i++) {
      types[i] = static_cast<Type>(w.next());
      layouts[i] = static_cast<Layout>(w.next());
    }
    Ref refs[4];
    for (auto& r : refs) r = w.ref();  // src, weight, bias, dst

    dims src{images, in}, dst{images, out}, wei;
    if (groups > 1) wei = {groups, out / groups, in / groups};
    else wei = {out, in};
    dims ones = wei;
    for (int i = 0; i < n; i++) {
      src.push_back(space[i]);
      dst.push_back(outSpace[i]);
      wei.push_back(kernel[i]);
    }
    ConvShape shape{strides, dilations, before, after, winograd ? dnnl::algorithm::convolution_winograd : dnnl::algorithm::convolution_direct};
    for (auto& d : shape.dilations) d -= 1;
    const dims all[3] = {src, wei, dst};
    // Images in bfloat16 make it a bfloat16 convolution: float32 weights are rounded on the way in, their gradient is float32.
    const bool half = types[0] == Type::bf16 || types[2] == Type::bf16;
    desc own[3], wish[3];
    for (int i = 0; i < 3; i++) {
      own[i] = descOf(all[i], types[i], layouts[i], s.block);
      // Blocked images are what the fast kernels read; weights and everything in C order is the primitive's choice.
      wish[i] = i != 1 && layouts[i] == Layout::blocked ? own[i] : anyOf(all[i], computed(kind, i, half));
    }
    desc bias({out}, dnnl::memory::data_type::f32, dnnl::memory::format_tag::a);
    const desc hintWeight = half ? anyOf(wei, Type::bf16) : wish[1];
    auto hint = forwardDesc(dnnl::prop_kind::forward_training, wish[0], hintWeight, nullptr, wish[2], shape, attributes());
    desc scratch;
    desc got[3];
    if (kind == 0) {
      auto pd = forwardDesc(dnnl::prop_kind::forward_training, wish[0], wish[1], refs[2].given() ? &bias : nullptr, wish[2], shape, attributes());
      got[0] = pd.src_desc(), got[1] = pd.weights_desc(), got[2] = pd.dst_desc(), scratch = pd.scratchpad_desc();
      primitive_ = dnnl::convolution_forward(pd);
    } else if (kind == 1) {
      auto pd = inputGradDesc(wish[0], wish[1], wish[2], shape, hint);
      got[0] = pd.diff_src_desc(), got[1] = pd.weights_desc(), got[2] = pd.diff_dst_desc(), scratch = pd.scratchpad_desc();
      primitive_ = dnnl::convolution_backward_data(pd);
    } else {
      auto pd = weightGradDesc(wish[0], wish[1], wish[2], shape, hint);
      got[0] = pd.src_desc(), got[1] = pd.diff_weights_desc(), got[2] = pd.diff_dst_desc(), scratch = pd.scratchpad_desc();
      primitive_ = dnnl::convolution_backward_weights(pd);
    }
    result_ = kind == 0 ? 2 : kind == 1 ? 0 : 1;
    const Ref operandRefs[3] = {refs[0], refs[1], refs[3]};
    size_t used = 0;
    for (int i = 0; i < 3; i++) {
      Operand& o = operands_[i];
      o.ref = operandRefs[i];
      o.own = own[i];
      o.wanted = got[i];
      o.moves = own[i] != got[i];
      o.mine = dnnl::memory(own[i], cpu(), nullptr);
      if (o.moves) {
        o.at = used;
        used += padded(got[i].get_size());
        o.theirs = dnnl::memory(got[i], cpu(), nullptr);
        o.move = i == result_ ? dnnl::reorder(o.theirs, o.mine) : dnnl::reorder(o.mine, o.theirs);
      }
    }
    scratchAt_ = used;
    used += padded(scratch.get_size());
    s.reserve(used);
    scratch_ = dnnl::memory(scratch, cpu(), nullptr);
    if (refs[2].given()) bias_ = dnnl::memory(bias, cpu(), nullptr);
    biasRef_ = refs[2];
    const int names[3][3] = {{DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST}, {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST}, {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST}};
    for (int i = 0; i < 3; i++) arguments_[names[kind][i]] = operands_[i].moves ? operands_[i].theirs : operands_[i].mine;
    if (biasRef_.given()) arguments_[DNNL_ARG_BIAS] = bias_;
    arguments_[DNNL_ARG_SCRATCHPAD] = scratch_;
  }

  static Type computed(int32_t kind, int operand, bool half) { return half && !(kind == 2 && operand == 1) ? Type::bf16 : Type::f32; }

  void run(const Memory& m) override {
    char* working = *working_;
    for (int i = 0; i < 3; i++) {
      Operand& o = operands_[i];
      o.mine.set_data_handle(m.at<void>(o.ref));
      if (!o.moves) continue;
      o.theirs.set_data_handle(working + o.at);
      if (i != result_) o.move.execute(stream(), o.mine, o.theirs);
    }
    if (biasRef_.given()) bias_.set_data_handle(m.at<void>(biasRef_));
    scratch_.set_data_handle(working + scratchAt_);
    primitive_.execute(stream(), arguments_);
    Operand& r = operands_[result_];
    if (r.moves) r.move.execute(stream(), r.theirs, r.mine);
    stream().wait();
  }

 private:
  char* const* working_;
  Operand operands_[3];
  int result_ = 2;
  Ref biasRef_;
  dnnl::memory bias_, scratch_;
  size_t scratchAt_ = 0;
  dnnl::primitive primitive_;
  std::unordered_map<int, dnnl::memory> arguments_;
};

class Reorder : public Step {
 public:
  Reorder(Words& w, Setup& s) {
    int32_t n = w.next();
    auto shape = w.list(n);
    Type from = static_cast<Type>(w.next());
    Layout fromLayout = static_cast<Layout>(w.next());
    Type to = static_cast<Type>(w.next());
    Layout toLayout = static_cast<Layout>(w.next());
    from_ = w.ref();
    to_ = w.ref();
    dims d(shape.begin(), shape.end());
    source_ = dnnl::memory(descOf(d, from, fromLayout, s.block), cpu(), nullptr);
    target_ = dnnl::memory(descOf(d, to, toLayout, s.block), cpu(), nullptr);
    move_ = dnnl::reorder(source_, target_);
  }
  void run(const Memory& m) override {
    source_.set_data_handle(m.at<void>(from_));
    target_.set_data_handle(m.at<void>(to_));
    move_.execute(stream(), source_, target_);
    stream().wait();
  }

 private:
  Ref from_, to_;
  dnnl::memory source_, target_;
  dnnl::reorder move_;
};

/// y[b, m, n] = op(a)[b, m, k] · op(b)[b, k, n] (+ bias[n]); the batch of either operand may be 1.
class Matmul : public Step {
 public:
  Matmul(Words& w, Setup& s) : working_(s.working) {
    int64_t batch = w.size(), rows = w.size(), columns = w.size(), inner = w.size();
    bool transA = w.next() != 0, transB = w.next() != 0, oneA = w.next() != 0, oneB = w.next() != 0;
    for (auto& r : refs_) r = w.ref();
    auto matrix = [&](int64_t n, int64_t p, int64_t q, bool transposed) {
      dims strides = transposed ? dims{p * q, 1, p} : dims{p * q, q, 1};
      return desc({n, p, q}, dnnl::memory::data_type::f32, strides);
    };
    desc a = matrix(oneA ? 1 : batch, rows, inner, transA);
    desc b = matrix(oneB ? 1 : batch, inner, columns, transB);
    desc y = matrix(batch, rows, columns, false);
    desc bias({1, 1, columns}, dnnl::memory::data_type::f32, dnnl::memory::format_tag::abc);
    auto pd = matmulDesc(a, b, refs_[2].given() ? &bias : nullptr, y);
    primitive_ = dnnl::matmul(pd);
    desc scratch = pd.scratchpad_desc();
    s.reserve(scratch.get_size());
    const desc all[5] = {a, b, bias, y, scratch};
    for (int i = 0; i < 5; i++) memory_[i] = dnnl::memory(all[i], cpu(), nullptr);
    arguments_ = {{DNNL_ARG_SRC, memory_[0]}, {DNNL_ARG_WEIGHTS, memory_[1]}, {DNNL_ARG_DST, memory_[3]}, {DNNL_ARG_SCRATCHPAD, memory_[4]}};
    if (refs_[2].given()) arguments_[DNNL_ARG_BIAS] = memory_[2];
  }
  void run(const Memory& m) override {
    for (int i = 0; i < 4; i++)
      if (refs_[i].given()) memory_[i].set_data_handle(m.at<void>(refs_[i]));
    memory_[4].set_data_handle(*working_);
    primitive_.execute(stream(), arguments_);
    stream().wait();
  }

 private:
  char* const* working_;
  Ref refs_[4];  // a, b, bias, y
  dnnl::memory memory_[5];
  dnnl::primitive primitive_;
  std::unordered_map<int, dnnl::memory> arguments_;
};

}  // namespace

StepPtr makeConvolution(Words& w, Setup& s, bool winograd) { return std::make_unique<Convolution>(w, s, winograd); }
StepPtr makeReorder(Words& w, Setup& s) { return std::make_unique<Reorder>(w, s); }
StepPtr makeMatmul(Words& w, Setup& s) { return std::make_unique<Matmul>(w, s); }

}  // namespace metalr
