#include "policy/safetensors.h"

#include <array>
#include <bit>
#include <cstring>
#include <stdexcept>

#include "system/error.h"

namespace zeroth {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors is little-endian");

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

}  // namespace

std::optional<TensorType> tensor_type_named(std::string_view name) {
  for (const TypeRow& row : kTypes) {
    if (row.name == name) return row.type;
  }
  return std::nullopt;
}
std::string tensor_type_names() {
  std::string names;
  for (const TypeRow& row : kTypes) names += (names.empty() ? "" : ", ") + std::string(row.name);
  return names;
}
std::string_view tensor_type_name(TensorType type) {
  return row_of(type).name;
}
std::int64_t tensor_type_bytes(TensorType type) {
  return row_of(type).bytes;
}

std::optional<std::int64_t> tensor_bytes_of(TensorType type,
                                            const std::vector<std::int64_t>& shape) {
  std::int64_t bytes = tensor_type_bytes(type);
  for (const std::int64_t size : shape) {
    if (__builtin_mul_overflow(bytes, size, &bytes)) return std::nullopt;
  }
  return bytes;
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

}  // namespace zeroth
