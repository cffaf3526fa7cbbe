// GGUF version 3, llama.cpp's file format (github.com/ggml-org/ggml, docs/gguf.md), read and
// written: the magic, counts, typed metadata, a list of tensors, then the tensors' bytes, each at a
// multiple of the alignment; little-endian.
//
// Goals: what Zeroth writes itself, and any file of the same number types. Reading maps the file
// and checks all of it but the numbers before anything is shown. Non-goals: arrays of arrays, and
// the other block types, which are refused by number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "kernels/parallel.h"
#include "system/file.h"

namespace zeroth {

/// Values of metadata. The index of a variant is the format's number of the type; a file cannot
/// hold an array of arrays here, which would be number 9.
using GgufArray =
    std::variant<std::vector<std::uint8_t>, std::vector<std::int8_t>, std::vector<std::uint16_t>,
                 std::vector<std::int16_t>, std::vector<std::uint32_t>, std::vector<std::int32_t>,
                 std::vector<float>, std::vector<bool>, std::vector<std::string>, std::monostate,
                 std::vector<std::uint64_t>, std::vector<std::int64_t>, std::vector<double>>;
using GgufValue = std::variant<std::uint8_t, std::int8_t, std::uint16_t, std::int16_t,
                               std::uint32_t, std::int32_t, float, bool, std::string, GgufArray,
                               std::uint64_t, std::int64_t, double>;

struct GgufEntry {
  std::string key;  // "qwen2.block_count"
  GgufValue value;
};

/// Types of tensors, with ggml's numbers; what the blocks hold is in policy/gguf/blocks.h.
enum class GgufType : std::uint32_t {
  f32 = 0,
  f16 = 1,
  q4_0 = 2,
  q5_0 = 6,
  q8_0 = 8,
  q4_k = 12,
  q6_k = 14,
  bf16 = 30
};

inline constexpr std::int64_t kGgufBlock = 32;        // numbers of a block of q4_0, q5_0 and q8_0
inline constexpr std::int64_t kGgufSuperBlock = 256;  // of q4_k and q6_k
inline constexpr float kMaxF16 = 65504.0F;
inline constexpr float kMaxBf16 = 0x1.FEp127F;  // a float beyond it is no weight either

/// "F32", "F16", "Q8_0", "Q4_K", …
std::string_view gguf_type_name(GgufType type);
/// The numbers of a block; 1 for types without.
std::int64_t gguf_block_size(GgufType type);
/// The largest number that encode_gguf takes.
float gguf_largest(GgufType type);

/// `values` in `type`: the nearest, ties to even, for types without blocks; else scales are chosen
/// for each block (policy/gguf/blocks.h), and every number is the nearest that its scales allow.
/// std::invalid_argument for a number that is not finite or beyond gguf_largest(type), and for a
/// count that is not whole blocks. With a pool on its threads, to the same bytes.
std::vector<std::byte> encode_gguf(std::span<const float> values, GgufType type,
                                   ThreadPool* pool = nullptr);

/// A tensor of a file; `bytes` lives as long as the file.
struct GgufTensor {
  std::string name;
  GgufType type = GgufType::f32;
  std::vector<std::int64_t> shape;  // row-major; the file lists it backwards
  std::span<const std::byte> bytes;
};

/// The numbers of a tensor; exact.
std::vector<float> decode_gguf(const GgufTensor& tensor);

struct GgufContent {
  std::vector<GgufEntry> metadata;  // in the order of the file
  std::vector<GgufTensor> tensors;  // the same

  // nullptr when there is none of that name.
  const GgufValue* find(std::string_view key) const;
  const GgufTensor* find_tensor(std::string_view name) const;
};

/// The content of a file's bytes, which must outlive it. InputError naming key or tensor for
/// whatever does not follow the format, leaves the file, is there twice or is not supported.
GgufContent parse_gguf(std::span<const std::byte> bytes, const std::string& source);

/// A GGUF file, mapped.
class GgufFile {
 public:
  /// InputError as parse_gguf and for a file that cannot be read.
  explicit GgufFile(const std::filesystem::path& path)
      : file_(path), content_(parse_gguf(file_.bytes(), path.string())) {}
  const GgufContent& content() const { return content_; }
  std::size_t size() const { return file_.bytes().size(); }

 private:
  MappedFile file_;
  GgufContent content_;
};

/// A tensor to write; `values` is called once, when its turn comes, so that one tensor at a time is
/// held.
struct GgufSource {
  std::string name;
  GgufType type = GgufType::f32;
  std::vector<std::int64_t> shape;  // row-major
  std::function<std::vector<float>()> values;
};

/// Writes `path` atomically, tensors at multiples of 32 bytes. std::invalid_argument for two keys
/// or two tensors of one name, a row that is not whole blocks, and values that do not fit the shape
/// or the type.
void write_gguf(const std::filesystem::path& path, const std::vector<GgufEntry>& metadata,
                const std::vector<GgufSource>& tensors, ThreadPool* pool = nullptr);

}  // namespace zeroth
