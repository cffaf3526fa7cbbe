#include "rl/number_or_null.h"

#include <cmath>

namespace zeroth {

boost::json::value number_or_null(double value) {
  return std::isfinite(value) ? boost::json::value(value) : boost::json::value(nullptr);
}

}  // namespace zeroth
