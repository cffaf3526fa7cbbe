#include "policy/gguf.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <set>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "policy/byte_level.h"
#include "policy/safetensors.h"
#include "system/error.h"

namespace zeroth {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF is little-endian");

constexpr std::string_view kMagic = "GGUF";
constexpr std::uint32_t kVersion = 3;
constexpr std::uint64_t kAlignment = 32;  // the format's default, and what is written
constexpr const char* kAlignmentKey = "general.alignment";
constexpr std::uint32_t kMaxDims = 4;    // ggml's
constexpr std::uint32_t kArrayType = 9;  // index of GgufValue
constexpr std::size_t kBlockBytes = sizeof(std::uint16_t) + kGgufBlock;

struct TypeRow {
  GgufType type;
  std::string_view name;
  std::int64_t block;  // numbers
  std::int64_t bytes;  // of a block
};

constexpr std::array kTypes = {
    TypeRow{GgufType::f32, "F32", 1, 4},
    TypeRow{GgufType::f16, "F16", 1, 2},
    TypeRow{GgufType::q8_0, "Q8_0", kGgufBlock, kBlockBytes},
    TypeRow{GgufType::bf16, "BF16", 1, 2},
};

const TypeRow* find_row(std::uint32_t number) {
  const auto* found = std::find_if(kTypes.begin(), kTypes.end(), [&](const TypeRow& row) {
    return static_cast<std::uint32_t>(row.type) == number;
  });
  return found == kTypes.end() ? nullptr : found;
}

const TypeRow& row_of(GgufType type) {
  const TypeRow* row = find_row(static_cast<std::uint32_t>(type));
  if (row == nullptr) throw std::invalid_argument("gguf: a type without a row");
  return *row;
}

/// Bytes of a tensor; false when they do not fit 63 bits or a row is not whole blocks.
bool checked_bytes(const std::vector<std::int64_t>& shape, const TypeRow& row,
                   std::int64_t& bytes) {
  if (shape.empty() || shape.back() % row.block != 0) return false;
  bytes = row.bytes;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const std::int64_t size = i + 1 == shape.size() ? shape[i] / row.block : shape[i];
    if (size < 1 || __builtin_mul_overflow(bytes, size, &bytes)) return false;
  }
  return true;
}

std::uint64_t padded(std::uint64_t size, std::uint64_t alignment) {
  return (size + alignment - 1) / alignment * alignment;
}

std::string join(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (const std::int64_t size : shape)
    text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

// --- numbers

/// The largest number that a block of this scale holds within half a step.
float reach_of(std::uint16_t scale) {
  return 127.5F * float_from_f16(scale);
}

/// The scale of a block whose largest number is `most`.
std::uint16_t block_scale(float most) {
  std::uint16_t scale = f16_from_float(most / 127.0F);
  if (reach_of(scale) < most) ++scale;  // positive f16 follow each other as integers
  return scale;
}

void encode_block(std::span<const float> values, std::byte* out) {
  float most = 0.0F;
  for (const float value : values) most = std::max(most, std::abs(value));
  const std::uint16_t bits = block_scale(most);
  std::memcpy(out, &bits, sizeof(bits));
  const float scale = float_from_f16(bits);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const float steps = scale == 0.0F ? 0.0F : std::round(values[i] / scale);
    const auto byte = static_cast<std::int8_t>(std::clamp(steps, -127.0F, 127.0F));
    out[sizeof(bits) + i] = static_cast<std::byte>(byte);
  }
}

template <class Convert>
void encode_each(std::span<const float> values, std::byte* out, Convert convert) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto stored = convert(values[i]);
    std::memcpy(out + i * sizeof(stored), &stored, sizeof(stored));
  }
}

template <class Stored, class Convert>
void decode_each(std::span<const std::byte> bytes, std::span<float> out, Convert convert) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    Stored stored;  // need not be aligned
    std::memcpy(&stored, bytes.data() + i * sizeof(Stored), sizeof(Stored));
    out[i] = convert(stored);
  }
}

