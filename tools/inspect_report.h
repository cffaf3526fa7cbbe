// What zeroth inspect found out, for people and for programs.
#pragma once

#include <string>

#include "tools/inspect_checkpoint.h"

namespace zeroth {

/// `name` is the checkpoint's. With `tensors` a line each, else a line a type.
void print_text(const std::string& name, const CheckpointReport& report, bool tensors);

/// One object with everything.
void print_json(const std::string& name, const CheckpointReport& report);

}  // namespace zeroth
