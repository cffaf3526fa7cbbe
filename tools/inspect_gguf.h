// zeroth inspect of a GGUF file.
#pragma once

#include "rl/config.h"

namespace zeroth {

/// Whether the file begins as a GGUF file does.
bool is_gguf(const std::string& path);

/// Prints what the file is: metadata, and every tensor with its type, shape, mean and spread.
/// Returns the command's exit code: kExitWrongInput when a number is not finite. InputError for a
/// file that does not follow the format.
int inspect_gguf(const InspectConfig& config);

}  // namespace zeroth
