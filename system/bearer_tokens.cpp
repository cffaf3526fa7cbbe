#include "system/bearer_tokens.h"

#include <openssl/crypto.h>
#include <sys/stat.h>

#include <algorithm>

#include "system/error.h"
#include "system/file.h"

namespace zeroth {
namespace {

constexpr std::size_t kMinTokenSize = 16;
constexpr std::string_view kSmallLetters = "abcdefghijklmnopqrstuvwxyz";
constexpr std::string_view kDigits = "0123456789";

bool equal_digests(const std::string& a, const std::string& b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

bool is_scope(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return kSmallLetters.find(c) != std::string_view::npos ||
           kDigits.find(c) != std::string_view::npos || c == '_' || c == '-';
  });
}

bool is_token(std::string_view text) {
  const std::size_t end = text.find_last_not_of('=') + 1;  // 0 when there is nothing else
  return text.size() >= kMinTokenSize && end > 0 &&
         std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(end), [](char c) {
           const char small = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
           return kSmallLetters.find(small) != std::string_view::npos ||
                  kDigits.find(c) != std::string_view::npos ||
                  std::string_view("-._~+/").find(c) != std::string_view::npos;
         });
}

void check_permissions(const std::filesystem::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) return;  // reading it says why
  if ((status.st_mode & S_IROTH) == 0) return;
  throw InputError({.source = file.string(),
                    .field = "permissions",
                    .expected = "a file that only its owner and group may read (chmod o-rwx)",
                    .actual = "one that everybody may read"});
}

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> words;
  for (std::size_t begin = 0;;) {
    const std::size_t end = text.find_first_of(separators, begin);
    words.push_back(text.substr(begin, end - begin));
    if (end == std::string_view::npos) return words;
    begin = end + 1;
  }
}

}  // namespace

bool equal_secrets(std::string_view a, std::string_view b) {
  return equal_digests(sha256(a), sha256(b));
}

BearerTokens BearerTokens::read(const std::filesystem::path& file) {
  check_permissions(file);
  const std::string text = read_file(file);
  BearerTokens tokens;
  int number = 0;
  for (std::string_view line : split(text, "\n")) {
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    // What the line holds is a secret, so that no error repeats it.
    const auto fail = [&](const std::string& expected, const std::string& actual) {
      throw InputError({.source = file.string() + ":" + std::to_string(number),
                        .field = "",
                        .expected = expected,
                        .actual = actual});
    };
    std::vector<std::string_view> words = split(line, " \t");
    std::erase(words, std::string_view());
    if (words.empty() || words.front().starts_with('#')) continue;
    if (words.size() != 2) {
      fail("scopes, a space and a token", std::to_string(words.size()) + " words");
    }
    Token token{.digest = sha256(words[1]), .scopes = {}};
    for (const std::string_view scope : split(words[0], ",")) {
      if (!is_scope(scope)) fail("scopes of a-z, 0-9, _ and -, with commas between", "others");
      token.scopes.emplace(scope);
    }
    if (!is_token(words[1])) {
      fail("a token of at least " + std::to_string(kMinTokenSize) +
               " letters, digits and - . _ ~ + / =",
           "one of " + std::to_string(words[1].size()) + " characters");
    }
    if (!tokens.scopes_of(words[1]).empty()) fail("a token that stands once", "it again");
    tokens.tokens_.push_back(std::move(token));
  }
  if (tokens.empty()) {
    throw InputError({.source = file.string(),
                      .field = "",
                      .expected = "at least one line \"scope[,scope] token\"",
                      .actual = "none"});
  }
  return tokens;
}

std::set<std::string> BearerTokens::scopes() const {
  std::set<std::string> all;
  for (const Token& token : tokens_) all.insert(token.scopes.begin(), token.scopes.end());
  return all;
}

std::set<std::string> BearerTokens::scopes_of(std::string_view token) const {
  const std::string digest = sha256(token);
  std::set<std::string> found;
  for (const Token& known : tokens_) {
    if (equal_digests(digest, known.digest)) found = known.scopes;
  }
  return found;
}

bool BearerTokens::allows(std::string_view token, std::string_view scope) const {
  return scopes_of(token).contains(std::string(scope));
}

}  // namespace zeroth
