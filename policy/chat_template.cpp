#include "policy/chat_template.h"

#include <signal.h>

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <cstring>
#include <utility>

#include "policy/chat/template_host.h"
#include "system/ascii.h"
#include "system/bytes.h"
#include "system/child_process.h"
#include "system/json.h"
#include "system/sandbox_keeper.h"

namespace zeroth {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::seconds;

constexpr auto kStartTime = seconds(60);     // a first import may compile libraries
constexpr auto kRenderTime = seconds(30);    // the limit is on the processor's; this is for a stop
constexpr auto kEndTime = seconds(5);        // from the end of the channel to that of the process
constexpr std::size_t kMostRequests = 64;    // of one batch
constexpr std::size_t kMostBytes = 4 << 20;  // likewise, beyond its first request
constexpr std::uint64_t kMostReply = (16 << 20) + (64 << 10);

// What an interpreter may need to find its packages, and nothing that could be a secret.
constexpr const char* kEnvironment[] = {
    "PATH", "HOME", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "PYENV_ROOT", "PYENV_VERSION"};

std::vector<std::string> environment() {
  std::vector<std::string> list = {"LC_ALL=C.UTF-8", "PYTHONHASHSEED=0",
                                   "PYTHONDONTWRITEBYTECODE=1"};
  for (std::string& variable : environment_of(kEnvironment)) list.push_back(std::move(variable));
  return list;
}

std::string frame(std::string_view payload) {
  std::string bytes;
  append_bytes(bytes, static_cast<std::uint64_t>(payload.size()));
  return bytes.append(payload);
}

std::vector<std::string> command(const ChatTemplateHost& host) {
  std::vector<std::string> list = {host.program, "template-host"};
  for (const std::string& part : template_host_arguments(host.sandbox, host.python))
    list.push_back(part);
  return list;
}

std::string setup_of(const ChatTemplates& templates, const std::string& date) {
  boost::json::object texts, tokens;
  for (const auto& [name, text] : templates.named) texts[name] = text.text;
  for (const auto& [name, token] : templates.special_tokens) tokens[name] = token;
  return write_json(boost::json::object{
      {"templates", std::move(texts)}, {"variables", std::move(tokens)}, {"date", date}});
}

// Where in the template: "chat_template.jinja:3".
std::string place_of(const ChatTemplates& templates, const std::string& name, std::int64_t line) {
  const auto found = templates.named.find(name);
  std::string place = "chat_template";  // that the request brought
  if (found != templates.named.end()) {
    const ChatTemplates::Text& text = found->second;
    place = text.source + (text.field.empty() ? "" : ": " + text.field);
  }
  return line > 0 ? place + ":" + std::to_string(line) : place;
}

}  // namespace

void check_chat_date(const std::string& date, const std::string& key) {
  constexpr std::string_view kForm = "0000-00-00T00:00:00";
  const bool has_form = (date.size() == 10 || date.size() == kForm.size()) &&
                        std::equal(date.begin(), date.end(), kForm.begin(), [](char c, char form) {
                          return form == '0' ? is_digit(c) : c == form;
                        });
  if (has_form) return;
  throw InputError({.source = "",
                    .field = key,
                    .expected = "a date such as 2026-01-02 or 2026-01-02T15:04:05",
                    .actual = date});
}

class ChatTemplate::Child {
 public:
  /// SandboxError where the sandbox's level is not reached.
  explicit Child(const ChatTemplateHost& host)
      : process_(command(host), {.channel = ChildProcess::Channel::apart,
                                 .environment = environment(),
                                 .name = "the process of a chat template",
                                 .on_wait = host.check_stop}) {
    const std::string reason = receive(Clock::now() + kStartTime);
    if (!reason.empty()) throw SandboxError(reason);
  }

  std::string receive(ChildProcess::Deadline deadline) {
    const std::string bytes = process_.receive(sizeof(std::uint64_t), deadline);
    std::uint64_t size = 0;
    std::memcpy(&size, bytes.data(), sizeof size);
    if (size > kMostReply)
      throw ChildError(ChildError::Kind::ended, "a reply of " + std::to_string(size) + " bytes");
    return process_.receive(size, deadline);
  }

  void send(const std::string& bytes) { process_.send(bytes, Clock::now() + kRenderTime); }

