// Writing a GGUF file, one tensor at a time.
#include <set>
#include <stdexcept>
#include <type_traits>

#include "policy/gguf.h"
#include "policy/gguf/format.h"
#include "system/file.h"

namespace zeroth {
namespace {

using namespace gguf;

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

void write_gguf(const std::filesystem::path& path, const std::vector<GgufEntry>& metadata,
                const std::vector<GgufSource>& tensors, ThreadPool* pool) {
  const std::string header = gguf_header(metadata, tensors);
  PendingFile file(path);
  file.write(header);
  const std::vector<std::byte> zeros(kAlignment);
  for (const GgufSource& tensor : tensors) {
    const std::vector<std::byte> bytes = encode_gguf(tensor.values(), tensor.type, pool);
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
