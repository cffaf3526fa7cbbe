#include "kernels/cpu_features.h"

#include <algorithm>
#include <catch2/catch.hpp>

namespace zeroth {
namespace {

TEST_CASE("supported_isas: the portable path first, the best last, each of them supported") {
  const auto isas = supported_isas();
  REQUIRE(!isas.empty());
  CHECK(isas.front() == Isa::portable);
  CHECK(isas.back() == best_isa());
  CHECK(std::is_sorted(isas.begin(), isas.end()));
  for (const Isa isa : isas) CHECK(isa_supported(isa));
}

TEST_CASE("isa_name: the names of the command line") {
  CHECK(isa_name(Isa::portable) == "portable");
  CHECK(isa_name(Isa::avx2) == "avx2");
  CHECK(isa_name(Isa::avx512) == "avx512");
}

}  // namespace
}  // namespace zeroth
