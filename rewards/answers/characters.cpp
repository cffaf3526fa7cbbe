#include "rewards/answers/characters.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "system/ascii.h"
#include "system/utf8.h"

namespace zeroth {
namespace {

struct Range {
  char32_t first;
  char32_t last;  // included
};

struct ScriptRange {
  char32_t first;
  char32_t last;  // included
  std::size_t script;
};

constexpr std::array<std::string_view, 26> kScripts = {
    "arabic",  "armenian", "bengali",  "cyrillic", "devanagari", "ethiopic",  "georgian",
    "greek",   "gujarati", "gurmukhi", "han",      "hangul",     "hebrew",    "hiragana",
    "kannada", "katakana", "khmer",    "lao",      "latin",      "malayalam", "myanmar",
    "sinhala", "tamil",    "telugu",   "thai",     "tibetan"};

enum Script : std::size_t {
  arabic,
  armenian,
  bengali,
  cyrillic,
  devanagari,
  ethiopic,
  georgian,
  greek,
  gujarati,
  gurmukhi,
  han,
  hangul,
  hebrew,
  hiragana,
  kannada,
  katakana,
  khmer,
  lao,
  latin,
  malayalam,
  myanmar,
  sinhala,
  tamil,
  telugu,
  thai,
  tibetan
};

// In order. Where a block has gaps that are not assigned, they are within the range.
constexpr ScriptRange kRanges[] = {
    {0x41, 0x5A, latin},          {0x61, 0x7A, latin},          {0xAA, 0xAA, latin},
    {0xBA, 0xBA, latin},          {0xC0, 0xD6, latin},          {0xD8, 0xF6, latin},
    {0xF8, 0x2AF, latin},         {0x370, 0x374, greek},        {0x376, 0x37D, greek},
    {0x37F, 0x37F, greek},        {0x386, 0x386, greek},        {0x388, 0x3E1, greek},
    {0x3F0, 0x3F5, greek},        {0x3F7, 0x3FF, greek},        {0x400, 0x481, cyrillic},
    {0x48A, 0x52F, cyrillic},     {0x531, 0x559, armenian},     {0x560, 0x588, armenian},
    {0x5D0, 0x5F2, hebrew},       {0x620, 0x63F, arabic},       {0x641, 0x64A, arabic},
    {0x66E, 0x66F, arabic},       {0x671, 0x6D3, arabic},       {0x6D5, 0x6D5, arabic},
    {0x6E5, 0x6E6, arabic},       {0x6EE, 0x6EF, arabic},       {0x6FA, 0x6FC, arabic},
    {0x6FF, 0x6FF, arabic},       {0x750, 0x77F, arabic},       {0x870, 0x887, arabic},
    {0x889, 0x88E, arabic},       {0x8A0, 0x8C9, arabic},       {0x904, 0x939, devanagari},
    {0x93D, 0x93D, devanagari},   {0x950, 0x950, devanagari},   {0x958, 0x961, devanagari},
    {0x971, 0x97F, devanagari},   {0x980, 0x980, bengali},      {0x985, 0x9B9, bengali},
    {0x9BD, 0x9BD, bengali},      {0x9CE, 0x9CE, bengali},      {0x9DC, 0x9E1, bengali},
    {0x9F0, 0x9F1, bengali},      {0x9FC, 0x9FC, bengali},      {0xA05, 0xA39, gurmukhi},
    {0xA59, 0xA5E, gurmukhi},     {0xA72, 0xA74, gurmukhi},     {0xA85, 0xAB9, gujarati},
    {0xABD, 0xABD, gujarati},     {0xAD0, 0xAE1, gujarati},     {0xAF9, 0xAF9, gujarati},
    {0xB83, 0xBB9, tamil},        {0xBD0, 0xBD0, tamil},        {0xC05, 0xC39, telugu},
    {0xC3D, 0xC3D, telugu},       {0xC58, 0xC61, telugu},       {0xC80, 0xC80, kannada},
    {0xC85, 0xCB9, kannada},      {0xCBD, 0xCBD, kannada},      {0xCDD, 0xCE1, kannada},
    {0xCF1, 0xCF2, kannada},      {0xD04, 0xD3A, malayalam},    {0xD3D, 0xD3D, malayalam},
    {0xD4E, 0xD4E, malayalam},    {0xD54, 0xD56, malayalam},    {0xD5F, 0xD61, malayalam},
    {0xD7A, 0xD7F, malayalam},    {0xD85, 0xDC6, sinhala},      {0xE01, 0xE30, thai},
    {0xE32, 0xE33, thai},         {0xE40, 0xE46, thai},         {0xE81, 0xEB0, lao},
    {0xEB2, 0xEB3, lao},          {0xEBD, 0xEC6, lao},          {0xEDC, 0xEDF, lao},
    {0xF00, 0xF00, tibetan},      {0xF40, 0xF6C, tibetan},      {0xF88, 0xF8C, tibetan},
    {0x1000, 0x102A, myanmar},    {0x103F, 0x103F, myanmar},    {0x1050, 0x1055, myanmar},
    {0x105A, 0x105D, myanmar},    {0x1061, 0x1061, myanmar},    {0x1065, 0x1066, myanmar},
    {0x106E, 0x1070, myanmar},    {0x1075, 0x1081, myanmar},    {0x108E, 0x108E, myanmar},
    {0x10A0, 0x10FA, georgian},   {0x10FD, 0x10FF, georgian},   {0x1100, 0x11FF, hangul},
    {0x1200, 0x135A, ethiopic},   {0x1380, 0x138F, ethiopic},   {0x1780, 0x17B3, khmer},
    {0x17D7, 0x17D7, khmer},      {0x17DC, 0x17DC, khmer},      {0x1C80, 0x1C88, cyrillic},
    {0x1C90, 0x1CBF, georgian},   {0x1D00, 0x1D25, latin},      {0x1D26, 0x1D2A, greek},
    {0x1D2B, 0x1D2B, cyrillic},   {0x1D5E, 0x1D5E, greek},      {0x1D60, 0x1D60, greek},
    {0x1D62, 0x1D65, latin},      {0x1D66, 0x1D6A, greek},      {0x1D6B, 0x1D77, latin},
    {0x1D78, 0x1D78, cyrillic},   {0x1D79, 0x1D9A, latin},      {0x1E00, 0x1EFF, latin},
    {0x1F00, 0x1FBC, greek},      {0x1FBE, 0x1FBE, greek},      {0x1FC2, 0x1FCC, greek},
    {0x1FD0, 0x1FDB, greek},      {0x1FE0, 0x1FEC, greek},      {0x1FF2, 0x1FFC, greek},
    {0x2071, 0x2071, latin},      {0x207F, 0x207F, latin},      {0x2090, 0x209C, latin},
    {0x2126, 0x2126, greek},      {0x212A, 0x212B, latin},      {0x2184, 0x2184, latin},
    {0x2C60, 0x2C7C, latin},      {0x2C7E, 0x2C7F, latin},      {0x2D00, 0x2D2D, georgian},
    {0x2D80, 0x2DDE, ethiopic},   {0x3005, 0x3005, han},        {0x303B, 0x303B, han},
    {0x3041, 0x3096, hiragana},   {0x309D, 0x309F, hiragana},   {0x30A1, 0x30FA, katakana},
    {0x30FD, 0x30FF, katakana},   {0x3131, 0x318E, hangul},     {0x31F0, 0x31FF, katakana},
    {0x3400, 0x4DBF, han},        {0x4E00, 0x9FFF, han},        {0xA640, 0xA66E, cyrillic},
    {0xA67F, 0xA69D, cyrillic},   {0xA722, 0xA76F, latin},      {0xA771, 0xA787, latin},
    {0xA78B, 0xA7D9, latin},      {0xA7F5, 0xA7F7, latin},      {0xA7FA, 0xA7FF, latin},
    {0xA8F2, 0xA8F7, devanagari}, {0xA8FB, 0xA8FB, devanagari}, {0xA8FD, 0xA8FE, devanagari},
    {0xA960, 0xA97C, hangul},     {0xA9E0, 0xA9E4, myanmar},    {0xA9E6, 0xA9EF, myanmar},
    {0xA9FA, 0xA9FE, myanmar},    {0xAA60, 0xAA76, myanmar},    {0xAA7A, 0xAA7A, myanmar},
    {0xAA7E, 0xAA7F, myanmar},    {0xAB01, 0xAB2E, ethiopic},   {0xAB30, 0xAB5A, latin},
    {0xAB60, 0xAB64, latin},      {0xAB65, 0xAB65, greek},      {0xAB66, 0xAB68, latin},
    {0xAC00, 0xD7FB, hangul},     {0xF900, 0xFAD9, han},        {0xFB00, 0xFB06, latin},
    {0xFB13, 0xFB17, armenian},   {0xFB1D, 0xFB1D, hebrew},     {0xFB1F, 0xFB28, hebrew},
    {0xFB2A, 0xFB4F, hebrew},     {0xFB50, 0xFBB1, arabic},     {0xFBD3, 0xFD3D, arabic},
    {0xFD50, 0xFDC7, arabic},     {0xFDF0, 0xFDFB, arabic},     {0xFE70, 0xFEFC, arabic},
    {0xFF21, 0xFF3A, latin},      {0xFF41, 0xFF5A, latin},      {0xFF66, 0xFF6F, katakana},
    {0xFF71, 0xFF9D, katakana},   {0xFFA0, 0xFFDC, hangul},     {0x1AFF0, 0x1B000, katakana},
    {0x1B001, 0x1B001, hiragana}, {0x1B11F, 0x1B11F, hiragana}, {0x1B120, 0x1B122, katakana},
    {0x1B150, 0x1B152, hiragana}, {0x1B164, 0x1B167, katakana}, {0x1DF00, 0x1DF1E, latin},
    {0x1E7E0, 0x1E7FE, ethiopic}, {0x1EE00, 0x1EEBB, arabic},   {0x20000, 0x2EBE0, han},
    {0x2F800, 0x2FA1D, han},      {0x30000, 0x3134A, han}};

constexpr Range kWhiteSpace[] = {
    {0x09, 0x0D},     {0x1C, 0x20},     {0x85, 0x85},     {0xA0, 0xA0},     {0x1680, 0x1680},
    {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}};

// Beyond ASCII: punctuation, symbols, combining accents.
constexpr Range kMarks[] = {
    {0x80, 0xA9},       {0xAB, 0xB1},     {0xB4, 0xB4},     {0xB6, 0xB8},     {0xBB, 0xBB},
    {0xBF, 0xBF},       {0xD7, 0xD7},     {0xF7, 0xF7},     {0x300, 0x36F},   {0x2000, 0x206F},
    {0x207A, 0x207E},   {0x208A, 0x208E}, {0x20A0, 0x20FF}, {0x2190, 0x245F}, {0x2500, 0x2775},
    {0x2794, 0x2BFF},   {0x3000, 0x3004}, {0x3008, 0x3020}, {0xD800, 0xF8FF}, {0xFE00, 0xFE6F},
    {0xFF00, 0xFF0F},   {0xFF1A, 0xFF20}, {0xFF3B, 0xFF40}, {0xFF5B, 0xFF65}, {0xFFE0, 0xFFFF},
    {0x1F300, 0x1FAFF},
};

bool is_within(std::span<const Range> ranges, char32_t c) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [c](const Range& range) { return range.first <= c && c <= range.last; });
}

