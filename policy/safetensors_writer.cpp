// Safetensors files written, as Hugging Face's own writer lays them out.
#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <stdexcept>
#include <tuple>

#include "kernels/parallel.h"
#include "policy/safetensors.h"
#include "system/json.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;
using Metadata = std::map<std::string, std::string>;

constexpr std::size_t kAlignment = 8;
constexpr const char* kMetadataKey = "__metadata__";
constexpr std::size_t kBlock = std::size_t{1} << 16;     // numbers that a thread converts at a time
constexpr std::size_t kBuffered = std::size_t{1} << 22;  // numbers between two writes

/// Wide types first, so that every tensor begins at a multiple of its type's bytes.
template <class Tensor>
void sort_for_file(std::vector<Tensor>& tensors) {
  std::sort(tensors.begin(), tensors.end(), [](const Tensor& a, const Tensor& b) {
    const std::int64_t a_bytes = tensor_type_bytes(a.type), b_bytes = tensor_type_bytes(b.type);
    return std::tie(b_bytes, a.type, a.name) < std::tie(a_bytes, b.type, b.name);
  });
}

boost::json::object metadata_object(const Metadata& metadata) {
  boost::json::object texts;
  for (const auto& [key, text] : metadata) texts[key] = text;
  return texts;
}

/// The header of `tensors`, which lie one after another, with its length before it.
template <class Tensor>
std::string header_of(const std::vector<Tensor>& tensors, const Metadata& metadata) {
  boost::json::object header;
  if (!metadata.empty()) header[kMetadataKey] = metadata_object(metadata);
  std::int64_t offset = 0;
  for (const Tensor& tensor : tensors) {
    if (tensor.name == kMetadataKey || header.contains(tensor.name)) {
      throw std::invalid_argument("write_safetensors: two tensors named " + tensor.name);
    }
    const std::int64_t bytes = tensor_bytes_of(tensor.type, tensor.shape).value();
    header[tensor.name] = {{"dtype", tensor_type_name(tensor.type)},
                           {"shape", boost::json::array(tensor.shape.begin(), tensor.shape.end())},
                           {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string text = write_json(header);
  text.resize((text.size() + kAlignment - 1) / kAlignment * kAlignment, ' ');
  const std::uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + text;
}

[[noreturn]] void throw_misfit(const std::string& name, const std::string& what,
                               const std::vector<std::int64_t>& shape) {
  throw std::invalid_argument("write_safetensors: " + name + " has " + what + ", not those of " +
                              describe_shape(shape));
}

std::uint16_t half_of(float value, TensorType type) {
  return type == TensorType::bf16 ? bf16_from_float(value) : f16_from_float(value);
}

void write_halves(PendingFile& file, std::span<const float> values, TensorType type,
                  ThreadPool& pool, std::vector<std::uint16_t>& buffer) {
  for (std::size_t done = 0; done < values.size(); done += kBuffered) {
    const auto part = values.subspan(done, std::min(kBuffered, values.size() - done));
    buffer.resize(std::max(buffer.size(), part.size()));
    pool.parallel_for(
        static_cast<std::int64_t>(part.size()), kBlock, [&](std::int64_t begin, std::int64_t end) {
          for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i)
            buffer[i] = half_of(part[i], type);
        });
    file.write(std::as_bytes(std::span(buffer).first(part.size())));
  }
}

}  // namespace

void write_safetensors(const fs::path& path, std::vector<TensorBytes> tensors,
                       const Metadata& metadata) {
  for (const TensorBytes& tensor : tensors) {
    const auto bytes = static_cast<std::int64_t>(tensor.bytes.size());
    if (tensor_bytes_of(tensor.type, tensor.shape) != bytes)
      throw_misfit(tensor.name, std::to_string(bytes) + " bytes", tensor.shape);
  }
  sort_for_file(tensors);
  const std::string header = header_of(tensors, metadata);
  PendingFile file(path);
  file.write(header);
  for (const TensorBytes& tensor : tensors) file.write(tensor.bytes);
  file.commit();
}

void write_safetensors(const fs::path& path, std::vector<TensorFloats> tensors,
                       const Metadata& metadata) {
  for (const TensorFloats& tensor : tensors) {
    if (tensor.type != TensorType::f32 && tensor.type != TensorType::bf16 &&
        tensor.type != TensorType::f16) {
      throw std::invalid_argument("write_safetensors: " + tensor.name +
                                  " is to be f32, bf16 or f16");
    }
    const auto bytes =
        static_cast<std::int64_t>(tensor.values.size()) * tensor_type_bytes(tensor.type);
    if (tensor_bytes_of(tensor.type, tensor.shape) != bytes)
      throw_misfit(tensor.name, std::to_string(tensor.values.size()) + " numbers", tensor.shape);
  }
  sort_for_file(tensors);
  const std::string header = header_of(tensors, metadata);
  ThreadPool pool;
  std::vector<std::uint16_t> buffer;
  PendingFile file(path);
  file.write(header);
  for (const TensorFloats& tensor : tensors) {
    if (tensor.type == TensorType::f32) {
      file.write(std::as_bytes(tensor.values));
    } else {
      write_halves(file, tensor.values, tensor.type, pool, buffer);
    }
  }
  file.commit();
}

}  // namespace zeroth
