// The texts a report is made of, compiled into the program (cmake/embed.cmake): the page, its style
// and script from rl/report_page/, and Chart.js from the system's package.
#pragma once

#include <string_view>

namespace zeroth::report_files {

std::string_view page();     // HTML with {{marks}}
std::string_view style();    // CSS
std::string_view script();   // JavaScript
std::string_view library();  // Chart.js, minified

}  // namespace zeroth::report_files
