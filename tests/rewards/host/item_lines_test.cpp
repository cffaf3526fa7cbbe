#include "rewards/host/item_lines.h"

#include <catch2/catch.hpp>

#include "tests/rewards/hosted.h"

namespace zeroth {
namespace {

std::string answer(const std::vector<std::string_view>& lines) {
  const HostReply reply = read_answers(lines);
  if (reply.result != RewardResult::scored)
    return std::string(result_name(reply.result)) + ": " + reply.message;
  std::string text;
  for (const RewardOutcome& outcome : reply.outcomes) text += testing::text_of(outcome) + " ";
  return text;
}

TEST_CASE("item lines: a completion is one line of JSON, whatever bytes it has", "[rewards]") {
  std::string bytes;
  for (int c = 0; c < 256; ++c) bytes += static_cast<char>(c);
  const std::string line = item_line({.completion = bytes, .reference = "\xc3\xa4\xc3"});
  CHECK(line.find('\n') == line.size() - 1);
  CHECK(line.find('\r') == std::string::npos);
  CHECK(line.find('\0') == std::string::npos);
  CHECK(line.starts_with(R"({"completion":"\u0000\u0001)"));
  CHECK(line.find("\"reference\":\"\xc3\xa4\xef\xbf\xbd\",") != std::string::npos);
  CHECK(item_line({}) ==
        R"({"completion":"","reference":"","prompt":"","columns":{},"num_tokens":0,"max_tokens":0,)"
        R"("finish_reason":"stop","completion_ids":null})"
        "\n");
}

TEST_CASE("item lines: answers are scores, null, errors, and nothing else", "[rewards]") {
  CHECK(answer({R"({"score": 1})", R"( {"score":-2.5e0, "x": {}} )", R"({"score": null})"}) ==
        "1.000000 -2.500000 not_applicable:  ");
  CHECK(answer({}) == "");
  CHECK(answer({R"({"score": 1})", R"({"error": "no"})"}) == "raised: no");
  CHECK(answer({R"({"score": 1, "error": null})"}) == "1.000000 ");
  CHECK(answer({R"({"score": true})"}) == "raised: the score true is no number");
  CHECK(answer({R"({"score": 18446744073709551615})"}) == "18446744073709551616.000000 ");
  for (const char* line : {"", "1", "[1]", "null", "{}", "{\"score\": 1", "{\"score\": 1}}",
                           "{\"scores\": 1}", "score 1", "\xff"})
    CHECK(answer({R"({"score": 1})", line}).starts_with("garbled: line 2 is no {\"score\": …}: "));
}

}  // namespace
}  // namespace zeroth
