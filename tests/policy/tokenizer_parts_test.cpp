// The parts of tokenizer.json one by one, by hand; what they give is what `tokenizers` 0.23.3
// gives.

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <set>

#include "policy/text_stream.h"
#include "policy/tokenizer.h"
#include "policy/tokenizer/unicode.h"
#include "system/error.h"
#include "tests/support/mutate.h"

namespace zeroth {
namespace {

using Ids = std::vector<std::int32_t>;
using Texts = std::vector<std::string>;

/// A token of each printable ASCII character and of ▁, é, ß, 日 and the line feed (ids 0 to 99),
/// then `more`; around them the parts.
struct File {
  std::string normalizer = "null", pre_tokenizer = "null", post_processor = "null",
              decoder = R"({"type": "Fuse"})", added = "[]", options = "", merges = "[]";
  Texts more = {};  // tokens

  std::string text() const {
    boost::json::object vocab;
    for (char c = ' '; c <= '~'; ++c) vocab[std::string(1, c)] = vocab.size();
    for (const char* c : {"▁", "é", "ß", "日", "\n"}) vocab[c] = vocab.size();
    for (const std::string& token : more) vocab[token] = vocab.size();
    return R"({"normalizer": )" + normalizer + R"(, "pre_tokenizer": )" + pre_tokenizer +
           R"(, "post_processor": )" + post_processor + R"(, "decoder": )" + decoder +
           R"(, "added_tokens": )" + added + R"(, "model": {"type": "BPE", )" + options +
           R"("vocab": )" + boost::json::serialize(vocab) + R"(, "merges": )" + merges + "}}";
  }
  Tokenizer make() const { return Tokenizer::parse(text(), "", "tokenizer.json"); }
  std::string error() const {
    try {
      make();
    } catch (const InputError& error) {
      return error.parts().field;
    }
    return "(no error)";
  }
};

Texts tokens_of(const Tokenizer& tokenizer, const std::string& text, bool special = false) {
  Texts texts;
  for (const std::int32_t id : tokenizer.encode(text, special)) {
    texts.push_back(tokenizer.spelling(id));
  }
  return texts;
}

/// The pieces that `pre_tokenizer` makes of `text`: with ignore_merges a piece that is a token
/// comes whole, and all substrings of `text` are tokens.
Texts pieces(const std::string& pre_tokenizer, const std::string& text,
             const std::string& normalizer = "null", Texts more = {}) {
  File file{.normalizer = normalizer, .pre_tokenizer = pre_tokenizer};
  file.options = R"("ignore_merges": true, )";
  std::set<std::string> known;
  more.push_back(text);
  for (const std::string& source : more) {
    for (std::size_t begin = 0; begin < source.size();) {
      std::size_t end = begin + code_point_at(source, begin).size;
      const std::size_t next = end;
      while (end < source.size()) {
        end += code_point_at(source, end).size;
        known.insert(source.substr(begin, end - begin));
      }
      begin = next;
    }
  }
  file.more.assign(known.begin(), known.end());
  return tokens_of(file.make(), text);
}

std::string split(const std::string& regex, const std::string& behavior, bool invert = false) {
  return boost::json::serialize(boost::json::object{{"type", "Split"},
                                                    {"pattern", {{"Regex", regex}}},
                                                    {"behavior", behavior},
                                                    {"invert", invert}});
}

TEST_CASE("tokenizer parts: every behavior of Split", "[policy]") {
  const std::string text = "the-final--countdown";
  CHECK(pieces(split("-", "Removed"), text) == Texts{"the", "final", "countdown"});
  CHECK(pieces(split("-", "Isolated"), text) == Texts{"the", "-", "final", "-", "-", "countdown"});
  CHECK(pieces(split("-", "MergedWithPrevious"), text) ==
        Texts{"the-", "final-", "-", "countdown"});
  CHECK(pieces(split("-", "MergedWithNext"), text) == Texts{"the", "-final", "-", "-countdown"});
  CHECK(pieces(split("-", "Contiguous"), text) == Texts{"the", "-", "final", "--", "countdown"});
  CHECK(pieces(split("[a-z]+", "Removed", true), text) == Texts{"the", "final", "countdown"});
  CHECK(pieces(split("x*", "Isolated"), "axxb") == Texts{"a", "xx", "b"});
}

TEST_CASE("tokenizer parts: pre-tokenizers that cut at kinds of characters", "[policy]") {
  CHECK(pieces(R"({"type": "Digits", "individual_digits": false})", "ab12c3") ==
        Texts{"ab", "12", "c", "3"});
  CHECK(pieces(R"({"type": "Digits", "individual_digits": true})", "ab12") ==
        Texts{"ab", "1", "2"});
  CHECK(pieces(R"({"type": "Punctuation", "behavior": "Isolated"})", "a!?b") ==
        Texts{"a", "!", "?", "b"});
  CHECK(pieces(R"({"type": "Whitespace"})", "Hey, man!  x") == Texts{"Hey", ",", "man", "!", "x"});
  CHECK(pieces(R"({"type": "WhitespaceSplit"})", "Hey, man!") == Texts{"Hey,", "man!"});
  CHECK(pieces(R"({"type": "CharDelimiterSplit", "delimiter": "x"})", "axbxxc") ==
        Texts{"a", "b", "c"});
}

TEST_CASE("tokenizer parts: Metaspace prepends always, first or never", "[policy]") {
  const auto metaspace = [](const std::string& scheme) {
    return R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": ")" + scheme +
           R"(", "split": true})";
  };
  CHECK(pieces(metaspace("always"), "a b", "null", {"▁a▁b"}) == Texts{"▁a", "▁b"});
  CHECK(pieces(metaspace("never"), "a b", "null", {"▁a▁b"}) == Texts{"a", "▁b"});
  File file{.pre_tokenizer = metaspace("first"),
            .added = R"([{"id": 100, "content": "<s>", "special": true}])"};
  CHECK(tokens_of(file.make(), "a<s>b") == Texts{"▁", "a", "<s>", "b"});
  file.pre_tokenizer = metaspace("always");
  CHECK(tokens_of(file.make(), "a<s>b") == Texts{"▁", "a", "<s>", "▁", "b"});
  file.pre_tokenizer = R"({"type": "Metaspace", "replacement": "▁", "add_prefix_space": false,
                           "prepend_scheme": "always"})";
  CHECK(file.error() == "pre_tokenizer.prepend_scheme");
}

