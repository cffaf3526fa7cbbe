// Bearer tokens and what each may do: a file of tokens with scopes, compared in constant time.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace zeroth {

/// Whether two secrets are equal, in a time that tells nothing about where they differ.
bool equal_secrets(std::string_view a, std::string_view b);

class BearerTokens {
 public:
  /// Nobody may do anything.
  BearerTokens() = default;

  /// Lines "scope[,scope…] token"; empty ones and what follows a '#' at the start of a line are
  /// skipped. A scope is made of a-z, 0-9, '_' and '-'; a token of at least 16 of RFC 6750's
  /// characters (letters, digits, - . _ ~ + /, then any number of =). InputError for anything else,
  /// for a token that stands twice, for a file without tokens, and for a file that others than its
  /// owner and group may read.
  static BearerTokens read(const std::filesystem::path& file);

  bool empty() const { return tokens_.empty(); }
  /// Every scope that a token of the file has.
  std::set<std::string> scopes() const;
  /// The scopes of `token`; none for one that is not known. Compares with every token, always.
  std::set<std::string> scopes_of(std::string_view token) const;
  bool allows(std::string_view token, std::string_view scope) const;

 private:
  struct Token {
    std::string digest;  // SHA-256: of equal length whatever the token
    std::set<std::string> scopes;
  };
  std::vector<Token> tokens_;
};

}  // namespace zeroth
