// What every kernel call needs beside its arguments: the instruction set and the threads.
#pragma once

#include "kernels/cpu_features.h"
#include "kernels/parallel.h"

namespace zeroth {

struct Context {
  Isa isa = Isa::portable;
  ThreadPool* pool = nullptr;  // never null in a call
};

}  // namespace zeroth
