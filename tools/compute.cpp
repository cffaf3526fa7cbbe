#include "tools/compute.h"

#include "system/error.h"

namespace zeroth {
namespace {

Isa chosen_isa(const std::string& name) {
  if (name == "auto") return best_isa();
  std::string supported;
  for (const Isa isa : supported_isas()) {
    if (isa_name(isa) == name) return isa;
    supported += (supported.empty() ? "" : ", ") + std::string(isa_name(isa));
  }
  throw InputError({.source = "--isa",
                    .field = "",
                    .expected = "an instruction set of this processor (" + supported + ")",
                    .actual = name});
}

int checked_threads(std::int64_t num_threads) {
  if (num_threads >= 0 && num_threads <= 4096) return static_cast<int>(num_threads);
  throw InputError({.source = "--num_threads",
                    .field = "",
                    .expected = "0 to 4096",
                    .actual = std::to_string(num_threads)});
}

}  // namespace

Compute::Compute(const PolicyOptions& options)
    : pool_(checked_threads(options.num_threads)), context_{chosen_isa(options.isa), &pool_} {}

std::string Compute::description() const {
  return std::string(isa_name(context_.isa)) + ", " + std::to_string(pool_.num_threads()) +
         (pool_.num_threads() == 1 ? " thread" : " threads");
}

}  // namespace zeroth
