#include "rewards/math/spellings.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace zeroth::math {
namespace {

constexpr TokenKind kMark = TokenKind::mark;
constexpr TokenKind kRelation = TokenKind::relation;
constexpr TokenKind kName = TokenKind::name;
constexpr TokenKind kCommand = TokenKind::command;

constexpr bool is_before(const Spelling& a, const Spelling& b) {
  return a.from < b.from;
}
template <std::size_t N>
consteval std::array<Spelling, N> sorted(std::array<Spelling, N> table) {
  std::sort(table.begin(), table.end(), is_before);
  return table;
}
template <std::size_t N>
const Spelling* find(const std::array<Spelling, N>& table, std::string_view word) {
  const auto at = std::lower_bound(table.begin(), table.end(),
                                   Spelling{.from = word, .kind = kMark, .to = ""}, is_before);
  return at != table.end() && at->from == word ? &*at : nullptr;
}

// Functions that commands and plain words name alike.
constexpr auto kFunctions = sorted(std::to_array<Spelling>({
    {"sin", kName, "sin"},         {"cos", kName, "cos"},         {"tan", kName, "tan"},
    {"tg", kName, "tan"},          {"cot", kName, "cot"},         {"ctg", kName, "cot"},
    {"sec", kName, "sec"},         {"csc", kName, "csc"},         {"cosec", kName, "csc"},
    {"arcsin", kName, "arcsin"},   {"arccos", kName, "arccos"},   {"arctan", kName, "arctan"},
    {"arctg", kName, "arctan"},    {"arccot", kName, "arccot"},   {"arcsec", kName, "arcsec"},
    {"arccsc", kName, "arccsc"},   {"asin", kName, "arcsin"},     {"acos", kName, "arccos"},
    {"atan", kName, "arctan"},     {"acot", kName, "arccot"},     {"sinh", kName, "sinh"},
    {"cosh", kName, "cosh"},       {"tanh", kName, "tanh"},       {"coth", kName, "coth"},
    {"sech", kName, "sech"},       {"csch", kName, "csch"},       {"asinh", kName, "arcsinh"},
    {"acosh", kName, "arccosh"},   {"atanh", kName, "arctanh"},   {"arsinh", kName, "arcsinh"},
    {"arcosh", kName, "arccosh"},  {"artanh", kName, "arctanh"},  {"arcoth", kName, "arccoth"},
    {"arsech", kName, "arcsech"},  {"arcsch", kName, "arccsch"},  {"arcsinh", kName, "arcsinh"},
    {"arccosh", kName, "arccosh"}, {"arctanh", kName, "arctanh"}, {"arccoth", kName, "arccoth"},
    {"arcsech", kName, "arcsech"}, {"arccsch", kName, "arccsch"}, {"ln", kName, "ln"},
    {"log", kName, "log"},         {"lg", kName, "lg"},           {"exp", kName, "exp"},
    {"abs", kName, "abs"},
}));

// Functions whose names are also words, units or initials of something else.
constexpr auto kUpright = sorted(std::to_array<Spelling>({
    {"gcd", kName, "gcd"},      {"GCD", kName, "gcd"},     {"gcf", kName, "gcd"},
    {"lcm", kName, "lcm"},      {"LCM", kName, "lcm"},     {"max", kName, "max"},
    {"min", kName, "min"},      {"floor", kName, "floor"}, {"ceil", kName, "ceil"},
    {"ceiling", kName, "ceil"}, {"sgn", kName, "sgn"},     {"sign", kName, "sgn"},
    {"det", kName, "det"},      {"tr", kName, "tr"},       {"trace", kName, "tr"},
    {"Tr", kName, "tr"},        {"Re", kName, "Re"},       {"Im", kName, "Im"},
    {"arg", kName, "arg"},      {"Arg", kName, "arg"},     {"conjugate", kName, "conj"},
}));

constexpr auto kCommands = sorted(std::to_array<Spelling>({
    // without meaning for the value
    {"big", kMark, ""},
    {"Big", kMark, ""},
    {"bigg", kMark, ""},
    {"Bigg", kMark, ""},
    {"bigm", kMark, ""},
    {"quad", kMark, ""},
    {"qquad", kMark, ""},
    {"displaystyle", kMark, ""},
    {"textstyle", kMark, ""},
    {"scriptstyle", kMark, ""},
    {"limits", kMark, ""},
    {"nolimits", kMark, ""},
    {"hspace", kMark, ""},
    {"hline", kMark, ""},
    {"rm", kMark, ""},
    {"bf", kMark, ""},
    {"it", kMark, ""},
    {"therefore", kMark, ""},
    // delimiters
    {"lbrace", kMark, "\\{"},
    {"rbrace", kMark, "\\}"},
    {"lbrack", kMark, "["},
    {"rbrack", kMark, "]"},
    {"lparen", kMark, "("},
    {"rparen", kMark, ")"},
    {"lgroup", kMark, "("},
    {"rgroup", kMark, ")"},
    {"langle", kMark, "("},
    {"rangle", kMark, ")"},
    {"lvert", kMark, "lvert"},
    {"rvert", kMark, "rvert"},
    {"lVert", kMark, "lvert"},
    {"rVert", kMark, "rvert"},
    {"vert", kMark, "|"},
    {"Vert", kMark, "|"},
    {"mid", kMark, "|"},
    {"lfloor", kMark, "lfloor"},
    {"rfloor", kMark, "rfloor"},
    {"llcorner", kMark, "lfloor"},
    {"lrcorner", kMark, "rfloor"},
    {"lceil", kMark, "lceil"},
    {"rceil", kMark, "rceil"},
    {"ulcorner", kMark, "lceil"},
    {"urcorner", kMark, "rceil"},
    // operators
    {"cdot", kMark, "*"},
    {"times", kMark, "*"},
    {"ast", kMark, "*"},
    {"cdotp", kMark, "*"},
    {"div", kMark, "/"},
    {"slash", kMark, "/"},
    {"over", kMark, "over"},
    {"choose", kMark, "choose"},
    {"mod", kMark, "mod"},
    {"bmod", kMark, "mod"},
    {"pmod", kMark, "mod"},
    {"pm", kMark, "pm"},
    {"mp", kMark, "mp"},
    {"cup", kMark, "cup"},
    {"cap", kMark, "cap"},
    {"setminus", kMark, "setminus"},
    {"smallsetminus", kMark, "setminus"},
    {"backslash", kMark, "setminus"},
    {"circ", kMark, "degree"},
    {"degree", kMark, "degree"},
    {"prime", kMark, "'"},
    {"colon", kMark, ":"},
    {"cr", kMark, "\\\\"},
    {"land", kMark, ","},
    {"lor", kMark, ","},
    {"wedge", kMark, ","},
    {"vee", kMark, ","},
    {"to", kMark, "to"},
    {"rightarrow", kMark, "to"},
    {"Rightarrow", kMark, "to"},
    {"longrightarrow", kMark, "to"},
    {"Longrightarrow", kMark, "to"},
    // relations
    {"le", kRelation, "<="},
    {"leq", kRelation, "<="},
    {"leqslant", kRelation, "<="},
    {"leqq", kRelation, "<="},
    {"ge", kRelation, ">="},
    {"geq", kRelation, ">="},
    {"geqslant", kRelation, ">="},
    {"geqq", kRelation, ">="},
    {"lt", kRelation, "<"},
    {"gt", kRelation, ">"},
    {"ne", kRelation, "!="},
    {"neq", kRelation, "!="},
    {"equiv", kRelation, "="},
    {"in", kRelation, "in"},
    {"notin", kRelation, "notin"},
    {"subset", kRelation, "subset"},
    {"subseteq", kRelation, "subset"},
    {"subsetneq", kRelation, "subset"},
    {"supset", kRelation, "superset"},
    {"supseteq", kRelation, "superset"},
    {"supsetneq", kRelation, "superset"},
    {"approx", kRelation, "approx"},
    {"simeq", kRelation, "approx"},
    // numbers and sets
    {"infty", kName, "infinity"},
    {"infinity", kName, "infinity"},
    {"pi", kName, "pi"},
    {"imath", kName, "i"},
    {"imaginaryI", kName, "i"},
    {"imaginaryJ", kName, "i"},
    {"exponentialE", kName, "e"},
    {"differentialD", kName, "d"},
    {"partial", kName, "d"},
    {"emptyset", kName, "emptyset"},
    {"varnothing", kName, "emptyset"},
    {"R", kName, "\\mathbb{R}"},
    {"N", kName, "\\mathbb{N}"},
    {"Z", kName, "\\mathbb{Z}"},
    {"Q", kName, "\\mathbb{Q}"},
    {"C", kName, "\\mathbb{C}"},
    // symbols with a second name
    {"varepsilon", kName, "\\epsilon"},
    {"vartheta", kName, "\\theta"},
    {"varphi", kName, "\\phi"},
    {"ell", kName, "l"},
    {"intercal", kName, "\\intercal"},
    // with arguments
    {"frac", kCommand, "frac"},
    {"dfrac", kCommand, "frac"},
    {"tfrac", kCommand, "frac"},
    {"cfrac", kCommand, "frac"},
    {"sqrt", kCommand, "sqrt"},
    {"binom", kCommand, "binom"},
    {"dbinom", kCommand, "binom"},
    {"tbinom", kCommand, "binom"},
    {"sum", kCommand, "sum"},
    {"prod", kCommand, "prod"},
    {"lim", kCommand, "lim"},
    {"int", kCommand, "int"},
    {"boxed", kCommand, "boxed"},
    {"fbox", kCommand, "boxed"},
    {"overline", kCommand, "overline"},
    {"bar", kCommand, "overline"},
    {"vec", kCommand, "boxed"},
    {"hat", kCommand, "boxed"},
    {"widehat", kCommand, "boxed"},
    {"underline", kCommand, "boxed"},
    {"overrightarrow", kCommand, "boxed"},
    {"phantom", kCommand, "phantom"},
}));

// Letters that stand for themselves; of interest where another letter sticks to them.
constexpr auto kGreek = sorted(std::to_array<Spelling>({
    {"alpha", kName, "\\alpha"},
    {"beta", kName, "\\beta"},
    {"gamma", kName, "\\gamma"},
    {"delta", kName, "\\delta"},
    {"epsilon", kName, "\\epsilon"},
    {"zeta", kName, "\\zeta"},
    {"eta", kName, "\\eta"},
    {"theta", kName, "\\theta"},
    {"iota", kName, "\\iota"},
    {"kappa", kName, "\\kappa"},
    {"lambda", kName, "\\lambda"},
    {"rho", kName, "\\rho"},
    {"sigma", kName, "\\sigma"},
    {"tau", kName, "\\tau"},
    {"phi", kName, "\\phi"},
    {"chi", kName, "\\chi"},
    {"psi", kName, "\\psi"},
    {"omega", kName, "\\omega"},
}));

// Other words of plain text that mean something in mathematics.
constexpr auto kWords = sorted(std::to_array<Spelling>({
    {"pi", kName, "pi"},           {"infinity", kName, "infinity"},
    {"infty", kName, "infinity"},  {"inf", kName, "infinity"},
    {"oo", kName, "infinity"},     {"sqrt", kCommand, "sqrt"},
    {"and", kMark, ","},           {"or", kMark, ","},
    {"mod", kMark, "mod"},         {"degrees", kMark, "degree"},
    {"degree", kMark, "degree"},   {"deg", kMark, "degree"},
    {"percent", kMark, "%"},       {"pct", kMark, "%"},
    {"percentage", kMark, "%"},    {"alpha", kName, "\\alpha"},
    {"beta", kName, "\\beta"},     {"gamma", kName, "\\gamma"},
    {"theta", kName, "\\theta"},   {"phi", kName, "\\phi"},
    {"lambda", kName, "\\lambda"},
}));

constexpr auto kOperators = std::to_array<Spelling>({
    {"<=", kRelation, "<="},
    {">=", kRelation, ">="},
    {"!=", kRelation, "!="},
    {"==", kRelation, "="},
    {"**", kMark, "^"},
    {"=", kRelation, "="},
    {"<", kRelation, "<"},
    {">", kRelation, ">"},
    {"~", kMark, ""},
    {"$", kMark, ""},
});

constexpr auto kCharacters = sorted(std::to_array<Spelling>({
    {"\u2212", kMark, "-"},
    {"\u2013", kMark, "-"},
    {"\ufe63", kMark, "-"},
    {"\uff0d", kMark, "-"},
    {"\uff0b", kMark, "+"},
    {"\u00d7", kMark, "*"},
    {"\u00b7", kMark, "*"},
    {"\u22c5", kMark, "*"},
    {"\u2217", kMark, "*"},
    {"\u00f7", kMark, "/"},
    {"\u2044", kMark, "/"},
    {"\u2215", kMark, "/"},
    {"\u00b1", kMark, "pm"},
    {"\u2213", kMark, "mp"},
    {"\u222a", kMark, "cup"},
    {"\u2229", kMark, "cap"},
    {"\u2216", kMark, "setminus"},
    {"\u00b0", kMark, "degree"},
    {"\u2032", kMark, "'"},
    {"\u2192", kMark, "to"},
    {"\u21d2", kMark, "to"},
    {"\u2223", kMark, "|"},
    {"\u230a", kMark, "lfloor"},
    {"\u230b", kMark, "rfloor"},
    {"\u2308", kMark, "lceil"},
    {"\u2309", kMark, "rceil"},
    {"\u27e8", kMark, "("},
    {"\u27e9", kMark, ")"},
    {"\uff08", kMark, "("},
    {"\uff09", kMark, ")"},
    {"\u2264", kRelation, "<="},
    {"\u2a7d", kRelation, "<="},
    {"\u2265", kRelation, ">="},
    {"\u2a7e", kRelation, ">="},
    {"\u2260", kRelation, "!="},
    {"\u2248", kRelation, "approx"},
    {"\u2261", kRelation, "="},
    {"\uff1d", kRelation, "="},
    {"\u2208", kRelation, "in"},
    {"\u2209", kRelation, "notin"},
    {"\u2282", kRelation, "subset"},
    {"\u2286", kRelation, "subset"},
    {"\u2283", kRelation, "superset"},
    {"\u2287", kRelation, "superset"},
    {"\u221e", kName, "infinity"},
    {"\u2205", kName, "emptyset"},
    {"\u211d", kName, "\\mathbb{R}"},
    {"\u2115", kName, "\\mathbb{N}"},
    {"\u2124", kName, "\\mathbb{Z}"},
    {"\u211a", kName, "\\mathbb{Q}"},
    {"\u2102", kName, "\\mathbb{C}"},
    {"\u03c0", kName, "pi"},
    {"\u03b1", kName, "\\alpha"},
    {"\u03b2", kName, "\\beta"},
    {"\u03b3", kName, "\\gamma"},
    {"\u03b4", kName, "\\delta"},
    {"\u03b5", kName, "\\epsilon"},
    {"\u03b8", kName, "\\theta"},
    {"\u03bb", kName, "\\lambda"},
    {"\u03bc", kName, "\\mu"},
    {"\u03c1", kName, "\\rho"},
    {"\u03c3", kName, "\\sigma"},
    {"\u03c4", kName, "\\tau"},
    {"\u03c6", kName, "\\phi"},
    {"\u03c9", kName, "\\omega"},
    {"\u0394", kName, "\\Delta"},
    {"\u03a9", kName, "\\Omega"},
    {"\u221a", kCommand, "sqrt"},
    {"\u2211", kCommand, "sum"},
    {"\u220f", kCommand, "prod"},
    {"\u222b", kCommand, "int"},
    {"\u20ac", kMark, ""},
    {"\u00a3", kMark, ""},
    {"\u00a5", kMark, ""},
    {"\u00a0", kMark, ""},
    {"\u2009", kMark, ""},
    {"\u202f", kMark, ""},
    {"\u200b", kMark, ""},
    {"\u2061", kMark, ""},
    {"\u2062", kMark, ""},
    {"\uff0c", kMark, ","},
    {"\u3001", kMark, ","},
    {"\uff1b", kMark, ";"},
    {"\uff1a", kMark, ":"},
}));

constexpr auto kTextCommands = std::to_array<std::string_view>(
    {"text",   "textbf",     "textit", "textrm", "textup", "textsf",  "textnormal",
     "emph",   "mathrm",     "mathbf", "mathit", "mathsf", "mathcal", "mathfrak",
     "mathop", "boldsymbol", "bm",     "mbox",   "hbox",   "mathbb",  "operatorname"});

bool is_delimiter(const Spelling& spelling) {
  if (spelling.kind != kMark) return false;
  for (const std::string_view mark : {"\\{", "\\}", "[", "]", "(", ")", "lvert", "rvert", "|",
                                      "lfloor", "rfloor", "lceil", "rceil"}) {
    if (spelling.to == mark) return true;
  }
  return false;
}

// Commands that are often written without a space before the letter that follows, and that begin
// no other's name but \intercal's.
bool sticks(std::string_view command) {
  for (const std::string_view known :
       {"cdot", "times", "choose", "int", "pi", "div", "mod", "bmod"}) {
    if (command == known) return true;
  }
  return false;
}

// The length of the UTF-8 character that begins with `first`; 1 for what begins none.
std::size_t character_length(char first) {
  const auto byte = static_cast<unsigned char>(first);
  return byte < 0xc0 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}

}  // namespace