  // What the end of the process says of the rendering that it came with.
  InputError::Parts end(const ChildError& error) {
    InputError::Parts parts{.source = "",
                            .field = "",
                            .expected = "a rendering within 2 s of a processor's time",
                            .actual = "none"};
    if (error.kind() == ChildError::Kind::deadline) return parts;
    const auto status = process_.wait(Clock::now() + kEndTime);
    if (status && status->signal == SIGPROF) return parts;
    if (status && status->signal == 0 && status->code == kTooMuchExit)
      return {.source = "",
              .field = "",
              .expected = "at most " + std::to_string(kTemplateMemory) + " bytes of memory",
              .actual = "more"};
    parts.expected = "a template that renders this conversation";
    parts.actual = status ? "an interpreter that was " + status->text() : error.what();
    return parts;
  }

 private:
  ChildProcess process_;
};

ChatTemplate::ChatTemplate(ChatTemplates templates, ChatTemplateHost host)
    : templates_(std::move(templates)), host_(std::move(host)) {
  start();
}

ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;

// At the highest level that this machine has.
void ChatTemplate::start() {
  const auto refuse = [&](std::string expected, std::string actual) {
    throw InputError({.source = templates_.source,
                      .field = "chat_template",
                      .expected = std::move(expected),
                      .actual = std::move(actual)});
  };
  for (;;) {
    try {
      auto child = std::make_unique<Child>(host_);
      const JsonReader greeting =
          JsonReader::parse(child->receive(Clock::now() + kStartTime), "template-host");
      if (greeting.has("expected"))
        refuse(greeting.get_string("expected"), greeting.get_string("actual"));
      child->send(frame(setup_of(templates_, host_.date)));
      child_ = std::move(child);
      ++num_starts_;
      return;
    } catch (const SandboxError& error) {
      if (host_.sandbox <= Isolation::limits) throw;
      host_.sandbox = static_cast<Isolation>(static_cast<int>(host_.sandbox) - 1);
    } catch (const ChildError& error) {
      refuse("a Python 3 interpreter that starts", host_.python + ": " + error.what());
    }
  }
}

ChatRendering ChatTemplate::read_reply(const std::string& reply, const std::string& source) const {
  if (reply.starts_with('T')) return {.text = reply.substr(1)};
  const JsonReader why = JsonReader::parse(std::string_view(reply).substr(1), "template-host");
  InputError::Parts parts{.source = source,
                          .field = why.get_string("field"),
                          .expected = why.get_string("expected"),
                          .actual = why.get_string("actual")};
  if (why.has("template"))
    parts.field = place_of(templates_, why.get_string("template"), why.get_int64("line"));
  return {.error = std::move(parts)};
}

// Renders as many of the first requests as a batch takes, or up to one that ends the interpreter.
std::size_t ChatTemplate::render_batch(std::span<const ChatRequest> requests,
                                       std::vector<ChatRendering>& renderings) {
  if (child_ == nullptr) start();
  std::string frames;
  std::size_t count = 0;
  for (; count < std::min(requests.size(), kMostRequests); ++count) {
    if (count > 0 && frames.size() + requests[count].json.size() > kMostBytes) break;
    frames += frame(requests[count].json);
  }
  std::string bytes;
  append_bytes(bytes, static_cast<std::uint64_t>(count));
  std::size_t done = 0;
  try {
    child_->send(bytes + frames);
    for (; done < count; ++done)
      renderings.push_back(
          read_reply(child_->receive(Clock::now() + kRenderTime), requests[done].source));
  } catch (const ChildError& error) {
    InputError::Parts parts = child_->end(error);
    parts.source = requests[done++].source;
    parts.field = templates_.source;
    renderings.push_back({.error = std::move(parts)});
    child_.reset();
  } catch (...) {  // asked to stop: what the process says now would be late
    child_.reset();
    throw;
  }
  return done;
}

std::vector<ChatRendering> ChatTemplate::render(std::span<const ChatRequest> requests) {
  std::vector<ChatRendering> renderings;
  renderings.reserve(requests.size());
  while (!requests.empty()) requests = requests.subspan(render_batch(requests, renderings));
  return renderings;
}

std::vector<std::string> ChatTemplate::texts(std::span<const ChatRequest> requests) {
  std::vector<std::string> texts;
  while (!requests.empty()) {
    std::vector<ChatRendering> some;
    requests = requests.subspan(render_batch(requests, some));
    for (ChatRendering& rendering : some) {
      if (rendering.error) throw InputError(*rendering.error);
      texts.push_back(std::move(rendering.text));
    }
  }
  return texts;
}

}  // namespace zeroth
