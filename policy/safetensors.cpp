#include "policy/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "system/error.h"
#include "system/json.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;

static_assert(std::endian::native == std::endian::little, "safetensors is little-endian");

constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kAlignment = 8;
constexpr std::size_t kMaxHeaderBytes = 100'000'000;  // as Hugging Face's own reader
constexpr const char* kMetadataKey = "__metadata__";

struct TypeRow {
  TensorType type;
  std::string_view name;
  std::int64_t bytes;
};

constexpr std::array kTypes = {
    TypeRow{TensorType::u64, "U64", 8},         TypeRow{TensorType::i64, "I64", 8},
    TypeRow{TensorType::f64, "F64", 8},         TypeRow{TensorType::c64, "C64", 8},
    TypeRow{TensorType::f32, "F32", 4},         TypeRow{TensorType::u32, "U32", 4},
    TypeRow{TensorType::i32, "I32", 4},         TypeRow{TensorType::bf16, "BF16", 2},
    TypeRow{TensorType::f16, "F16", 2},         TypeRow{TensorType::u16, "U16", 2},
    TypeRow{TensorType::i16, "I16", 2},         TypeRow{TensorType::f8_e8m0, "F8_E8M0", 1},
    TypeRow{TensorType::f8_e4m3, "F8_E4M3", 1}, TypeRow{TensorType::f8_e5m2, "F8_E5M2", 1},
    TypeRow{TensorType::i8, "I8", 1},           TypeRow{TensorType::u8, "U8", 1},
    TypeRow{TensorType::boolean, "BOOL", 1},
};

const TypeRow& row_of(TensorType type) {
  for (const TypeRow& row : kTypes) {
    if (row.type == type) return row;
  }
  throw std::invalid_argument("safetensors: a type without a row");
}

TensorType read_type(const JsonReader& entry) {
  const std::string name = entry.get_string("dtype");
  for (const TypeRow& row : kTypes) {
    if (row.name == name) return row.type;
  }
  std::string names;
  for (const TypeRow& row : kTypes) names += (names.empty() ? "" : ", ") + std::string(row.name);
  entry.fail("dtype", "one of " + names);
}

/// Bytes of a tensor, or nothing when they do not fit 63 bits.
bool checked_bytes(const std::vector<std::int64_t>& shape, TensorType type, std::int64_t& bytes) {
  bytes = tensor_type_bytes(type);
  for (const std::int64_t size : shape) {
    if (__builtin_mul_overflow(bytes, size, &bytes)) return false;
  }
  return true;
}

struct Entry {
  TensorBytes tensor;  // bytes not set yet
  std::int64_t begin = 0, end = 0;
};

Entry read_entry(const JsonReader& json, const std::string& name, std::int64_t data_bytes) {
  Entry entry;
  entry.tensor.name = name;
  entry.tensor.type = read_type(json);
  for (const JsonReader& size : json.child("shape").elements()) {
    if (size.as_int64() < 0) size.fail("a size of at least 0");
    entry.tensor.shape.push_back(size.as_int64());
  }
  const JsonReader offsets = json.child("data_offsets");
  const std::vector<JsonReader> pair = offsets.elements();
  if (pair.size() != 2) offsets.fail("two offsets");
  entry.begin = pair[0].as_int64();
  entry.end = pair[1].as_int64();
  if (entry.begin < 0 || entry.begin > entry.end || entry.end > data_bytes) {
    throw InputError(
        {.source = offsets.source(),
         .field = offsets.path(),
         .expected = "a range inside the " + std::to_string(data_bytes) + " bytes of data",
         .actual = describe_shape({entry.begin, entry.end})});
  }
  std::int64_t bytes = 0;
  if (!checked_bytes(entry.tensor.shape, entry.tensor.type, bytes) ||
      bytes != entry.end - entry.begin) {
    throw InputError({.source = offsets.source(),
                      .field = offsets.path(),
                      .expected = "the bytes of " +
                                  std::string(tensor_type_name(entry.tensor.type)) + " " +
                                  describe_shape(entry.tensor.shape),
                      .actual = std::to_string(entry.end - entry.begin) + " bytes"});
  }
  return entry;
}

/// Sorted by offset, the entries must tile the data exactly.
void check_tiling(const std::vector<Entry>& entries, std::int64_t data_bytes,
                  const std::string& source) {
  std::int64_t expected = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != expected) {
      throw InputError({.source = source,
                        .field = entry.tensor.name + ".data_offsets",
                        .expected = "a begin at " + std::to_string(expected) +
                                    ", where the tensor before it ends",
                        .actual = std::to_string(entry.begin)});
    }
    expected = entry.end;
  }
  if (expected != data_bytes) {
    throw InputError({.source = source,
                      .field = "data",
                      .expected = std::to_string(expected) + " bytes, as the header says",
                      .actual = std::to_string(data_bytes)});
  }
}

