// What a distillation came to, as text and as JSON.
#pragma once

#include <boost/json/object.hpp>
#include <string>

#include "tools/distill_run.h"

namespace zeroth {

/// Evaluations, sizes and the paired difference as tables; and as JSON.
std::string distill_table(const DistillResult& result);
boost::json::object distill_json(const DistillResult& result);
boost::json::object policy_json(const EvaluatedPolicy& policy);

}  // namespace zeroth
