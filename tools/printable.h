// Text from a file or a peer, made fit for a terminal.
#pragma once

#include <string>
#include <string_view>

namespace zeroth {

/// `text` with every control character (U+0000 to U+001F, U+007F to U+009F) but those in `kept`,
/// and every byte that is no UTF-8, written as \xNN: a terminal obeys such characters.
std::string printable(std::string_view text, std::string_view kept = "");

}  // namespace zeroth
