// Reading a GGUF file: header and metadata checked to the last byte, tensors left where they are.
#include <algorithm>
#include <bit>
#include <cstring>
#include <set>
#include <type_traits>
#include <utility>

#include "policy/byte_level.h"
#include "policy/gguf.h"
#include "policy/gguf/format.h"
#include "system/error.h"

namespace zeroth {
namespace {

using namespace gguf;

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
      fail(tensor.name, "a tensor of type " + known_types(), std::to_string(type));
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

}  // namespace

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

}  // namespace zeroth