std::string_view read_header_text(std::span<const std::byte> bytes, const std::string& source) {
  std::uint64_t length = 0;
  if (bytes.size() < kLengthBytes) {
    throw InputError({.source = source,
                      .field = "header length",
                      .expected = "8 bytes",
                      .actual = std::to_string(bytes.size()) + " bytes of file"});
  }
  std::memcpy(&length, bytes.data(), kLengthBytes);
  const std::size_t room = std::min(kMaxHeaderBytes, bytes.size() - kLengthBytes);
  if (length > room) {
    throw InputError({.source = source,
                      .field = "header length",
                      .expected = "at most " + std::to_string(room),
                      .actual = std::to_string(length)});
  }
  return {reinterpret_cast<const char*>(bytes.data()) + kLengthBytes,
          static_cast<std::size_t>(length)};
}

template <class Stored, class Out, class Convert>
void copy_converted(const TensorBytes& tensor, std::span<Out> out, Convert convert) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    Stored stored;  // offsets need not be aligned
    std::memcpy(&stored, tensor.bytes.data() + i * sizeof(Stored), sizeof(Stored));
    out[i] = convert(stored);
  }
}

void check_room(const TensorBytes& tensor, std::size_t room) {
  if (static_cast<std::size_t>(num_elements(tensor)) != room) {
    throw std::invalid_argument("safetensors: " + tensor.name + " has " +
                                std::to_string(num_elements(tensor)) + " elements, not " +
                                std::to_string(room));
  }
}

[[noreturn]] void throw_wrong_type(const TensorBytes& tensor, const std::string& expected,
                                   const std::string& source) {
  throw InputError({.source = source,
                    .field = tensor.name + ".dtype",
                    .expected = expected,
                    .actual = std::string(tensor_type_name(tensor.type))});
}

/// A shard's name must not lead out of the checkpoint.
fs::path shard_path(const fs::path& directory, const JsonReader& name) {
  const fs::path shard = name.as_string();
  if (shard.empty() || shard != shard.filename() || shard == "." || shard == "..") {
    name.fail("a file name in the same directory");
  }
  return directory / shard;
}

}  // namespace

std::string_view tensor_type_name(TensorType type) {
  return row_of(type).name;
}
std::int64_t tensor_type_bytes(TensorType type) {
  return row_of(type).bytes;
}

bool is_floating_point(TensorType type) {
  return type == TensorType::f64 || type == TensorType::f32 || type == TensorType::bf16 ||
         type == TensorType::f16 || type == TensorType::f8_e4m3 || type == TensorType::f8_e5m2 ||
         type == TensorType::f8_e8m0;
}
std::string describe_shape(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (const std::int64_t size : shape)
    text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

std::int64_t num_elements(const TensorBytes& tensor) {
  std::int64_t product = 1;
  for (const std::int64_t size : tensor.shape) product *= size;
  return product;
}

void copy_to_float(const TensorBytes& tensor, std::span<float> out, const std::string& source) {
  check_room(tensor, out.size());
  switch (tensor.type) {
    case TensorType::f32:
      if (!out.empty()) std::memcpy(out.data(), tensor.bytes.data(), tensor.bytes.size());
      return;
    case TensorType::bf16:
      return copy_converted<std::uint16_t>(tensor, out, float_from_bf16);
    case TensorType::f16:
      return copy_converted<std::uint16_t>(tensor, out, float_from_f16);
    case TensorType::f8_e4m3:
      return copy_converted<std::uint8_t>(tensor, out, float_from_e4m3);
    case TensorType::f8_e5m2:
      return copy_converted<std::uint8_t>(tensor, out, float_from_e5m2);
    case TensorType::f8_e8m0:
      return copy_converted<std::uint8_t>(tensor, out, float_from_e8m0);
    case TensorType::f64:
      return copy_converted<double>(tensor, out, [](double x) { return static_cast<float>(x); });
    default:
      throw_wrong_type(tensor, "F64, F32, BF16, F16, F8_E4M3 or F8_E5M2", source);
  }
}

void copy_to_int64(const TensorBytes& tensor, std::span<std::int64_t> out,
                   const std::string& source) {
  check_room(tensor, out.size());
  const auto widen = [](auto value) { return static_cast<std::int64_t>(value); };
  switch (tensor.type) {
    case TensorType::i64:
      return copy_converted<std::int64_t>(tensor, out, widen);
    case TensorType::i32:
      return copy_converted<std::int32_t>(tensor, out, widen);
    case TensorType::i16:
      return copy_converted<std::int16_t>(tensor, out, widen);
    case TensorType::i8:
      return copy_converted<std::int8_t>(tensor, out, widen);
    case TensorType::u8:
      return copy_converted<std::uint8_t>(tensor, out, widen);
    default:
      throw_wrong_type(tensor, "I64, I32, I16, I8 or U8", source);
  }
}

SafetensorsFile::SafetensorsFile(const fs::path& path) : source_(path.string()), file_(path) {
  const std::string_view header = read_header_text(file_.bytes(), source_);
  const auto data = file_.bytes().subspan(kLengthBytes + header.size());
  const auto data_bytes = static_cast<std::int64_t>(data.size());

  const JsonReader json = JsonReader::parse(header, source_);
  std::vector<Entry> entries;
  for (const std::string& name : json.keys()) {
    const JsonReader value = json.child(name);
    if (name == kMetadataKey) {
      for (const std::string& key : value.keys()) metadata_[key] = value.get_string(key);
    } else {
      entries.push_back(read_entry(value, name, data_bytes));
    }
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end, a.tensor.name) < std::tie(b.begin, b.end, b.tensor.name);
  });
  check_tiling(entries, data_bytes, source_);
  for (Entry& entry : entries) {
    entry.tensor.bytes = data.subspan(static_cast<std::size_t>(entry.begin),
                                      static_cast<std::size_t>(entry.end - entry.begin));
    index_[entry.tensor.name] = tensors_.size();
    tensors_.push_back(std::move(entry.tensor));
  }
}

