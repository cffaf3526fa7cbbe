// A number as JSON, which has no NaN.
#pragma once

#include <boost/json/value.hpp>

namespace zeroth {

/// `value`, or null where it is not finite.
boost::json::value number_or_null(double value);

}  // namespace zeroth
