// The differences between oneDNN 2.6 and 3.x, and the layouts that programs name, in one place.
#pragma once
#include <dnnl.hpp>

#include <stdexcept>
#include <string>
#include <vector>

#include "program.h"

namespace metalr {

using dims = dnnl::memory::dims;
using desc = dnnl::memory::desc;

inline const dnnl::engine& cpu() {
  static const dnnl::engine e(dnnl::engine::kind::cpu, 0);
  return e;
}

inline dnnl::memory::data_type typeOf(Type t) {
  switch (t) {
    case Type::f32: return dnnl::memory::data_type::f32;
    case Type::bf16: return dnnl::memory::data_type::bf16;
    default: throw std::runtime_error("oneDNN operands are float32 or bfloat16");
  }
}

/// Layouts by the numbers of src/compile/onednn/layout.ts.
enum class Layout : int32_t { plain = 0, blocked = 1, weight = 2 };

inline dnnl::memory::format_tag plainTag(size_t rank) {
  using tag = dnnl::memory::format_tag;
  switch (rank) {
    case 1: return tag::a;
    case 2: return tag::ab;
    case 3: return tag::abc;
    case 4: return tag::abcd;
    case 5: return tag::abcde;
    case 6: return tag::abcdef;
    default: throw std::runtime_error("oneDNN operands have one to six axes");
  }
}

inline dnnl::memory::format_tag tagOf(Layout layout, size_t rank, int block) {
  using tag = dnnl::memory::format_tag;
  if (layout == Layout::plain) return plainTag(rank);
  if (layout == Layout::blocked) {
    if (rank == 3) return block == 16 ? tag::aBc16b : tag::aBc8b;
    if (rank == 4) return block == 16 ? tag::aBcd16b : tag::aBcd8b;
    if (rank == 5) return block == 16 ? tag::aBcde16b : tag::aBcde8b;
  } else if (rank == 4) {
    return block == 16 ? tag::ABcd16b16a : tag::ABcd8b8a;
  }
  throw std::runtime_error("no such layout for this number of axes");
}

inline desc descOf(const dims& d, Type t, Layout layout, int block) {
  return desc(d, typeOf(t), tagOf(layout, d.size(), block));
}
inline desc anyOf(const dims& d, Type t) { return desc(d, typeOf(t), dnnl::memory::format_tag::any); }

/// Attributes of every primitive: its scratchpad is the program's, not its own.
inline dnnl::primitive_attr attributes() {
  dnnl::primitive_attr a;
  a.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return a;
}

struct ConvShape {
  dims strides, dilations, before, after;  // dilations count from 0, as oneDNN's
  dnnl::algorithm algorithm = dnnl::algorithm::convolution_direct;
};

#if DNNL_VERSION_MAJOR >= 3
inline auto forwardDesc(dnnl::prop_kind prop, const desc& src, const desc& wei, const desc* bias, const desc& dst, const ConvShape& c, const dnnl::primitive_attr& a) {
  return bias ? dnnl::convolution_forward::primitive_desc(cpu(), prop, c.algorithm, src, wei, *bias, dst, c.strides, c.dilations, c.before, c.after, a)
              : dnnl::convolution_forward::primitive_desc(cpu(), prop, c.algorithm, src, wei, dst, c.strides, c.dilations, c.before, c.after, a);
}
inline auto inputGradDesc(const desc& src, const desc& wei, const desc& dst, const ConvShape& c, const dnnl::convolution_forward::primitive_desc& hint) {
  return dnnl::convolution_backward_data::primitive_desc(cpu(), c.algorithm, src, wei, dst, c.strides, c.dilations, c.before, c.after, hint, attributes());
}
inline auto weightGradDesc(const desc& src, const desc& wei, const desc& dst, const ConvShape& c, const dnnl::convolution_forward::primitive_desc& hint) {
  return dnnl::convolution_backward_weights::primitive_desc(cpu(), c.algorithm, src, wei, dst, c.strides, c.dilations, c.before, c.after, hint, attributes());
}
inline auto matmulDesc(const desc& a, const desc& b, const desc* bias, const desc& y) {
  return bias ? dnnl::matmul::primitive_desc(cpu(), a, b, *bias, y, attributes()) : dnnl::matmul::primitive_desc(cpu(), a, b, y, attributes());
}
#else
inline auto forwardDesc(dnnl::prop_kind prop, const desc& src, const desc& wei, const desc* bias, const desc& dst, const ConvShape& c, const dnnl::primitive_attr& a) {
  using op = dnnl::convolution_forward;
  auto d = bias ? op::desc(prop, c.algorithm, src, wei, *bias, dst, c.strides, c.dilations, c.before, c.after)
                : op::desc(prop, c.algorithm, src, wei, dst, c.strides, c.dilations, c.before, c.after);
  return op::primitive_desc(d, a, cpu());
}
inline auto inputGradDesc(const desc& src, const desc& wei, const desc& dst, const ConvShape& c, const dnnl::convolution_forward::primitive_desc& hint) {
  using op = dnnl::convolution_backward_data;
  return op::primitive_desc(op::desc(c.algorithm, src, wei, dst, c.strides, c.dilations, c.before, c.after), attributes(), cpu(), hint);
}
inline auto weightGradDesc(const desc& src, const desc& wei, const desc& dst, const ConvShape& c, const dnnl::convolution_forward::primitive_desc& hint) {
  using op = dnnl::convolution_backward_weights;
  return op::primitive_desc(op::desc(c.algorithm, src, wei, dst, c.strides, c.dilations, c.before, c.after), attributes(), cpu(), hint);
}
inline auto matmulDesc(const desc& a, const desc& b, const desc* bias, const desc& y) {
  using op = dnnl::matmul;
  return op::primitive_desc(bias ? op::desc(a, b, *bias, y) : op::desc(a, b, y), attributes(), cpu());
}
#endif

/// Whether this oneDNN has the Winograd algorithm for this processor (2.x with AVX-512 has).
inline bool hasWinograd(int block) {
  if (block != 16) return false;
  try {
    const ConvShape shape{{1, 1}, {0, 0}, {1, 1}, {1, 1}, dnnl::algorithm::convolution_winograd};
    const desc images = descOf({8, 64, 16, 16}, Type::f32, Layout::blocked, block), weight = descOf({64, 64, 3, 3}, Type::f32, Layout::weight, block);
    auto hint = forwardDesc(dnnl::prop_kind::forward_training, images, weight, nullptr, images, shape, attributes());
    inputGradDesc(images, weight, images, shape, hint);
    weightGradDesc(images, weight, images, shape, hint);
    return true;
  } catch (const dnnl::error&) {
    return false;
  }
}

inline dnnl::stream& stream() {
  static dnnl::stream s(cpu());
  return s;
}

}  // namespace metalr
