#include "rewards/host/host_protocol.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace zeroth {
namespace {

static_assert(std::endian::native == std::endian::little);

template <class Number>
void put(std::string& out, Number value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof value);
}

void put_text(std::string& out, std::string_view text) {
  put(out, static_cast<std::uint64_t>(text.size()));
  out += text;
}

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  std::string_view take(std::uint64_t size) {
    if (size > rest_.size())
      throw ProtocolError("expected " + std::to_string(size) + " bytes, got " +
                          std::to_string(rest_.size()));
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  template <class Number>
  Number number() {
    Number value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::string_view text() { return take(number<std::uint64_t>()); }
  std::string owned_text() { return std::string(text()); }
  /// A count of things of at least `size` bytes each: no more than the rest can hold.
  std::size_t count(std::size_t size) {
    const auto value = number<std::uint64_t>();
    if (value > rest_.size() / size)
      throw ProtocolError(std::to_string(value) + " entries in " + std::to_string(rest_.size()) +
                          " bytes");
    return value;
  }
  void end() const {
    if (!rest_.empty()) throw ProtocolError(std::to_string(rest_.size()) + " bytes too many");
  }

 private:
  std::string_view rest_;
};

RewardResult read_result(Reader& reader) {
  const auto value = reader.number<std::uint8_t>();
  if (value > static_cast<std::uint8_t>(RewardResult::garbled))
    throw ProtocolError("the result " + std::to_string(value));
  return static_cast<RewardResult>(value);
}

constexpr std::size_t kSmallestItem = 4 * 8 + 8 + 8 + 8 + 1;
constexpr std::size_t kOutcomeSize = 1 + 8;

RewardOutcome read_outcome(Reader& reader) {
  const RewardResult result = read_result(reader);
  const auto score = reader.number<double>();
  if (result == RewardResult::scored) return outcome_of_score(score);
  if (result == RewardResult::not_applicable) return {.result = result};
  throw ProtocolError("a failure of one item");
}

}  // namespace

std::string frame(std::uint64_t call, std::string_view payload) {
  std::string bytes;
  put(bytes, static_cast<std::uint64_t>(payload.size()));
  put(bytes, call);
  bytes += payload;
  return bytes;
}

FrameHeader read_frame_header(std::string_view header, std::uint64_t most) {
  Reader reader(header);
  const auto size = reader.number<std::uint64_t>();
  const auto call = reader.number<std::uint64_t>();
  reader.end();
  if (size > most)
    throw ProtocolError("a message of " + std::to_string(size) + " bytes, the most are " +
                        std::to_string(most));
  return {.size = size, .call = call};
}

void check_call(const FrameHeader& header, std::uint64_t asked) {
  if (header.call == asked) return;
  throw ProtocolError("an answer to call " + std::to_string(header.call) +
                      " of the process, where " + std::to_string(asked) + " is asked");
}

std::string encode(const HostStart& start) {
  std::string out;
  put(out, static_cast<std::uint8_t>(start.in_sandbox));
  put_text(out, start.reason);
  put(out, start.process);
  return out;
}

HostStart decode_start(std::string_view payload) {
  Reader reader(payload);
  const auto in_sandbox = reader.number<std::uint8_t>();
  if (in_sandbox > 1) throw ProtocolError("a start that begins with " + std::to_string(in_sandbox));
  HostStart start{.in_sandbox = in_sandbox == 1, .reason = reader.owned_text()};
  start.process = reader.number<std::int64_t>();
  reader.end();
  return start;
}

std::string encode(const HostGreeting& greeting) {
  std::string out;
  put(out, static_cast<std::uint8_t>(greeting.accepted));
  if (greeting.accepted) {
    for (const std::string* text : {&greeting.name, &greeting.description, &greeting.needs})
      put_text(out, *text);
  } else {
    for (const std::string* text : {&greeting.field, &greeting.expected, &greeting.actual})
      put_text(out, *text);
  }
  return out;
}

HostGreeting decode_greeting(std::string_view payload) {
  Reader reader(payload);
  const auto accepted = reader.number<std::uint8_t>();
  if (accepted > 1) throw ProtocolError("a greeting that begins with " + std::to_string(accepted));
  HostGreeting greeting{.accepted = accepted == 1};
  if (greeting.accepted) {
    for (std::string* text : {&greeting.name, &greeting.description, &greeting.needs})
      *text = reader.owned_text();
  } else {
    for (std::string* text : {&greeting.field, &greeting.expected, &greeting.actual})
      *text = reader.owned_text();
  }
  reader.end();
  return greeting;
}

std::string encode_request(std::span<const RewardItem> items) {
  std::string out;
  put(out, static_cast<std::uint64_t>(items.size()));
  for (const RewardItem& item : items) {
    for (const std::string_view text :
         {item.prompt, item.completion, item.reference, item.columns_json})
      put_text(out, text);
    put(out, static_cast<std::uint64_t>(item.completion_ids.size()));
    for (const std::int32_t token : item.completion_ids) put(out, token);
    put(out, item.num_tokens);
    put(out, item.max_tokens);
    put(out, static_cast<std::uint8_t>(item.finish_reason == FinishReason::length));
  }
  return out;
}

HostRequest decode_request(std::string payload) {
  HostRequest request{.bytes = std::move(payload), .tokens = {}, .items = {}};
  Reader reader(request.bytes);
  const std::size_t count = reader.count(kSmallestItem);
  request.tokens.reserve(count);  // the items look into it
  for (std::size_t i = 0; i < count; ++i) {
    RewardItem item;
    for (std::string_view* text :
         {&item.prompt, &item.completion, &item.reference, &item.columns_json})
      *text = reader.text();
    std::vector<std::int32_t>& tokens = request.tokens.emplace_back();
    tokens.resize(reader.count(sizeof(std::int32_t)));
    for (std::int32_t& token : tokens) token = reader.number<std::int32_t>();
    item.completion_ids = tokens;
    item.num_tokens = reader.number<std::int64_t>();
    item.max_tokens = reader.number<std::int64_t>();
    const auto finish_reason = reader.number<std::uint8_t>();
    if (finish_reason > 1)
      throw ProtocolError("the finish reason " + std::to_string(finish_reason));
    item.finish_reason = finish_reason == 1 ? FinishReason::length : FinishReason::stop;
    request.items.push_back(item);
  }
  reader.end();
  return request;
}

std::string encode(const HostReply& reply) {
  std::string out;
  put(out, static_cast<std::uint8_t>(reply.result));
  put_text(out, reply.message);
  put(out, static_cast<std::uint64_t>(reply.outcomes.size()));
  for (const RewardOutcome& outcome : reply.outcomes) {
    put(out, static_cast<std::uint8_t>(outcome.result));
    put(out, outcome.score);
  }
  return out;
}

HostReply decode_reply(std::string_view payload, std::size_t num_items) {
  Reader reader(payload);
  HostReply reply{.result = read_result(reader), .message = reader.owned_text()};
  const std::size_t count = reader.count(kOutcomeSize);
  for (std::size_t i = 0; i < count; ++i) reply.outcomes.push_back(read_outcome(reader));
  reader.end();
  const std::size_t expected = reply.result == RewardResult::scored ? num_items : 0;
  if (reply.result == RewardResult::not_applicable || count != expected)
    throw ProtocolError(std::to_string(count) + " outcomes for " + std::to_string(num_items) +
                        " items");
  return reply;
}

}  // namespace zeroth
