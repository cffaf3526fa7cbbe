#include "rewards/host/host_protocol.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <limits>

#include "tests/support/mutate.h"

namespace zeroth {
namespace {

const std::int32_t kIds[] = {5, -1, 70000};

std::vector<RewardItem> two_items() {
  return {{.prompt = "1+1=",
           .completion = std::string_view("2\0!", 3),
           .reference = "2",
           .columns_json = R"({"level":3})",
           .num_tokens = 3,
           .max_tokens = 12,
           .finish_reason = FinishReason::length,
           .completion_ids = kIds},
          {.completion = ""}};
}

TEST_CASE("host protocol: a request by its bytes", "[rewards]") {
  const RewardItem item{
      .prompt = "p", .reference = "r", .num_tokens = 1, .completion_ids = {kIds, 1}};
  const std::string eight(7, '\0');
  CHECK(encode_request({&item, 1}) ==
        "\1" + eight + "\1" + eight + "p" + "\0" + eight + std::string(1, '\0') + "\1" + eight +
            "r" + std::string(8, '\0') + "\1" + eight + std::string("\5\0\0\0", 4) + "\1" + eight +
            std::string(8, '\0') + std::string(1, '\0'));
}

TEST_CASE("host protocol: a frame by its bytes, and the call it answers", "[rewards]") {
  const std::string seven(7, '\0');
  CHECK(frame(5, "ab") == "\2" + seven + "\5" + seven + "ab");
  const FrameHeader header = read_frame_header("\2" + seven + "\5" + seven, 2);
  CHECK(header.size == 2);
  CHECK(header.call == 5);
  CHECK_THROWS_AS(read_frame_header("\3" + seven + "\5" + seven, 2), ProtocolError);
  CHECK_THROWS_AS(read_frame_header("\2" + seven, 2), ProtocolError);
  CHECK_NOTHROW(check_call(header, 5));
  for (const std::uint64_t call : {0, 4, 6})
    CHECK_THROWS_AS(check_call(header, call), ProtocolError);
}

TEST_CASE("host protocol: what is written is read", "[rewards]") {
  const std::vector<RewardItem> items = two_items();
  const HostRequest request = decode_request(encode_request(items));
  REQUIRE(request.items.size() == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(request.items[i].prompt == items[i].prompt);
    CHECK(request.items[i].completion == items[i].completion);
    CHECK(request.items[i].reference == items[i].reference);
    CHECK(request.items[i].columns_json == items[i].columns_json);
    CHECK(request.items[i].num_tokens == items[i].num_tokens);
    CHECK(request.items[i].max_tokens == items[i].max_tokens);
    CHECK(request.items[i].finish_reason == items[i].finish_reason);
    CHECK(std::vector(request.items[i].completion_ids.begin(),
                      request.items[i].completion_ids.end()) ==
          std::vector(items[i].completion_ids.begin(), items[i].completion_ids.end()));
  }
  const HostReply reply =
      decode_reply(encode(HostReply{.outcomes = {{.score = 0.1},
                                                 {.score = std::nan("")},
                                                 {.result = RewardResult::not_applicable}}}),
                   3);
  CHECK(reply.outcomes[0].score == 0.1);
  CHECK(reply.outcomes[1].result == RewardResult::not_finite);
  CHECK(reply.outcomes[2].result == RewardResult::not_applicable);
  const HostReply failed =
      decode_reply(encode(HostReply{.result = RewardResult::raised, .message = "why"}), 3);
  CHECK(failed.result == RewardResult::raised);
  CHECK(failed.message == "why");
  const HostGreeting greeting = decode_greeting(
      encode(HostGreeting{.accepted = true, .name = "n", .description = "d", .needs = "c"}));
  CHECK(greeting.accepted);
  CHECK(greeting.name + greeting.description + greeting.needs == "ndc");
  const HostGreeting refusal =
      decode_greeting(encode(HostGreeting{.field = "f", .expected = "e", .actual = "a"}));
  CHECK_FALSE(refusal.accepted);
  CHECK(refusal.field + refusal.expected + refusal.actual == "fea");
  for (const bool in_sandbox : {true, false}) {
    const HostStart start =
        decode_start(encode({.in_sandbox = in_sandbox, .reason = "r", .process = 1 << 22}));
    CHECK(start.in_sandbox == in_sandbox);
    CHECK(start.reason == "r");
    CHECK(start.process == 1 << 22);
  }
}

TEST_CASE("host protocol: another number of outcomes than items, and failures of one",
          "[rewards]") {
  const auto scores = [](std::size_t count) {
    return encode(HostReply{.outcomes = std::vector<RewardOutcome>(count, {.score = 1.0})});
  };
  CHECK_NOTHROW(decode_reply(scores(2), 2));
  CHECK_THROWS_AS(decode_reply(scores(1), 2), ProtocolError);
  CHECK_THROWS_AS(decode_reply(scores(3), 2), ProtocolError);
  CHECK_THROWS_AS(decode_reply(encode(HostReply{.outcomes = {{.result = RewardResult::crash}}}), 1),
                  ProtocolError);
  CHECK_THROWS_AS(decode_reply(encode(HostReply{.result = RewardResult::not_applicable}), 0),
                  ProtocolError);
}

TEST_CASE("host protocol: damaged bytes are read or refused", "[rewards]") {
  const std::string request = encode_request(two_items());
  const std::string reply =
      encode(HostReply{.message = "m", .outcomes = {{.score = 1}, {.score = 2}}});
  const std::string greeting = encode(HostGreeting{.accepted = true, .name = "name"});
  const std::string start = encode(HostStart{.reason = "none"});
  const std::function<void(const std::string&)> readers[] = {
      [](const std::string& bytes) { decode_request(bytes); },
      [](const std::string& bytes) {
        for (const RewardOutcome& outcome : decode_reply(bytes, 2).outcomes)
          REQUIRE(std::isfinite(outcome.score) == (outcome.result == RewardResult::scored));
      },
      [](const std::string& bytes) { decode_greeting(bytes); },
      [](const std::string& bytes) { decode_start(bytes); }};
  const std::string* texts[] = {&request, &reply, &greeting, &start};
  for (std::size_t r = 0; r < std::size(texts); ++r) {
    readers[r](*texts[r]);
    for (std::size_t size = 0; size < texts[r]->size(); ++size)
      CHECK_THROWS_AS(readers[r](texts[r]->substr(0, size)), ProtocolError);
    CHECK_THROWS_AS(readers[r](*texts[r] + "x"), ProtocolError);
    int refused = 0;
    for (unsigned seed = 0; seed < 4000; ++seed) {
      try {
        readers[r](testing::mutate(*texts[r], seed));
      } catch (const ProtocolError&) {
        ++refused;
      }
    }
    CHECK(refused > 2000);
  }
}

}  // namespace
}  // namespace zeroth
