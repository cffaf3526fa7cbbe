// One value of a configuration between text, TOML and memory.
#pragma once

#include <string>
#include <string_view>

#include "tools/options.h"

namespace zeroth {

/// What a value of the field is called in help texts and errors: "an integer", "a list of numbers",
/// "one of …".
std::string expected_value(const Field& field);

/// Stores `text`, as it stands on a command line; lists are separated by commas. Throws InputError
/// naming `source` and the key.
void assign_text(const Field& field, std::string_view text, const std::string& source);

/// The value as TOML, exactly: reading it back gives the same bits. Empty for an optional that is
/// not set.
std::string to_toml(const Field& field);

/// A TOML string in quotes.
std::string quote_toml(std::string_view text);

/// Throws InputError unless `text` is one of the field's choices.
void check_choice(const Field& field, const std::string& text, const std::string& source);

}  // namespace zeroth
