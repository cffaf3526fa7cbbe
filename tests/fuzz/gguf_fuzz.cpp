// libFuzzer: any bytes are a GGUF file or refused. What was read is written and read again, and is
// the same; encoded in its own type again, no number is far off.
//
//   tools/setup fuzz
//   TMPDIR=/dev/shm build/fuzz/tests/fuzz/gguf_fuzz -dict=tests/fuzz/gguf.dict -max_len=4096

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "policy/gguf.h"
#include "system/error.h"
#include "system/file.h"
#include "tests/support/temporary_directory.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

/// False for numbers that no writer writes.
bool to_sources(const zeroth::GgufContent& content, std::vector<zeroth::GgufSource>& out) {
  for (const zeroth::GgufTensor& tensor : content.tensors) {
    const std::vector<float> values = zeroth::decode_gguf(tensor);
    for (const float value : values) {
      if (!(std::abs(value) <= zeroth::kMaxF16)) return false;
    }
    out.push_back({.name = tensor.name,
                   .type = zeroth::GgufType::f32,
                   .shape = tensor.shape,
                   .values = [values] { return values; }});
  }
  return true;
}

/// Whatever numbers a block holds, its type holds them again: nearly, where scales are chosen anew.
void encode_again(const zeroth::GgufSource& source, zeroth::GgufType type) {
  const std::vector<float> values = source.values();
  const std::vector<std::byte> bytes = zeroth::encode_gguf(values, type);
  const std::vector<float> back =
      zeroth::decode_gguf({.name = "", .type = type, .shape = {}, .bytes = bytes});
  const auto block = static_cast<std::size_t>(zeroth::gguf_block_size(type));
  for (std::size_t begin = 0; begin < values.size(); begin += block) {
    float most = 0.0F;
    for (std::size_t i = begin; i < begin + block; ++i) most = std::max(most, std::abs(values[i]));
    // What the coarsest type allows, and half of the smallest f16 for each step.
    const float bound = block == 1 ? 0.004F * most + 1e-7F : 0.15F * most + 1e-6F;
    for (std::size_t i = begin; i < begin + block; ++i) {
      require(std::abs(values[i] - back[i]) <= bound);
    }
  }
}

void write_and_read(const zeroth::GgufContent& content) {
  std::vector<zeroth::GgufSource> sources;
  if (!to_sources(content, sources)) return;
  for (std::size_t i = 0; i < sources.size(); ++i)
    encode_again(sources[i], content.tensors[i].type);
  std::vector<zeroth::GgufEntry> metadata;
  for (const zeroth::GgufEntry& entry : content.metadata) {
    if (entry.key != "general.alignment") metadata.push_back(entry);
  }
  static const zeroth::testing::TemporaryDirectory directory;
  const auto path = directory / "again.gguf";
  zeroth::write_gguf(path, metadata, sources);
  const zeroth::GgufFile again(path);
  require(again.content().metadata.size() == metadata.size());
  require(again.content().tensors.size() == sources.size());
  for (std::size_t i = 0; i < sources.size(); ++i) {
    require(again.content().tensors[i].shape == sources[i].shape);
    require(zeroth::decode_gguf(again.content().tensors[i]) == sources[i].values());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto bytes = std::as_bytes(std::span(data, size));
    write_and_read(zeroth::parse_gguf(bytes, "fuzz"));
  } catch (const zeroth::InputError&) {
  }
  return 0;
}
