// The safetensors format (github.com/huggingface/safetensors, "Format"): eight bytes of
// little-endian header length, a JSON header of names, types, shapes and offsets, then the tensors'
// bytes without gaps.
//
// Reading maps the file and checks all of the header before any tensor is shown. Writing gives what
// Hugging Face's own writer gives: wide types first, then by name, the header padded to eight
// bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "policy/small_floats.h"
#include "system/file.h"

namespace zeroth {

/// In the order in which Hugging Face's writer lays tensors out.
enum class TensorType {
  u64,
  i64,
  f64,
  c64,
  f32,
  u32,
  i32,
  bf16,
  f16,
  u16,
  i16,
  f8_e8m0,
  f8_e4m3,
  f8_e5m2,
  i8,
  u8,
  boolean
};

/// The format's name: "F32", "BF16", …
std::string_view tensor_type_name(TensorType type);
std::int64_t tensor_type_bytes(TensorType type);
std::optional<TensorType> tensor_type_named(std::string_view name);
std::string tensor_type_names();  // all, for errors
/// Of a tensor of the shape; nothing when they do not fit 63 bits.
std::optional<std::int64_t> tensor_bytes_of(TensorType type,
                                            const std::vector<std::int64_t>& shape);
/// Whether copy_to_float takes it.
bool is_floating_point(TensorType type);
/// "[2, 3]".
std::string describe_shape(const std::vector<std::int64_t>& shape);

/// One tensor of a file; `bytes` lives as long as what it was read from or is to be written from.
struct TensorBytes {
  std::string name;
  TensorType type = TensorType::f32;
  std::vector<std::int64_t> shape;   // row-major
  std::span<const std::byte> bytes;  // little-endian, product of shape times the type's bytes
};

/// Product of the shape.
std::int64_t num_elements(const TensorBytes& tensor);

/// Copies a F32, BF16, F16, F8_E4M3, F8_E5M2 or F8_E8M0 tensor to `out`, of its number of elements:
/// exact; or a F64 one, rounded to nearest. `source` names the file in the InputError for another
/// type.
void copy_to_float(const TensorBytes& tensor, std::span<float> out, const std::string& source);

/// The same for I64, I32, I16, I8 and U8.
void copy_to_int64(const TensorBytes& tensor, std::span<std::int64_t> out,
                   const std::string& source);

/// What a file holds; tensors refer to the bytes it was read from, in order of offset.
struct SafetensorsContent {
  std::vector<TensorBytes> tensors;
  std::map<std::string, std::string> metadata;
};

/// The content of a file of these bytes; `source` names it in errors. InputError for a header that
/// is too long, is not JSON, names something twice or has a type that is not known, and for offsets
/// that leave the file, overlap, leave gaps, are no multiples of the type's bytes or do not fit
/// type and shape.
SafetensorsContent parse_safetensors(std::span<const std::byte> bytes, const std::string& source);

/// A safetensors file, mapped.
class SafetensorsFile {
 public:
  /// InputError for a file that cannot be read, and as parse_safetensors.
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::vector<TensorBytes>& tensors() const { return content_.tensors; }  // by offset
  /// nullptr when there is none of that name.
  const TensorBytes* find(std::string_view name) const;
  /// InputError when there is none of that name.
  const TensorBytes& tensor(std::string_view name) const;
  const std::map<std::string, std::string>& metadata() const { return content_.metadata; }
  const std::string& source() const { return source_; }
  /// Lets the memory of `bytes` of a tensor go; read again, they come from the disk again.
  void release(std::span<const std::byte> bytes) const { file_.release(bytes); }

 private:
  std::string source_;
  MappedFile file_;
  SafetensorsContent content_;
  std::unordered_map<std::string, std::size_t> index_;
};

/// The tensors of a checkpoint directory: model.safetensors, or the shards that
/// model.safetensors.index.json names.
///
/// A shard's name is that of a file in the directory and leads nowhere else; the file itself may be
/// a link, as all files are in the hub's cache. Tensors that a shard holds beside those of the
/// index are the checkpoint's, too.
class SafetensorsCheckpoint {
 public:
  /// InputError as SafetensorsFile, for an index that names a file that is not there or a tensor
  /// that its shard does not hold, and for a tensor in two shards.
  explicit SafetensorsCheckpoint(const std::filesystem::path& directory);

  struct Found {
    const TensorBytes* tensor;    // nullptr when there is none of that name
    const std::string* source;    // the file that holds it, or where it was looked for
    const SafetensorsFile* file;  // nullptr when there is none of that name
  };
  Found find(std::string_view name) const;
  std::vector<std::string> names() const;  // sorted

 private:
  void add_file(const std::filesystem::path& path);

  std::string source_;
  std::vector<SafetensorsFile> files_;
  std::map<std::string, std::size_t, std::less<>> file_of_;  // tensor name -> index in files_
};

/// Writes `tensors` to `path` atomically. std::invalid_argument for two of one name, for the name
/// "__metadata__" and for bytes that do not fit type and shape.
void write_safetensors(const std::filesystem::path& path, std::vector<TensorBytes> tensors,
                       const std::map<std::string, std::string>& metadata = {{"format", "pt"}});

/// A tensor to be stored in a type of its own: F32, or the nearest BF16 or F16.
struct TensorFloats {
  std::string name;
  TensorType type = TensorType::f32;
  std::vector<std::int64_t> shape;  // row-major
  std::span<const float> values;
};

/// The same for numbers that are converted on the way, a piece at a time.
void write_safetensors(const std::filesystem::path& path, std::vector<TensorFloats> tensors,
                       const std::map<std::string, std::string>& metadata = {{"format", "pt"}});

}  // namespace zeroth
