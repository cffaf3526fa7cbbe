#include "policy/tokenizer/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>

#include "policy/tokenizer/unicode_data.h"

namespace zeroth {
namespace {

template <class Range>
const Range* find_range(std::span<const Range> ranges, char32_t c) {
  const auto after =
      std::upper_bound(ranges.begin(), ranges.end(), c,
                       [](char32_t x, const Range& range) { return x < range.first; });
  if (after == ranges.begin()) return nullptr;
  const Range& range = *(after - 1);
  return c <= range.last ? &range : nullptr;
}

/// Two letters, such as "Lu".
std::string_view category(char32_t c) {
  if (const UnicodeAddition* added = find_range(unicode_additions(), c)) return added->category;
  return utf8proc_category_string(static_cast<utf8proc_int32_t>(c));
}

bool is_between(char32_t c, char32_t first, char32_t last) {
  return c >= first && c <= last;
}

/// As Rust, which has Unicode 17 where utf8proc has 15.
char32_t lower(char32_t c) {
  if (c < 0x80) return is_between(c, 'A', 'Z') ? c + 0x20 : c;
  if (is_between(c, 0x10D50, 0x10D65)) return c + 0x20;
  if (is_between(c, 0x16EA0, 0x16EB8)) return c + 0x1B;
  switch (c) {
    case 0x1C89:
    case 0xA7CC:
    case 0xA7CE:
    case 0xA7D2:
    case 0xA7D4:
    case 0xA7DA:
      return c + 1;
    case 0xA7CB:
      return 0x264;
    case 0xA7DC:
      return 0x19B;
    default:
      return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
  }
}

/// Code points of which text does not change under `form`: most of what is written. They have no
/// decomposition (composed forms: none that is not put together again), are of class 0 and combine
/// with none of these before them.
bool is_stable(char32_t c, NormalForm form) {
  if (c < 0xA0 || is_between(c, 0x4E00, 0x9FFF)) return true;
  if (form != NormalForm::nfc) return false;
  return c < 0x300 || is_between(c, 0x400, 0x481) || is_between(c, 0x2010, 0x2027) ||
         is_between(c, 0x3001, 0x3029) || is_between(c, 0x3041, 0x3096) ||
         is_between(c, 0x30A1, 0x30FA) || is_between(c, 0xAC00, 0xD7A3) ||
         is_between(c, 0xFF01, 0xFF9D);
}

bool is_stable(std::string_view text, NormalForm form) {
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = code_point_at(text, at);
    if (!is_stable(c.value, form)) return false;
    at += c.size;
  }
  return true;
}

utf8proc_option_t options_of(NormalForm form) {
  int options = UTF8PROC_STABLE;
  const bool composed = form == NormalForm::nfc || form == NormalForm::nfkc;
  const bool compatible = form == NormalForm::nfkc || form == NormalForm::nfkd;
  options |= composed ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE;
  if (compatible) options |= UTF8PROC_COMPAT;
  return static_cast<utf8proc_option_t>(options);
}

void append_normalized(std::string& out, std::string_view text, utf8proc_option_t options) {
  if (text.empty()) return;
  utf8proc_uint8_t* made = nullptr;
  const utf8proc_ssize_t size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                   static_cast<utf8proc_ssize_t>(text.size()), &made, options);
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(made, &std::free);
  if (size < 0) throw std::bad_alloc();  // the text is UTF-8, so memory is what there was none of
  out.append(reinterpret_cast<const char*>(made), static_cast<std::size_t>(size));
}

}  // namespace

CodePoint code_point_at(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) {
    return static_cast<char32_t>(static_cast<std::uint8_t>(text[at + i]));
  };
  const char32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xE0) return {(lead & 0x1FU) << 6U | (byte(1) & 0x3FU), 2};
  if (lead < 0xF0) {
    return {(lead & 0x0FU) << 12U | (byte(1) & 0x3FU) << 6U | (byte(2) & 0x3FU), 3};
  }
  return {(lead & 0x07U) << 18U | (byte(1) & 0x3FU) << 12U | (byte(2) & 0x3FU) << 6U |
              (byte(3) & 0x3FU),
          4};
}

void append_code_point(std::string& text, char32_t c) {
  const auto push = [&](char32_t byte) { text += static_cast<char>(byte); };
  if (c < 0x80) {
    push(c);
  } else if (c < 0x800) {
    push(0xC0U | c >> 6U);
    push(0x80U | (c & 0x3FU));
  } else if (c < 0x10000) {
    push(0xE0U | c >> 12U);
    push(0x80U | (c >> 6U & 0x3FU));
    push(0x80U | (c & 0x3FU));
  } else {
    push(0xF0U | c >> 18U);
    push(0x80U | (c >> 12U & 0x3FU));
    push(0x80U | (c >> 6U & 0x3FU));
    push(0x80U | (c & 0x3FU));
  }
}

std::size_t count_code_points(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<std::uint8_t>(c) & 0xC0U) != 0x80U;
  }));
}

bool is_space_code_point(char32_t c) {
  if (c < 0x80) return c == ' ' || is_between(c, 0x09, 0x0D);
  return c == 0x85 || c == 0xA0 || c == 0x1680 || is_between(c, 0x2000, 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_numeric(char32_t c) {
  if (c < 0x80) return is_between(c, '0', '9');
  // Rust has Unicode 17.
  return category(c)[0] == 'N' || is_between(c, 0x11DE0, 0x11DE9) ||
         is_between(c, 0x16FF4, 0x16FF6);
}

bool is_punctuation(char32_t c) {
  if (c < 0x80) {
    return is_between(c, '!', '/') || is_between(c, ':', '@') || is_between(c, '[', '`') ||
           is_between(c, '{', '~');
  }
  if (c == 0x166D || c == 0x111C9) return true;  // were punctuation once
  return category(c)[0] == 'P' && find_range(not_punctuation(), c) == nullptr;
}

bool is_word(char32_t c) {
  if (c < 0x80) {
    return is_between(c, '0', '9') || is_between(c, 'a', 'z') || is_between(c, 'A', 'Z') ||
           c == '_';
  }
  if (c == 0x200C || c == 0x200D) return true;
  // Letters in circles and squares: symbols that are Alphabetic.
  if (is_between(c, 0x24B6, 0x24E9) || is_between(c, 0x1F130, 0x1F149) ||
      is_between(c, 0x1F150, 0x1F169) || is_between(c, 0x1F170, 0x1F189)) {
    return true;
  }
  const std::string_view kind = category(c);
  return kind[0] == 'L' || kind[0] == 'M' || kind == "Nd" || kind == "Pc" || kind == "Nl";
}

std::string normalize_unicode(std::string_view text, NormalForm form) {
  if (is_stable(text, form)) return std::string(text);
  const utf8proc_option_t options = options_of(form);
  std::string out;
  out.reserve(text.size());
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = code_point_at(text, at);
    if (c.value >= 0x7FD && find_range(not_normalized(), c.value) != nullptr) {
      // Of class 0 and without decomposition there, so nothing passes over it.
      append_normalized(out, text.substr(begin, at - begin), options);
      out += text.substr(at, c.size);
      begin = at + c.size;
    }
    at += c.size;
  }
  append_normalized(out, text.substr(begin), options);
  return out;
}

std::string lowercase_unicode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = code_point_at(text, at);
    if (c.value == 0x130) {
      out += "i\xCC\x87";  // the one letter whose lower case is two code points
    } else {
      append_code_point(out, lower(c.value));
    }
    at += c.size;
  }
  return out;
}

}  // namespace zeroth