const Spelling* find_command(std::string_view name) {
  if (const Spelling* command = find(kCommands, name)) return command;
  if (const Spelling* function = find(kFunctions, name)) return function;
  return find(kUpright, name);
}

const Spelling* find_command_prefix(std::string_view name) {
  constexpr std::size_t kLongest = 8;  // "llcorner"
  if (find(kGreek, name) != nullptr) return nullptr;
  for (std::size_t length = std::min(name.size() - 1, kLongest); length >= 2; --length) {
    const std::string_view prefix = name.substr(0, length);
    if (const Spelling* function = find(kFunctions, prefix)) return function;
    const Spelling* command = find(kCommands, prefix);
    const bool may_stick = command != nullptr && (is_delimiter(*command) || sticks(prefix));
    if (may_stick) return command;
    if (const Spelling* greek = find(kGreek, prefix)) return greek;
  }
  return nullptr;
}

const Spelling* find_word(std::string_view letters) {
  if (const Spelling* function = find(kFunctions, letters)) return function;
  return find(kWords, letters);
}

const Spelling* find_upright(std::string_view letters) {
  return find(kUpright, letters);
}

const Spelling* find_character(std::string_view text) {
  if (text.empty()) return nullptr;
  if (static_cast<unsigned char>(text[0]) >= 0x80) {
    return find(kCharacters, text.substr(0, character_length(text[0])));
  }
  const auto at = std::find_if(kOperators.begin(), kOperators.end(),
                               [text](const Spelling& row) { return text.starts_with(row.from); });
  return at == kOperators.end() ? nullptr : &*at;
}

bool is_text_command(std::string_view name) {
  return std::find(kTextCommands.begin(), kTextCommands.end(), name) != kTextCommands.end();
}

bool is_function_name(std::string_view name) {
  // The names that functions go by, not all of their spellings.
  for (const auto* found : {find(kFunctions, name), find(kUpright, name)}) {
    if (found != nullptr && found->to == name) return true;
  }
  return name == "conj";
}

}  // namespace zeroth::math