TEST_CASE("tokenizer parts: normalizers, before anything is cut", "[policy]") {
  const auto normalized = [](const std::string& normalizer, const std::string& text) {
    File file{.normalizer = normalizer};
    file.options = R"("unk_token": "?", )";
    std::string out;
    for (const std::string& token : tokens_of(file.make(), text)) out += token;
    return out;
  };
  CHECK(normalized(R"({"type": "NFC"})", "e\u0301") == "é");
  CHECK(normalized("null", "e\u0301") == "e?");
  CHECK(normalized(R"({"type": "Lowercase"})", "AbC") == "abc");
  CHECK(normalized(R"({"type": "NFKC"})", "\uFF21") == "A");
  CHECK(normalized(R"({"type": "Strip", "strip_left": true, "strip_right": false})", "  a ") ==
        "a ");
  CHECK(normalized(R"({"type": "Sequence", "normalizers": [
      {"type": "Prepend", "prepend": "▁"},
      {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]})",
                   "a b") == "▁a▁b");
  CHECK(normalized(R"({"type": "Replace", "pattern": {"Regex": "a+"}, "content": "x"})", "aab") ==
        "xb");
  CHECK(normalized(R"({"type": "Sequence", "normalizers": []})", "a") == "a");
}

TEST_CASE("tokenizer parts: added tokens take space, stand alone, or are normalized", "[policy]") {
  const auto with = [](const std::string& flags) {
    return File{.added = R"([{"id": 100, "content": "tok", "special": false, )" + flags + "}]"}
        .make();
  };
  CHECK(tokens_of(with(R"("normalized": false)"), "a tok b") == Texts{"a", " ", "tok", " ", "b"});
  CHECK(tokens_of(with(R"("lstrip": true, "normalized": false)"), "a  tok b") ==
        Texts{"a", "tok", " ", "b"});
  CHECK(tokens_of(with(R"("rstrip": true, "normalized": false)"), "a tok  b") ==
        Texts{"a", " ", "tok", "b"});
  const Tokenizer single = with(R"("single_word": true, "normalized": false)");
  CHECK(tokens_of(single, "tok!") == Texts{"tok", "!"});
  CHECK(tokens_of(single, "toks") == Texts{"t", "o", "k", "s"});
  CHECK(tokens_of(single, "étok") == Texts{"é", "t", "o", "k"});
  File lower{.normalizer = R"({"type": "Lowercase"})",
             .added = R"([{"id": 100, "content": "TOK", "special": false, "normalized": true}])"};
  CHECK(tokens_of(lower.make(), "aToK") == Texts{"a", "TOK"});
  CHECK(lower.make().decode(Ids{100}, false) == "tok");  // as it is looked for
  const Tokenizer space = File{.added = R"([{"id": 0, "content": " ", "special": false,
                                             "normalized": false, "lstrip": true, "rstrip": true}])"}
                              .make();
  CHECK(tokens_of(space, "a  b") == Texts{"a", " ", "b"});
}

