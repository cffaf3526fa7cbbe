// A large array of floats that begins as zeros, of which memory is taken where it is first written:
// the threads that fill it share that work, and there is no pass over it before.
#pragma once

#include <cstddef>
#include <span>

namespace zeroth {

class ZeroedFloats {
 public:
  ZeroedFloats() = default;
  /// std::bad_alloc when the system has not that much.
  explicit ZeroedFloats(std::size_t size);
  ~ZeroedFloats();
  ZeroedFloats(ZeroedFloats&& other) noexcept;
  ZeroedFloats(const ZeroedFloats& other);
  ZeroedFloats& operator=(ZeroedFloats other) noexcept;

  std::span<float> span() { return {data_, size_}; }
  std::span<const float> span() const { return {data_, size_}; }
  std::size_t size() const { return size_; }

 private:
  float* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace zeroth
