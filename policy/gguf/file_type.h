// What a GGUF file is asked to be, and which type that makes each tensor.
//
// The mixes are llama.cpp's, so that a file costs and keeps what one of llama-quantize does:
//
//   f32, f16, bf16   every matrix
//   q8_0, q4_0       every matrix; q4_0 has the output in q6_k
//   q4_k_m           q4_k; q6_k for the output, and for attn_v and ffn_down of the first and last
//                    eighth of the layers and of every third between them
//
// Vectors and the expert router stay f32. Where embeddings are tied they are the output. Rows that
// are no whole blocks have the type behind: q4_k q5_0, q6_k q8_0, and f16 behind all.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "policy/gguf.h"

namespace zeroth {

enum class GgufFileType { f32, f16, bf16, q8_0, q4_0, q4_k_m };

/// llama.cpp's number for general.file_type.
std::uint32_t gguf_file_type_number(GgufFileType type);

struct GgufMix {
  GgufFileType type = GgufFileType::f32;
  std::int64_t num_layers = 0;
  std::int64_t num_experts = 0;
  bool tied = false;
};

/// The type of a tensor of llama.cpp's name (`blk.3.ffn_down.weight`) and shape, row-major.
GgufType gguf_tensor_type(const GgufMix& mix, std::string_view name,
                          const std::vector<std::int64_t>& shape);

}  // namespace zeroth
