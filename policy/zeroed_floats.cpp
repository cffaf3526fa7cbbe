#include "policy/zeroed_floats.h"

#include <sys/mman.h>

#include <algorithm>
#include <limits>
#include <new>
#include <utility>

namespace zeroth {

ZeroedFloats::ZeroedFloats(std::size_t size) : size_(size) {
  if (size == 0) return;  // mmap refuses a length of zero
  if (size > std::numeric_limits<std::size_t>::max() / sizeof(float)) throw std::bad_alloc();
  const std::size_t bytes = size * sizeof(float);
  void* address =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED) throw std::bad_alloc();
  ::madvise(address, bytes, MADV_HUGEPAGE);  // a wish: fewer page faults
  data_ = static_cast<float*>(address);
}

ZeroedFloats::~ZeroedFloats() {
  if (data_ != nullptr) ::munmap(data_, size_ * sizeof(float));
}

ZeroedFloats::ZeroedFloats(ZeroedFloats&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

ZeroedFloats::ZeroedFloats(const ZeroedFloats& other) : ZeroedFloats(other.size_) {
  std::copy(other.span().begin(), other.span().end(), data_);
}

ZeroedFloats& ZeroedFloats::operator=(ZeroedFloats other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

}  // namespace zeroth
