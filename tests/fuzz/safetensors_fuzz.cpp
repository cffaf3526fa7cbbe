// libFuzzer: any bytes are a safetensors file or refused; of what was read every byte is there and
// becomes a number.
//
//   tools/setup fuzz
//   build/fuzz/tests/fuzz/safetensors_fuzz -dict=tests/fuzz/safetensors.dict -max_len=4096
//   tests/fuzz/corpus/safetensors

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "policy/safetensors.h"
#include "system/error.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

void read_all(const zeroth::TensorBytes& tensor) {
  require(zeroth::tensor_bytes_of(tensor.type, tensor.shape) ==
          static_cast<std::int64_t>(tensor.bytes.size()));
  const auto size = static_cast<std::size_t>(zeroth::num_elements(tensor));
  unsigned sum = 0;
  for (const std::byte byte : tensor.bytes) sum += static_cast<unsigned>(byte);
  require(sum <= 255 * tensor.bytes.size());
  try {
    if (zeroth::is_floating_point(tensor.type)) {
      std::vector<float> values(size);
      zeroth::copy_to_float(tensor, values, "fuzz");
    } else {
      std::vector<std::int64_t> values(size);
      zeroth::copy_to_int64(tensor, values, "fuzz");
    }
  } catch (const zeroth::InputError&) {  // of a type that is neither
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto bytes = std::as_bytes(std::span(data, size));
    const zeroth::SafetensorsContent content = zeroth::parse_safetensors(bytes, "fuzz");
    std::size_t total = 0;
    for (const zeroth::TensorBytes& tensor : content.tensors) {
      read_all(tensor);
      total += tensor.bytes.size();
    }
    require(total <= size);
  } catch (const zeroth::InputError&) {
  }
  return 0;
}