void decode_blocks(std::span<const std::byte> bytes, std::span<float> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::byte* block = bytes.data() + i / kGgufBlock * kBlockBytes;
    std::uint16_t scale = 0;
    std::memcpy(&scale, block, sizeof(scale));
    const auto step = static_cast<std::int8_t>(block[sizeof(scale) + i % kGgufBlock]);
    out[i] = float_from_f16(scale) * static_cast<float>(step);
  }
}

// --- reading

class Parser {
 public:
  Parser(std::span<const std::byte> bytes, const std::string& source)
      : bytes_(bytes), source_(source) {}

  GgufContent parse() {
    read_magic();
    const std::uint64_t num_tensors = read<std::uint64_t>("tensor count");
    const std::uint64_t num_entries = read<std::uint64_t>("metadata count");
    // Nothing is reserved: a count may be damaged, and every entry takes bytes of the file.
    for (std::uint64_t i = 0; i < num_entries; ++i) read_entry();
    for (std::uint64_t i = 0; i < num_tensors; ++i) read_tensor();
    place_tensors();
    return std::move(content_);
  }

 private:
  [[noreturn]] void fail(const std::string& field, const std::string& expected,
                         const std::string& actual) const {
    throw InputError({.source = source_, .field = field, .expected = expected, .actual = actual});
  }

  std::uint64_t left() const { return bytes_.size() - at_; }

  void need(std::uint64_t size, const std::string& field) const {
    if (size > left()) {
      fail(field, std::to_string(size) + " bytes at byte " + std::to_string(at_),
           std::to_string(left()) + " up to the end of the file");
    }
  }

  template <class T>
  T read(const std::string& field) {
    need(sizeof(T), field);
    T value;
    std::memcpy(&value, bytes_.data() + at_, sizeof(T));
    at_ += sizeof(T);
    return value;
  }

  std::string read_string(const std::string& field) {
    const auto length = read<std::uint64_t>(field);
    need(length, field);
    std::string text(reinterpret_cast<const char*>(bytes_.data()) + at_,
                     static_cast<std::size_t>(length));
    at_ += static_cast<std::size_t>(length);
    const std::size_t invalid = find_invalid_utf8(text);
    if (invalid != std::string::npos) {
      fail(field, "UTF-8 text", "a byte that is not, number " + std::to_string(invalid));
    }
    return text;
  }

  void read_magic() {
    need(kMagic.size(), "magic");
    if (std::memcmp(bytes_.data(), kMagic.data(), kMagic.size()) != 0) {
      fail("magic", "GGUF", "other bytes: this is no GGUF file");
    }
    at_ = kMagic.size();
    const auto version = read<std::uint32_t>("version");
    if (version != kVersion) fail("version", "3, little-endian", std::to_string(version));
  }

  bool read_bool(const std::string& field) {
    const auto byte = read<std::uint8_t>(field);
    if (byte > 1) fail(field, "a truth value, 0 or 1", std::to_string(byte));
    return byte == 1;
  }

  template <class T>
  T read_one(const std::string& field) {
    if constexpr (std::is_same_v<T, std::string>) {
      return read_string(field);
    } else if constexpr (std::is_same_v<T, bool>) {
      return read_bool(field);
    } else {
      return read<T>(field);
    }
  }

  template <class T>
  std::vector<T> read_many(std::uint64_t count, const std::string& field) {
    // Before anything of that size is reserved.
    constexpr std::uint64_t kLeast = std::is_same_v<T, std::string> ? sizeof(count) : sizeof(T);
    if (count > left() / kLeast) {
      fail(field, "at most " + std::to_string(left() / kLeast) + " elements, which the file holds",
           std::to_string(count));
    }
    std::vector<T> values;
    values.reserve(static_cast<std::size_t>(count));
    for (std::uint64_t i = 0; i < count; ++i) values.push_back(read_one<T>(field));
    return values;
  }