const TensorBytes* SafetensorsFile::find(std::string_view name) const {
  const auto found = index_.find(std::string(name));
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

const TensorBytes& SafetensorsFile::tensor(std::string_view name) const {
  const TensorBytes* found = find(name);
  if (found == nullptr) {
    throw InputError({.source = source_,
                      .field = std::string(name),
                      .expected = "a tensor",
                      .actual = "nothing"});
  }
  return *found;
}

SafetensorsCheckpoint::SafetensorsCheckpoint(const fs::path& directory) {
  const fs::path single = directory / "model.safetensors";
  const fs::path index = directory / "model.safetensors.index.json";
  if (fs::exists(single) || !fs::exists(index)) {
    files_.emplace_back(single);
    source_ = single.string();
    for (const TensorBytes& tensor : files_[0].tensors()) file_of_[tensor.name] = 0;
    return;
  }
  source_ = index.string();
  const JsonReader map = JsonReader::read(index).child("weight_map");
  std::map<fs::path, std::size_t> opened;
  for (const std::string& name : map.keys()) {
    const fs::path path = shard_path(directory, map.child(name));
    const auto [place, is_new] = opened.try_emplace(path, files_.size());
    if (is_new) files_.emplace_back(path);
    if (files_[place->second].find(name) == nullptr) {
      map.fail(name, "a shard that holds the tensor");
    }
    file_of_[name] = place->second;
  }
}

SafetensorsCheckpoint::Found SafetensorsCheckpoint::find(std::string_view name) const {
  const auto found = file_of_.find(name);
  if (found == file_of_.end()) return {nullptr, &source_, nullptr};
  const SafetensorsFile& file = files_[found->second];
  return {file.find(name), &file.source(), &file};
}

std::vector<std::string> SafetensorsCheckpoint::names() const {
  std::vector<std::string> names;
  names.reserve(file_of_.size());
  for (const auto& [name, file] : file_of_) names.push_back(name);
  return names;
}

void write_safetensors(const fs::path& path, std::vector<TensorBytes> tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::sort(tensors.begin(), tensors.end(), [](const TensorBytes& a, const TensorBytes& b) {
    const std::int64_t a_bytes = tensor_type_bytes(a.type), b_bytes = tensor_type_bytes(b.type);
    return std::tie(b_bytes, a.type, a.name) < std::tie(a_bytes, b.type, b.name);
  });
  boost::json::object header;
  if (!metadata.empty()) {
    boost::json::object texts;
    for (const auto& [key, text] : metadata) texts[key] = text;
    header[kMetadataKey] = std::move(texts);
  }
  std::int64_t offset = 0;
  for (const TensorBytes& tensor : tensors) {
    std::int64_t bytes = 0;
    if (!checked_bytes(tensor.shape, tensor.type, bytes) ||
        static_cast<std::size_t>(bytes) != tensor.bytes.size()) {
      throw std::invalid_argument("write_safetensors: " + tensor.name + " has " +
                                  std::to_string(tensor.bytes.size()) + " bytes, not those of " +
                                  describe_shape(tensor.shape));
    }
    if (tensor.name == kMetadataKey || header.contains(tensor.name)) {
      throw std::invalid_argument("write_safetensors: two tensors named " + tensor.name);
    }
    header[tensor.name] = {{"dtype", tensor_type_name(tensor.type)},
                           {"shape", boost::json::array(tensor.shape.begin(), tensor.shape.end())},
                           {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string text = write_json(header);
  text.resize((text.size() + kAlignment - 1) / kAlignment * kAlignment, ' ');
  const std::uint64_t length = text.size();

  PendingFile file(path);
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(text);
  for (const TensorBytes& tensor : tensors) file.write(tensor.bytes);
  file.commit();
}

}  // namespace zeroth
