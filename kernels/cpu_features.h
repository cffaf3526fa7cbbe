// Which instruction set the kernels use. Every path computes the same bits (docs/numerics.md), so
// the choice is about speed alone; it is made at run time and can be forced.
#pragma once

#include <string_view>
#include <vector>

namespace zeroth {

enum class Isa {
  portable,  // plain C++; the reference
  avx2,      // x86-64 with AVX2 and FMA
  avx512,    // x86-64 with AVX-512 F, BW, DQ and VL
};

std::string_view isa_name(Isa isa);

/// Whether this build has the path and this processor can run it.
bool isa_supported(Isa isa);

/// The fastest supported path.
Isa best_isa();

/// Every supported path, the portable one first.
std::vector<Isa> supported_isas();

}  // namespace zeroth