// Upper case that stands `distance` before its lower case.
struct CaseRange {
  char32_t first;
  char32_t last;  // included
  char32_t distance;
};
constexpr CaseRange kCases[] = {{0xC0, 0xD6, 32},   {0xD8, 0xDE, 32},   {0x386, 0x386, 38},
                                {0x388, 0x38A, 37}, {0x38C, 0x38C, 64}, {0x38E, 0x38F, 63},
                                {0x391, 0x3A1, 32}, {0x3A3, 0x3AB, 32}, {0x400, 0x40F, 80},
                                {0x410, 0x42F, 32}, {0x531, 0x556, 48}, {0xFF21, 0xFF3A, 32}};

// Where upper and lower case take turns; upper case comes first.
constexpr Range kPairs[] = {{0x100, 0x12F},  {0x132, 0x137}, {0x139, 0x148}, {0x14A, 0x177},
                            {0x179, 0x17E},  {0x1CD, 0x1DC}, {0x1DE, 0x1EF}, {0x1F8, 0x21F},
                            {0x222, 0x233},  {0x370, 0x373}, {0x3D8, 0x3EF}, {0x460, 0x481},
                            {0x48A, 0x4BF},  {0x4C1, 0x4CE}, {0x4D0, 0x52F}, {0x1E00, 0x1E95},
                            {0x1EA0, 0x1EFF}};