  [[noreturn]] void fail_type(const std::string& field, std::uint32_t number) const {
    fail(field, "a value of type 0 to 12, or an array of one but 9", std::to_string(number));
  }

  /// Calls `take` with a null pointer to the type of number `number`.
  template <std::size_t Index = 0, class Take>
  void with_type(std::uint32_t number, const std::string& field, Take take) {
    if constexpr (Index < std::variant_size_v<GgufValue>) {
      using Value = std::variant_alternative_t<Index, GgufValue>;
      if (number != Index) return with_type<Index + 1>(number, field, take);
      if constexpr (!std::is_same_v<Value, GgufArray>) return take(static_cast<Value*>(nullptr));
    }
    fail_type(field, number);
  }

  GgufValue read_value(const std::string& key) {
    GgufValue value;
    const auto type = read<std::uint32_t>(key);
    if (type != kArrayType) {
      with_type(type, key, [&]<class T>(T*) { value = read_one<T>(key); });
      return value;
    }
    const auto element = read<std::uint32_t>(key);
    const auto count = read<std::uint64_t>(key);
    with_type(element, key, [&]<class T>(T*) { value = GgufArray(read_many<T>(count, key)); });
    return value;
  }

  void read_entry() {
    std::string key = read_string("metadata key " + std::to_string(content_.metadata.size()));
    if (!keys_.insert(key).second) fail(key, "one value", "two");
    GgufValue value = read_value(key);
    if (key == kAlignmentKey) {
      const auto* alignment = std::get_if<std::uint32_t>(&value);
      if (alignment == nullptr || *alignment < 8 || !std::has_single_bit(*alignment)) {
        fail(key, "a power of two of at least 8 (uint32)", "another value");
      }
      alignment_ = *alignment;
    }
    content_.metadata.push_back({std::move(key), std::move(value)});
  }

  void read_tensor() {
    GgufTensor tensor;
    tensor.name = read_string("tensor " + std::to_string(content_.tensors.size()));
    if (!names_.insert(tensor.name).second) fail(tensor.name, "one tensor", "two");
    const auto num_dims = read<std::uint32_t>(tensor.name);
    if (num_dims < 1 || num_dims > kMaxDims) {
      fail(tensor.name, "1 to 4 dimensions", std::to_string(num_dims));
    }
    for (std::uint32_t i = 0; i < num_dims; ++i) {
      const auto size = read<std::uint64_t>(tensor.name);
      if (size < 1 || size > std::uint64_t{1} << 48U) {
        fail(tensor.name, "a dimension from 1 to 2^48", std::to_string(size));
      }
      tensor.shape.insert(tensor.shape.begin(), static_cast<std::int64_t>(size));
    }
    const auto type = read<std::uint32_t>(tensor.name);
    const TypeRow* row = find_row(type);
    if (row == nullptr) {
      fail(tensor.name, "a tensor of type 0 (F32), 1 (F16), 8 (Q8_0) or 30 (BF16)",
           std::to_string(type));
    }
    tensor.type = row->type;
    offsets_.push_back(read<std::uint64_t>(tensor.name));
    content_.tensors.push_back(std::move(tensor));
  }

