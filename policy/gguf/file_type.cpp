#include "policy/gguf/file_type.h"

#include <charconv>
#include <stdexcept>

namespace zeroth {
namespace {

bool has(std::string_view name, std::string_view part) {
  return name.find(part) != std::string_view::npos;
}

/// Of "blk.12.…"; -1 outside of the layers.
std::int64_t layer_of(std::string_view name) {
  constexpr std::string_view kPrefix = "blk.";
  std::int64_t layer = -1;
  if (name.starts_with(kPrefix)) {
    std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), layer);
  }
  return layer;
}

bool takes_more_bits(std::int64_t layer, std::int64_t num_layers) {
  const std::int64_t eighth = num_layers / 8;
  return layer < eighth || layer >= 7 * num_layers / 8 || (layer - eighth) % 3 == 2;
}

GgufType q4_k_m_type(const GgufMix& mix, std::string_view name) {
  const bool more = takes_more_bits(layer_of(name), mix.num_layers);
  if (has(name, "attn_v.weight")) {
    if (mix.num_experts == 8) return GgufType::q8_0;
    return more ? GgufType::q6_k : GgufType::q4_k;
  }
  if (has(name, "attn_k.weight") && mix.num_experts == 8) return GgufType::q8_0;
  if (has(name, "ffn_down") && more) return GgufType::q6_k;
  return GgufType::q4_k;
}

GgufType wanted_type(const GgufMix& mix, std::string_view name) {
  const bool is_output = name == "output.weight" || (mix.tied && name == "token_embd.weight");
  switch (mix.type) {
    case GgufFileType::f32:
      return GgufType::f32;
    case GgufFileType::f16:
      return GgufType::f16;
    case GgufFileType::bf16:
      return GgufType::bf16;
    case GgufFileType::q8_0:
      return GgufType::q8_0;
    case GgufFileType::q4_0:
      return is_output ? GgufType::q6_k : GgufType::q4_0;
    case GgufFileType::q4_k_m:
      return is_output ? GgufType::q6_k : q4_k_m_type(mix, name);
  }
  throw std::invalid_argument("gguf: a file type without tensor types");
}

GgufType type_behind(GgufType type) {
  if (type == GgufType::q4_k) return GgufType::q5_0;
  return type == GgufType::q6_k ? GgufType::q8_0 : GgufType::f16;
}

}  // namespace

std::uint32_t gguf_file_type_number(GgufFileType type) {
  switch (type) {
    case GgufFileType::f32:
      return 0;
    case GgufFileType::f16:
      return 1;
    case GgufFileType::q4_0:
      return 2;
    case GgufFileType::q8_0:
      return 7;
    case GgufFileType::q4_k_m:
      return 15;
    case GgufFileType::bf16:
      return 32;
  }
  throw std::invalid_argument("gguf: a file type without a number");
}

GgufType gguf_tensor_type(const GgufMix& mix, std::string_view name,
                          const std::vector<std::int64_t>& shape) {
  if (shape.size() < 2 || has(name, "ffn_gate_inp")) return GgufType::f32;
  GgufType type = wanted_type(mix, name);
  while (shape.back() % gguf_block_size(type) != 0) type = type_behind(type);
  return type;
}

}  // namespace zeroth