// The bits that a character of so many bytes has in its first.
constexpr std::array<unsigned, 5> kFirstBits = {0, 0x7F, 0x1F, 0x0F, 0x07};

}  // namespace

char32_t take_character(std::string_view& text) {
  const std::size_t size = utf8_bytes(text);
  if (size == 0) {
    text.remove_prefix(1);
    return 0xFFFD;
  }
  char32_t c = static_cast<unsigned char>(text[0]) & kFirstBits[size];
  for (std::size_t i = 1; i < size; ++i) c = c << 6 | (static_cast<unsigned char>(text[i]) & 0x3Fu);
  text.remove_prefix(size);
  return c;
}

std::size_t count_characters(std::string_view text) {
  std::size_t count = 0;
  for (; !text.empty(); ++count) take_character(text);
  return count;
}

std::span<const std::string_view> script_names() {
  return kScripts;
}

std::optional<std::size_t> script_of(char32_t c) {
  const auto* after = std::upper_bound(
      std::begin(kRanges), std::end(kRanges), c,
      [](char32_t value, const ScriptRange& range) { return value < range.first; });
  if (after == std::begin(kRanges)) return std::nullopt;
  const ScriptRange& range = *std::prev(after);
  return c <= range.last ? std::optional(range.script) : std::nullopt;
}

bool is_white_space(char32_t c) {
  return is_within(kWhiteSpace, c);
}

bool is_alphanumeric(char32_t c) {
  if (c < 0x80) return is_letter(static_cast<char>(c)) || is_digit(static_cast<char>(c));
  return !is_within(kMarks, c) && !is_white_space(c);
}

char32_t to_lower_case(char32_t c) {
  if (c < 0x80) return static_cast<unsigned char>(to_lower(static_cast<char>(c)));
  if (c == 0x178) return 0xFF;
  if (c == 0x1E9E) return 0xDF;
  for (const CaseRange& range : kCases) {
    if (range.first <= c && c <= range.last) return c + range.distance;
  }
  for (const Range& range : kPairs) {
    if (range.first <= c && c <= range.last && (c - range.first) % 2 == 0) return c + 1;
  }
  return c;
}

}  // namespace zeroth
