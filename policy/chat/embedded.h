// The program that renders chat templates, compiled in.
#pragma once

#include <string_view>

namespace zeroth {

/// What the interpreter runs: render_host.py.
std::string_view chat_render_source();

}  // namespace zeroth
