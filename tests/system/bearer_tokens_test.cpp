#include "system/bearer_tokens.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "system/error.h"
#include "system/file.h"
#include "tests/support/temporary_directory.h"

namespace zeroth {
namespace {

class TokenFile {
 public:
  explicit TokenFile(const std::string& text, mode_t mode = 0600) {
    write_file_atomically(path(), text);
    ::chmod(path().c_str(), mode);
  }
  std::filesystem::path path() const { return directory_ / "tokens"; }

 private:
  testing::TemporaryDirectory directory_;
};

BearerTokens read(const std::string& text) {
  return BearerTokens::read(TokenFile(text).path());
}

TEST_CASE("bearer tokens: a token has the scopes of its line and no others", "[http]") {
  const BearerTokens tokens = read(
      "# who may do what\n\n"
      "generate,metrics  0123456789abcdef\r\n"
      "  publish\tZYXWVUTSRQPONMLK-._~+/==\n");
  CHECK(tokens.allows("0123456789abcdef", "generate"));
  CHECK(tokens.allows("0123456789abcdef", "metrics"));
  CHECK_FALSE(tokens.allows("0123456789abcdef", "publish"));
  CHECK(tokens.allows("ZYXWVUTSRQPONMLK-._~+/==", "publish"));
  CHECK_FALSE(tokens.allows("0123456789abcdeF", "generate"));
  CHECK_FALSE(tokens.allows("0123456789abcde", "generate"));
  CHECK_FALSE(tokens.allows("", "generate"));
  CHECK_FALSE(tokens.allows("0123456789abcdef", ""));
  CHECK(tokens.scopes() == std::set<std::string>{"generate", "metrics", "publish"});
}

TEST_CASE("bearer tokens: none at all allow nothing", "[http]") {
  CHECK(BearerTokens().empty());
  CHECK_FALSE(BearerTokens().allows("0123456789abcdef", "generate"));
}

TEST_CASE("bearer tokens: a wrong line is named and not repeated", "[http]") {
  const std::string secret = "0123456789abcdef";
  for (const std::string& line :
       {std::string("generate tooshort"), secret, "generate " + secret + " more",
        "Generate " + secret, "generate,,metrics " + secret, "generate " + secret + "\"",
        std::string("generate ================")}) {
    INFO(line);
    CHECK_THROWS_AS(read("# first\n" + line + "\n"), InputError);
    CHECK_THROWS_WITH(read("# first\n" + line + "\n"),
                      Catch::Contains("tokens:2") && !Catch::Contains("0123456789abcdef"));
  }
  CHECK_THROWS_WITH(read("a " + secret + "\nb " + secret), Catch::Contains("tokens:2"));
  CHECK_THROWS_AS(read(""), InputError);
  CHECK_THROWS_AS(read("# nobody\n"), InputError);
}

TEST_CASE("bearer tokens: a file that everybody may read is refused", "[http]") {
  const std::string text = "generate 0123456789abcdef\n";
  CHECK_NOTHROW(BearerTokens::read(TokenFile(text, 0640).path()));
  CHECK_THROWS_WITH(BearerTokens::read(TokenFile(text, 0644).path()),
                    Catch::Contains("permissions"));
  CHECK_THROWS_WITH(BearerTokens::read("/no/such/file"), Catch::Contains("No such file"));
}

TEST_CASE("equal secrets: equal, different, and of different lengths", "[http]") {
  CHECK(equal_secrets("", ""));
  CHECK(equal_secrets("secret", "secret"));
  CHECK_FALSE(equal_secrets("secret", "secreT"));
  CHECK_FALSE(equal_secrets("secret", std::string_view("secret\0", 7)));
  CHECK_FALSE(equal_secrets("secret", "secre"));
}

}  // namespace
}  // namespace zeroth
