// The threads and the instruction set a command computes with.
#pragma once

#include "kernels/context.h"
#include "rl/config.h"

namespace zeroth {

class Compute {
 public:
  /// InputError for an instruction set that this processor does not have.
  explicit Compute(const PolicyOptions& options);
  Compute(const Compute&) = delete;
  Compute& operator=(const Compute&) = delete;

  const Context& context() const { return context_; }
  /// "avx512, 2 threads"
  std::string description() const;

 private:
  ThreadPool pool_;
  Context context_;
};

}  // namespace zeroth