  /// The tensors stand one behind the other in the order of the list, as ggml asks.
  void place_tensors() {
    const std::uint64_t begin = std::min<std::uint64_t>(padded(at_, alignment_), bytes_.size());
    const auto data = bytes_.subspan(static_cast<std::size_t>(begin));
    std::uint64_t end = 0;  // of the tensor before
    for (std::size_t i = 0; i < content_.tensors.size(); ++i) {
      GgufTensor& tensor = content_.tensors[i];
      if (offsets_[i] != padded(end, alignment_)) {
        fail(tensor.name,
             "the offset " + std::to_string(padded(end, alignment_)) +
                 ", the first multiple of the alignment behind the tensor before it",
             std::to_string(offsets_[i]));
      }
      std::int64_t size = 0;
      if (!checked_bytes(tensor.shape, row_of(tensor.type), size)) {
        fail(tensor.name, "a shape of whole blocks of " + std::string(gguf_type_name(tensor.type)),
             join(tensor.shape));
      }
      const auto bytes = static_cast<std::uint64_t>(size);
      if (offsets_[i] > data.size() || bytes > data.size() - offsets_[i]) {
        fail(tensor.name, std::to_string(bytes) + " bytes of data", "a file that ends before them");
      }
      tensor.bytes =
          data.subspan(static_cast<std::size_t>(offsets_[i]), static_cast<std::size_t>(bytes));
      end = offsets_[i] + bytes;
    }
    if (data.size() > padded(end, alignment_)) {
      fail("data", std::to_string(padded(end, alignment_)) + " bytes, as the tensors say",
           std::to_string(data.size()));
    }
  }

  std::span<const std::byte> bytes_;
  std::string source_;
  std::size_t at_ = 0;
  std::uint64_t alignment_ = kAlignment;
  std::set<std::string> keys_, names_;
  std::vector<std::uint64_t> offsets_;  // of the tensors
  GgufContent content_;
};

// --- writing

template <class T>
void append(std::string& out, const T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    append(out, static_cast<std::uint64_t>(value.size()));
    out += value;
  } else if constexpr (std::is_same_v<T, bool>) {
    out += value ? '\1' : '\0';
  } else {
    static_assert(std::is_arithmetic_v<T>);
    out.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
}

void append_array(std::string& out, const GgufArray& array) {
  append(out, static_cast<std::uint32_t>(array.index()));
  std::visit(
      [&]<class T>(const T& values) {
        if constexpr (std::is_same_v<T, std::monostate>) {
          throw std::invalid_argument("write_gguf: an array without a type");
        } else {
          append(out, static_cast<std::uint64_t>(values.size()));
          for (const auto& value : values) append<typename T::value_type>(out, value);
        }
      },
      array);
}

void append_value(std::string& out, const GgufValue& value) {
  append(out, static_cast<std::uint32_t>(value.index()));
  std::visit(
      [&]<class T>(const T& held) {
        if constexpr (std::is_same_v<T, GgufArray>) {
          append_array(out, held);
        } else {
          append(out, held);
        }
      },
      value);
}

std::uint64_t source_bytes(const GgufSource& tensor) {
  std::int64_t bytes = 0;
  if (tensor.shape.size() > kMaxDims || !checked_bytes(tensor.shape, row_of(tensor.type), bytes)) {
    throw std::invalid_argument("write_gguf: " + tensor.name + " of shape " + join(tensor.shape) +
                                " is not whole blocks of " +
                                std::string(gguf_type_name(tensor.type)));
  }
  return static_cast<std::uint64_t>(bytes);
}

std::string gguf_header(const std::vector<GgufEntry>& metadata,
                        const std::vector<GgufSource>& tensors) {
  std::string out(kMagic);
  append(out, kVersion);
  append(out, static_cast<std::uint64_t>(tensors.size()));
  append(out, static_cast<std::uint64_t>(metadata.size()));
  std::set<std::string> names;
  for (const GgufEntry& entry : metadata) {
    if (!names.insert(entry.key).second || entry.key == kAlignmentKey) {
      throw std::invalid_argument("write_gguf: " + entry.key + " twice, or not for the caller");
    }
    append(out, entry.key);
    append_value(out, entry.value);
  }
  names.clear();
  std::uint64_t offset = 0;
  for (const GgufSource& tensor : tensors) {
    if (!names.insert(tensor.name).second) {
      throw std::invalid_argument("write_gguf: two tensors named " + tensor.name);
    }
    append(out, tensor.name);
    append(out, static_cast<std::uint32_t>(tensor.shape.size()));
    for (std::size_t i = tensor.shape.size(); i-- > 0;) {
      append(out, static_cast<std::uint64_t>(tensor.shape[i]));
    }
    append(out, static_cast<std::uint32_t>(tensor.type));
    append(out, offset);
    offset += padded(source_bytes(tensor), kAlignment);
  }
  out.resize(static_cast<std::size_t>(padded(out.size(), kAlignment)), '\0');
  return out;
}

}  // namespace