TEST_CASE("tokenizer parts: unknown characters, byte fallback and their order", "[policy]") {
  File file;
  file.more = {"<unk>"};
  file.options = R"("unk_token": "<unk>", "fuse_unk": false, )";
  CHECK(tokens_of(file.make(), "a★☆b") == Texts{"a", "<unk>", "<unk>", "b"});
  file.options = R"("unk_token": "<unk>", "fuse_unk": true, )";
  CHECK(tokens_of(file.make(), "a★☆b") == Texts{"a", "<unk>", "b"});
  file.options = R"("byte_fallback": true, "unk_token": "<unk>", )";
  file.more = {"<unk>", "<0xC3>", "<0xA5>"};
  CHECK(tokens_of(file.make(), "xåy") == Texts{"x", "<0xC3>", "<0xA5>", "y"});
  CHECK(tokens_of(file.make(), "x★åy") == Texts{"x", "<0xC3>", "<0xA5>", "<unk>", "y"});
  file.options = "";
  CHECK_THROWS_WITH(file.make().encode("ab★"), Catch::Contains("byte 2") && Catch::Contains("★"));
}

TEST_CASE("tokenizer parts: prefixes and suffixes of words", "[policy]") {
  File file{.merges = R"([["h", "##u"], ["hu", "##g"]])",
            .more = {"##u", "##g", "hu", "hug", "h</w>", "g</w>"}};
  file.options = R"("continuing_subword_prefix": "##", )";
  CHECK(tokens_of(file.make(), "hug") == Texts{"hug"});
  file.options = R"("end_of_word_suffix": "</w>", )";
  file.merges = "[]";
  CHECK(tokens_of(file.make(), "hh") == Texts{"h", "h</w>"});
}

TEST_CASE("tokenizer parts: templates add tokens where they are asked for", "[policy]") {
  File file{.post_processor = R"({"type": "Sequence", "processors": [
      {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false},
      {"type": "TemplateProcessing",
       "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                  {"SpecialToken": {"id": "</s>", "type_id": 0}}],
       "pair": [], "special_tokens": {
         "<s>": {"id": "<s>", "ids": [100], "tokens": ["<s>"]},
         "</s>": {"id": "</s>", "ids": [101], "tokens": ["</s>"]}}}]})",
            .more = {"<s>", "</s>"}};
  const Tokenizer tokenizer = file.make();
  CHECK(tokens_of(tokenizer, "a", true) == Texts{"<s>", "a", "</s>"});
  CHECK(tokens_of(tokenizer, "a") == Texts{"a"});
  CHECK(tokens_of(tokenizer, "", true) == Texts{"<s>", "</s>"});
  file.post_processor =
      R"({"type": "RobertaProcessing", "sep": ["</s>", 101], "cls": ["<s>", 100]})";
  CHECK(tokens_of(file.make(), "a", true) == Texts{"<s>", "a", "</s>"});
  file.post_processor =
      R"({"type": "RobertaProcessing", "sep": ["</s>", 102], "cls": ["<s>", 100]})";
  CHECK(file.error() == "post_processor.sep[1]");
}

const std::string kLlamaDecoder = R"({"type": "Sequence", "decoders": [
    {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
    {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]})";

