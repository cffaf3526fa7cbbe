// The program that renders chat templates, compiled in.
#pragma once

#include <string_view>

namespace zeroth {

/// What the interpreter runs: the first, then the second.
std::string_view chat_request_source();
std::string_view chat_host_source();

}  // namespace zeroth
