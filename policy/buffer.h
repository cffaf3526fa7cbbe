// Aligned floats that grow and are not cleared: the working memory of a forward or backward pass.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

#include "kernels/gemm.h"

namespace zeroth {

class Buffer {
 public:
  /// Makes room for `count` floats; the contents are undefined afterwards. Returns data().
  float* resize(std::int64_t count) {
    if (count > capacity_) {
      const std::size_t bytes = (static_cast<std::size_t>(count) * sizeof(float) + 63) / 64 * 64;
      data_.reset(static_cast<float*>(std::aligned_alloc(64, bytes)));
      if (!data_) throw std::bad_alloc();
      capacity_ = count;
    }
    return data_.get();
  }
  float* data() { return data_.get(); }
  const float* data() const { return data_.get(); }

 private:
  std::unique_ptr<float, FreeDeleter> data_;
  std::int64_t capacity_ = 0;
};

}  // namespace zeroth