std::string_view gguf_type_name(GgufType type) {
  return row_of(type).name;
}

std::vector<std::byte> encode_gguf(std::span<const float> values, GgufType type) {
  const bool narrow = type == GgufType::f16 || type == GgufType::q8_0;
  const float most = narrow ? kMaxF16 : kMaxBf16;
  for (const float value : values) {
    if (!(std::abs(value) <= most)) {
      throw std::invalid_argument("encode_gguf: " + std::to_string(value) + " does not fit " +
                                  std::string(gguf_type_name(type)));
    }
  }
  const TypeRow& row = row_of(type);
  const auto block = static_cast<std::size_t>(row.block);
  if (values.size() % block != 0) throw std::invalid_argument("encode_gguf: a part of a block");
  std::vector<std::byte> out(values.size() / block * static_cast<std::size_t>(row.bytes));
  switch (type) {
    case GgufType::f32:
      encode_each(values, out.data(), [](float value) { return value; });
      break;
    case GgufType::f16:
      encode_each(values, out.data(), f16_from_float);
      break;
    case GgufType::bf16:
      encode_each(values, out.data(), bf16_from_float);
      break;
    case GgufType::q8_0:
      for (std::size_t i = 0; i < values.size(); i += block) {
        encode_block(values.subspan(i, block), out.data() + i / block * kBlockBytes);
      }
      break;
  }
  return out;
}

std::vector<float> decode_gguf(const GgufTensor& tensor) {
  const TypeRow& row = row_of(tensor.type);
  std::vector<float> out(tensor.bytes.size() / static_cast<std::size_t>(row.bytes) *
                         static_cast<std::size_t>(row.block));
  switch (tensor.type) {
    case GgufType::f32:
      decode_each<float>(tensor.bytes, out, [](float value) { return value; });
      break;
    case GgufType::f16:
      decode_each<std::uint16_t>(tensor.bytes, out, float_from_f16);
      break;
    case GgufType::bf16:
      decode_each<std::uint16_t>(tensor.bytes, out, float_from_bf16);
      break;
    case GgufType::q8_0:
      decode_blocks(tensor.bytes, out);
      break;
  }
  return out;
}

const GgufValue* GgufContent::find(std::string_view key) const {
  for (const GgufEntry& entry : metadata) {
    if (entry.key == key) return &entry.value;
  }
  return nullptr;
}

const GgufTensor* GgufContent::find_tensor(std::string_view name) const {
  for (const GgufTensor& tensor : tensors) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

GgufContent parse_gguf(std::span<const std::byte> bytes, const std::string& source) {
  return Parser(bytes, source).parse();
}

void write_gguf(const std::filesystem::path& path, const std::vector<GgufEntry>& metadata,
                const std::vector<GgufSource>& tensors) {
  const std::string header = gguf_header(metadata, tensors);
  PendingFile file(path);
  file.write(header);
  const std::vector<std::byte> zeros(kAlignment);
  for (const GgufSource& tensor : tensors) {
    const std::vector<std::byte> bytes = encode_gguf(tensor.values(), tensor.type);
    const std::uint64_t expected = source_bytes(tensor);
    if (bytes.size() != expected) {
      throw std::invalid_argument("write_gguf: " + tensor.name + " has " +
                                  std::to_string(bytes.size()) + " bytes, not those of " +
                                  join(tensor.shape));
    }
    file.write(bytes);
    file.write(
        std::span(zeros).first(static_cast<std::size_t>(padded(expected, kAlignment) - expected)));
  }
  file.commit();
}

}  // namespace zeroth