TEST_CASE("tokenizer parts: decoders, at once and token by token", "[policy]") {
  const auto decoded = [](const std::string& decoder, const Texts& tokens) {
    File file{.decoder = decoder};
    for (const std::string& token : tokens) {
      if (token.size() > 1 && token != "▁" && token != "é") file.more.push_back(token);
    }
    std::sort(file.more.begin(), file.more.end());
    file.more.erase(std::unique(file.more.begin(), file.more.end()), file.more.end());
    const Tokenizer tokenizer = file.make();
    Ids ids;
    TextStream stream(tokenizer, false);
    std::string streamed;
    for (const std::string& token : tokens) {
      ids.push_back(tokenizer.token_id(token).value());
      streamed += stream.push(std::span(ids).last(1));
    }
    streamed += stream.finish();
    const std::string whole = tokenizer.decode(ids, false);
    CHECK(streamed == whole);
    return whole;
  };
  CHECK(decoded(kLlamaDecoder, {"▁Hey", "▁", "<0xC3>", "<0xA9>", "x"}) == "Hey éx");
  CHECK(decoded(kLlamaDecoder, {"<0xC3>", "<0xC3>", "<0xA9>", "x"}) == "\uFFFD\uFFFD\uFFFDx");
  CHECK(decoded(kLlamaDecoder, {"a", "<0xE6>", "<0x97>"}) == "a\uFFFD\uFFFD");
  CHECK(decoded(kLlamaDecoder, {}) == "");
  CHECK(decoded(R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"})",
                {"▁a▁", "▁b"}) == "a b");
  CHECK(decoded(R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never"})",
                {"▁a", "▁b"}) == " a b");
  CHECK(decoded(R"({"type": "Strip", "content": "H", "start": 1, "stop": 0})", {"Hey", "HH"}) ==
        "eyH");
  CHECK(decoded(R"({"type": "Strip", "content": "y", "start": 0, "stop": 2})", {"Hey", "yyyy"}) ==
        "Heyy");
  CHECK(decoded("null", {"a", "b"}) == "a b");
  CHECK(decoded(R"({"type": "ByteLevel"})", {"Ġa", "é"}) == " a\uFFFD");
}

TEST_CASE("tokenizer parts: a piece before ByteLevel is spelled out where more parts follow",
          "[policy]") {
  const auto with = [](const std::string& parts) {
    File file{.pre_tokenizer = R"({"type": "Sequence", "pretokenizers": [)" + parts + "]}"};
    file.more = {"Ġ"};
    return file.make();
  };
  const std::string bytes =
      R"({"type": "ByteLevel", "add_prefix_space": true, "use_regex": false})";
  CHECK(tokens_of(with(bytes), "a b") == Texts{"Ġ", "a", "Ġ", "b"});
  CHECK(tokens_of(with(bytes + "," + split("Ġ", "Removed")), "a b") == Texts{"a", "b"});
}

TEST_CASE("tokenizer parts: expressions that differ between the two engines", "[policy]") {
  CHECK(pieces(split(R"(\s+$)", "Isolated"), "a  \n  b  ") == Texts{"a", "  ", "\n  b", "  "});
  CHECK(pieces(split(R"(a(?i)b|c)", "Isolated"), "acABaB") == Texts{"ac", "AB", "aB"});
  CHECK(pieces(split(R"(\h+)", "Isolated"), "12afz") == Texts{"12af", "z"});
  CHECK(pieces(split(R"([a[bc]]+)", "Isolated"), "xabcx") == Texts{"x", "abc", "x"});
  CHECK(pieces(split(R"([\p{L}&&[^b]]+)", "Isolated"), "acbd") == Texts{"ac", "b", "d"});
  CHECK(pieces(split(R"(a{2}+)", "Isolated"), "aaaaa") == Texts{"aaaa", "a"});
  CHECK(pieces(split(R"(a{,2})", "Isolated"), "aaaaa") == Texts{"aa", "aa", "a"});
  CHECK(pieces(split(R"(x{)", "Isolated"), "ax{b") == Texts{"a", "x{", "b"});
  CHECK(pieces(split(R"(a**)", "Isolated"), "baab") == Texts{"b", "aa", "b"});
  CHECK(pieces(split(R"((?m:a.b))", "Isolated"), "xa\nb") == Texts{"x", "a\nb"});
  CHECK(pieces(split(R"(a.b)", "Isolated"), "xa\nb") == Texts{"xa\nb"});
  CHECK(pieces(split(R"((?<w>a)++b|(?>c)(?#no)d)", "Isolated"), "aabcd") == Texts{"aab", "cd"});
  CHECK(pieces(split(R"(\bab\b)", "Isolated"), "ab abc") == Texts{"ab", " abc"});
  CHECK(pieces(split(R"((?<=a|bc)d)", "Isolated"), "adbcd") == Texts{"a", "d", "bc", "d"});
}

