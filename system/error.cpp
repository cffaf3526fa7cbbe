#include "system/error.h"

#include <utility>

namespace zeroth {
namespace {

std::string describe(const InputError::Parts& parts) {
  std::string text = parts.source;
  if (!parts.field.empty()) text += (text.empty() ? "" : ": ") + parts.field;
  if (!text.empty()) text += ": ";
  text += "expected " + parts.expected;
  if (!parts.actual.empty()) text += ", got " + parts.actual;
  return text;
}

}  // namespace

InputError::InputError(Parts parts)
    : std::runtime_error(describe(parts)), parts_(std::move(parts)) {}

}  // namespace zeroth
