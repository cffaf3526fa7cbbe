// Numbers of tensors: from floats and back.
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>

#include "policy/gguf.h"
#include "policy/gguf/blocks.h"
#include "policy/gguf/format.h"
#include "policy/small_floats.h"

namespace zeroth {
namespace {

using EncodeBlock = void (*)(std::span<const float>, std::byte*);
using DecodeBlock = void (*)(const std::byte*, std::span<float>);

struct Coding {
  EncodeBlock encode;
  DecodeBlock decode;
};

template <class Stored, Stored (*From)(float), float (*To)(Stored)>
constexpr Coding single() {
  return {[](std::span<const float> values, std::byte* out) {
            const Stored stored = From(values[0]);
            std::memcpy(out, &stored, sizeof(stored));
          },
          [](const std::byte* bytes, std::span<float> out) {
            Stored stored;  // need not be aligned
            std::memcpy(&stored, bytes, sizeof(stored));
            out[0] = To(stored);
          }};
}

float same(float value) {
  return value;
}

Coding coding_of(GgufType type) {
  switch (type) {
    case GgufType::f32:
      return single<float, same, same>();
    case GgufType::f16:
      return single<std::uint16_t, f16_from_float, float_from_f16>();
    case GgufType::bf16:
      return single<std::uint16_t, bf16_from_float, float_from_bf16>();
    case GgufType::q4_0:
      return {gguf::encode_q4_0, gguf::decode_q4_0};
    case GgufType::q5_0:
      return {gguf::encode_q5_0, gguf::decode_q5_0};
    case GgufType::q8_0:
      return {gguf::encode_q8_0, gguf::decode_q8_0};
    case GgufType::q4_k:
      return {gguf::encode_q4_k, gguf::decode_q4_k};
    case GgufType::q6_k:
      return {gguf::encode_q6_k, gguf::decode_q6_k};
  }
  throw std::invalid_argument("gguf: a type without a coding");
}

}  // namespace

std::vector<std::byte> encode_gguf(std::span<const float> values, GgufType type, ThreadPool* pool) {
  const gguf::TypeRow& row = gguf::row_of(type);
  for (const float value : values) {
    if (!(std::abs(value) <= row.most)) {
      throw std::invalid_argument("encode_gguf: " + std::to_string(value) + " does not fit " +
                                  std::string(row.name));
    }
  }
  const auto block = static_cast<std::size_t>(row.block);
  const auto bytes = static_cast<std::size_t>(row.bytes);
  if (values.size() % block != 0) throw std::invalid_argument("encode_gguf: a part of a block");
  const EncodeBlock encode = coding_of(type).encode;
  std::vector<std::byte> out(values.size() / block * bytes);
  const auto encode_some = [&](std::int64_t begin, std::int64_t end) {
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
      encode(values.subspan(i * block, block), out.data() + i * bytes);
    }
  };
  const auto num_blocks = static_cast<std::int64_t>(values.size() / block);
  constexpr std::int64_t kBlocksAtOnce = 256;
  if (pool != nullptr) {
    pool->parallel_for(num_blocks, kBlocksAtOnce, encode_some);
  } else {
    encode_some(0, num_blocks);
  }
  return out;
}

std::vector<float> decode_gguf(const GgufTensor& tensor) {
  const gguf::TypeRow& row = gguf::row_of(tensor.type);
  const auto block = static_cast<std::size_t>(row.block);
  const auto bytes = static_cast<std::size_t>(row.bytes);
  const DecodeBlock decode = coding_of(tensor.type).decode;
  std::vector<float> out(tensor.bytes.size() / bytes * block);
  for (std::size_t i = 0; i < out.size() / block; ++i) {
    decode(tensor.bytes.data() + i * bytes, std::span(out).subspan(i * block, block));
  }
  return out;
}

}  // namespace zeroth