TEST_CASE("tokenizer parts: expressions without a counterpart are refused", "[policy]") {
  for (const std::string regex :
       {R"((a)\1)",    R"(\k<n>)",          R"(\Ga)",        R"(\X)",      R"(\pL)",
        R"(\p{Foo})",  R"(\p{Script=Han})", R"((?x: a ))",   R"((?i:ss))", R"((?i:fi))",
        R"((?i:é))",   R"((?i:\p{L}))",     R"((?s:a))",     R"(a{2}?)",   R"(a{3,1})",
        R"(a{99999})", R"([]a])",           R"([a)",         R"((a)",      R"(a))",
        R"(*a)",       R"([b-a])",          R"([a-\d])",     R"([\w-a])",  R"([[:alpha:]])",
        R"([[:digit)", R"(\xE9)",           R"(\x{110000})", R"(\Qa\E)",   R"((?=a)*)",
        R"((?<=a+)b)", R"((?~a))",          R"(\)"}) {
    INFO(regex);
    CHECK(File{.pre_tokenizer = split(regex, "Isolated")}.error() == "pre_tokenizer.pattern.Regex");
  }
  CHECK(File{.pre_tokenizer = split("a", "Sideways")}.error() == "pre_tokenizer.behavior");
  CHECK(File{.pre_tokenizer = split(std::string(5000, '('), "Isolated")}.error() ==
        "pre_tokenizer.pattern.Regex");
}

TEST_CASE("tokenizer parts: an expression that backtracks without end is an error", "[policy]") {
  const Tokenizer tokenizer =
      File{.pre_tokenizer = split("(?:a+)+b|(?:a|aa)+c", "Isolated")}.make();
  CHECK_THROWS_WITH(tokenizer.encode(std::string(60, 'a') + "d"),
                    Catch::Contains("text to encode: byte 0") && Catch::Contains("(?:a+)+b"));
  CHECK(tokenizer.encode("aab").size() == 3);
}

TEST_CASE("tokenizer parts: text that is not UTF-8 is refused where characters are read",
          "[policy]") {
  CHECK_THROWS_WITH(File{}.make().encode("ab\xFF"),
                    Catch::Contains("byte 2") && Catch::Contains("UTF-8"));
}

TEST_CASE("tokenizer parts: damaged files of all parts load or are an InputError", "[policy]") {
  File file{.normalizer = R"({"type": "Sequence", "normalizers": [{"type": "NFC"},
              {"type": "Replace", "pattern": {"Regex": "a+"}, "content": "x"}]})",
            .pre_tokenizer =
                R"({"type": "Sequence", "pretokenizers": [)" +
                split(R"([^\r\n\p{L}\p{N}]?\p{L}+|(?i:'s|'t)|\s+(?!\S)|[a-z&&[^b]]{1,3}+)",
                      "MergedWithNext") +
                R"(, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first"}]})",
            .decoder = kLlamaDecoder,
            .added = R"([{"id": 100, "content": "<s>", "special": true, "lstrip": true}])",
            .merges = R"([["a", "b"]])"};
  file.more = {"<s>", "ab", "<unk>"};
  file.options = R"("unk_token": "<unk>", "byte_fallback": true, )";
  const std::string text = file.text();
  int num_parsed = 0;
  for (unsigned seed = 0; seed < 3000; ++seed) {
    try {
      const Tokenizer tokenizer = Tokenizer::parse(testing::mutate(text, seed), "", "t");
      ++num_parsed;
      tokenizer.decode(tokenizer.encode("it's <s> ab\n\n 12 é★", true), true);
    } catch (const InputError&) {
    }
  }
  CHECK(num_parsed > 20);
  CHECK(num_parsed < 3000);
}

}  // namespace
}  // namespace zeroth
