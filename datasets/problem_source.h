// The problems a data set name stands for: a JSONL file, or a generator.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "datasets/problem.h"

namespace zeroth {

/// `name` is a JSONL file read through `columns` (datasets/columns.h), or "sums" (datasets/sums.h),
/// whose `split` is train, calibration, validation or test; empty means `default_split`. `seed`
/// makes the generator's problems and nothing else. Throws InputError for a split that does not
/// exist or is asked of a file.
std::vector<Problem> load_problems(const std::string& name, const std::string& split,
                                   const std::string& default_split, const std::string& columns,
                                   std::uint64_t seed);

}  // namespace zeroth
