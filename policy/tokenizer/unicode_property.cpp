#include "policy/tokenizer/unicode_property.h"

#include <array>
#include <cstdio>
#include <utility>

#include "policy/tokenizer/unicode_data.h"

namespace zeroth {
namespace {

// Those of Unicode 14. Compared with Oniguruma's, code point by code point, additions included.
constexpr std::string_view kScripts =
    "Adlam Ahom Anatolian_Hieroglyphs Arabic Armenian Avestan Balinese Bamum Bassa_Vah Batak "
    "Bengali Bhaiksuki Bopomofo Brahmi Braille Buginese Buhid Canadian_Aboriginal Carian "
    "Caucasian_Albanian Chakma Cham Cherokee Chorasmian Common Coptic Cuneiform Cypriot "
    "Cypro_Minoan Cyrillic Deseret Devanagari Dives_Akuru Dogra Duployan "
    "Egyptian_Hieroglyphs Elbasan Elymaic Ethiopic Georgian Glagolitic Gothic Grantha Greek "
    "Gujarati Gunjala_Gondi Gurmukhi Han Hangul Hanifi_Rohingya Hanunoo Hatran Hebrew "
    "Hiragana Imperial_Aramaic Inherited Inscriptional_Pahlavi Inscriptional_Parthian "
    "Javanese Kaithi Kannada Katakana Kayah_Li Kharoshthi Khitan_Small_Script Khmer Khojki "
    "Khudawadi Lao Latin Lepcha Limbu Linear_A Linear_B Lisu Lycian Lydian Mahajani Makasar "
    "Malayalam Mandaic Manichaean Marchen Masaram_Gondi Medefaidrin Meetei_Mayek "
    "Mende_Kikakui Meroitic_Cursive Meroitic_Hieroglyphs Miao Modi Mongolian Mro Multani "
    "Myanmar Nabataean Nandinagari New_Tai_Lue Newa Nko Nushu Nyiakeng_Puachue_Hmong Ogham "
    "Ol_Chiki Old_Hungarian Old_Italic Old_North_Arabian Old_Permic Old_Persian Old_Sogdian "
    "Old_South_Arabian Old_Turkic Old_Uyghur Oriya Osage Osmanya Pahawh_Hmong Palmyrene "
    "Pau_Cin_Hau Phags_Pa Phoenician Psalter_Pahlavi Rejang Runic Samaritan Saurashtra "
    "Sharada Shavian Siddham SignWriting Sinhala Sogdian Sora_Sompeng Soyombo Sundanese "
    "Syloti_Nagri Syriac Tagalog Tagbanwa Tai_Le Tai_Tham Tai_Viet Takri Tamil Tangsa Tangut "
    "Telugu Thaana Thai Tibetan Tifinagh Tirhuta Toto Ugaritic Vai Vithkuqi Wancho "
    "Warang_Citi Yezidi Yi Zanabazar_Square ";

constexpr std::pair<std::string_view, std::string_view> kCategories[] = {
    {"letter", "L"},
    {"uppercaseletter", "Lu"},
    {"lowercaseletter", "Ll"},
    {"titlecaseletter", "Lt"},
    {"modifierletter", "Lm"},
    {"otherletter", "Lo"},
    {"mark", "M"},
    {"combiningmark", "M"},
    {"nonspacingmark", "Mn"},
    {"spacingmark", "Mc"},
    {"enclosingmark", "Me"},
    {"number", "N"},
    {"decimalnumber", "Nd"},
    {"letternumber", "Nl"},
    {"othernumber", "No"},
    {"punctuation", "P"},
    {"connectorpunctuation", "Pc"},
    {"dashpunctuation", "Pd"},
    {"openpunctuation", "Ps"},
    {"closepunctuation", "Pe"},
    {"initialpunctuation", "Pi"},
    {"finalpunctuation", "Pf"},
    {"otherpunctuation", "Po"},
    {"symbol", "S"},
    {"mathsymbol", "Sm"},
    {"currencysymbol", "Sc"},
    {"modifiersymbol", "Sk"},
    {"othersymbol", "So"},
    {"separator", "Z"},
    {"spaceseparator", "Zs"},
    {"lineseparator", "Zl"},
    {"paragraphseparator", "Zp"},
    {"other", "C"},
    {"control", "Cc"},
    {"format", "Cf"},
    {"unassigned", "Cn"},
    {"privateuse", "Co"},
};

/// Oniguruma reads names without regard to case, spaces, - and _.
std::string folded(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c == ' ' || c == '-' || c == '_') continue;
    out += c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  }
  return out;
}

std::optional<std::string_view> find_category(const std::string& name) {
  for (const auto& [full, letters] : kCategories) {
    if (name == full || name == folded(letters)) return letters;
  }
  return std::nullopt;
}

std::optional<std::string_view> find_script(const std::string& name) {
  for (std::size_t begin = 0; begin < kScripts.size();) {
    const std::size_t end = kScripts.find(' ', begin);
    const std::string_view script = kScripts.substr(begin, end - begin);
    if (folded(script) == name) return script;
    begin = end + 1;
  }
  return std::nullopt;
}

void append_range(std::string& items, const UnicodeAddition& range) {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "\\x{%X}-\\x{%X}", static_cast<unsigned>(range.first),
                static_cast<unsigned>(range.last));
  items += text.data();
}

PropertySet category_set(std::string_view category) {
  PropertySet set;
  set.items = "\\p{" + std::string(category) + "}";
  for (const UnicodeAddition& range : unicode_additions()) {
    const std::string_view before = range.first == 0x1171E ? "Mn" : "Cn";
    const bool was = before.starts_with(category);
    const bool is = range.category.starts_with(category);
    if (is && !was) append_range(set.items, range);
    if (was && !is) append_range(set.except, range);
  }
  return set;
}

PropertySet script_set(std::string_view script) {
  PropertySet set;
  set.items = "\\p{sc:" + std::string(script) + "}";
  for (const UnicodeAddition& range : unicode_additions()) {
    if (range.script == script) append_range(set.items, range);
  }
  return set;
}

}  // namespace

std::optional<PropertySet> unicode_property(std::string_view name) {
  const std::string plain = folded(name);
  if (const auto category = find_category(plain)) return category_set(*category);
  if (const auto script = find_script(plain)) return script_set(*script);
  return std::nullopt;
}

}  // namespace zeroth
