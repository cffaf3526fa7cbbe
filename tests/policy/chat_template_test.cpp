#include "policy/chat_template.h"

#include <catch2/catch.hpp>
#include <cstdlib>

#include "system/file.h"
#include "tests/policy/chat_fixture.h"
#include "tests/support/mutate.h"
#include "tests/support/temporary_directory.h"

namespace zeroth {
namespace {

using testing::chat_host;
using testing::one_template;
using testing::rendered;
using testing::rendered_by;

constexpr const char* kPlain =
    "{{ bos_token }}{% for message in messages %}\n"
    "[{{ message.role }}] {{ message.content }}{{ eos_token }}\n"
    "{% endfor %}\n"
    "{% if add_generation_prompt %}[assistant]{% endif %}";

TEST_CASE("chat_template: a conversation, with special tokens and the beginning of an answer",
          "[policy]") {
  if (testing::without_jinja()) return;
  ChatTemplate chat(one_template(kPlain), chat_host());
  const std::string messages =
      R"("messages": [{"role": "system", "content": "be"}, {"role": "user", "content": "é"}])";
  CHECK(rendered(chat, "{" + messages + "}") == "<s>[system] be</s>\n[user] é</s>\n");
  CHECK(rendered(chat, "{" + messages + R"(, "add_generation_prompt": true})") ==
        "<s>[system] be</s>\n[user] é</s>\n[assistant]");
  // Variables of the request come before the model's.
  CHECK(rendered(chat, "{" + messages + R"(, "kwargs": {"bos_token": "B"}, "eos_token": "E"})") ==
        "B[system] beE\n[user] éE\n");
  CHECK(chat.isolation() >= Isolation::limits);
  CHECK(chat.num_starts() == 1);
}

TEST_CASE("chat_template: many conversations a call, each in its place", "[policy]") {
  if (testing::without_jinja()) return;
  ChatTemplate chat(one_template("{{ messages[0].content }}"), chat_host());
  std::vector<ChatRequest> requests;
  for (int i = 0; i < 200; ++i)
    requests.push_back({.source = "in:" + std::to_string(i),
                        .json = R"({"messages": [{"content": ")" + std::to_string(i) + "\"}]}"});
  requests[70].json = "{}";
  const auto renderings = chat.render(requests);
  REQUIRE(renderings.size() == requests.size());
  for (std::size_t i = 0; i < renderings.size(); ++i) {
    if (i == 70) continue;
    REQUIRE_FALSE(renderings[i].error);
    REQUIRE(renderings[i].text == std::to_string(i));
  }
  REQUIRE(renderings[70].error);
  CHECK(renderings[70].error->source == "in:70");
  CHECK_THROWS_WITH(chat.texts(requests), "in:70: messages: expected a list of objects, got null");
  requests.resize(70);
  CHECK(chat.texts(requests).size() == 70);
  CHECK(chat.render({}).empty());
  CHECK(chat.num_starts() == 1);
}

TEST_CASE("chat_template: values are those of the JSON text", "[policy]") {
  if (testing::without_jinja()) return;
  ChatTemplate chat(one_template("{{ a|tojson }}"), chat_host());
  const auto value = [&](const std::string& json) {
    return rendered(chat, R"({"vars": {"a": )" + json + "}}");
  };
  CHECK(value("123456789012345678901234567890") == "123456789012345678901234567890");
  CHECK(value("[1.0, 1, 1e5, true, null]") == "[1.0, 1, 100000.0, true, null]");
  // Neither HTML nor other alphabets are escaped, keys keep their order.
  CHECK(value(R"({"b": "<é>'", "a": "&"})") == R"({"b": "<é>'", "a": "&"})");
  CHECK(rendered_by(chat, "{{ {'b': 1, 'a': [2]}|tojson(indent=2) }}") ==
        "{\n  \"b\": 1,\n  \"a\": [\n    2\n  ]\n}");
  CHECK(rendered_by(chat,
                    "{{ {'b': 1, 'a': 'é'}|tojson(sort_keys=true, ensure_ascii=true, "
                    "separators=(',', ':')) }}") == R"({"a":"\u00e9","b":1})");
}

TEST_CASE("chat_template: tags and functions that templates count on", "[policy]") {
  if (testing::without_jinja()) return;
  ChatTemplate chat(one_template("x"), chat_host());
  CHECK(rendered_by(chat,
                    "{% for i in range(9) %}{% if i == 2 %}{% continue %}{% endif %}"
                    "{% if i == 4 %}{% break %}{% endif %}{{ i }}{% endfor %}") == "013");
  CHECK(rendered_by(chat, "a{% generation %}b{{ messages[0].content }}{% endgeneration %}c") ==
        "abhic");
  // A body of generation is a scope of its own.
  CHECK(rendered_by(chat,
                    "{% set x = 1 %}{% generation %}{% set x = 2 %}{% endgeneration %}"
                    "{{ x }}") == "1");
  CHECK(rendered_by(chat, "{% set ns = namespace(a=1, self=2) %}{% set ns.a = 3 %}{{ ns.a }}") ==
        "3");
  CHECK(rendered_by(chat, "{{ dict(a=1) }}{{ dict.fromkeys(['b']) }}") == "{'a': 1}{'b': None}");
  CHECK(rendered_by(chat, "{{ raise_exception('no') }}") ==
        "error: in:1: chat_template:1: expected a template that renders this conversation, got "
        "TemplateError: no");
  CHECK(rendered_by(chat, "  {% if true %}\n  a\n  {% endif %}\nb\n") == "  a\nb");
  const std::string chosen = rendered_by(chat, "{{ range(1000)|random }}");
  CHECK(rendered_by(chat, "{{ range(1000)|random }}") == chosen);
}

TEST_CASE("chat_template: the date is the one that is given", "[policy]") {
  if (testing::without_jinja()) return;
  ChatTemplate chat(one_template("{{ strftime_now('%d %B %Y %H:%M') }}"), chat_host());
  CHECK(rendered(chat, R"({"messages": [{}]})") == "02 January 2026 15:04");
  CHECK(rendered(chat, R"({"messages": [{}], "date": "1999-12-31"})") == "31 December 1999 00:00");
  CHECK(rendered(chat, R"({"messages": [{}]})") == "02 January 2026 15:04");
  for (const char* date : {"\"2026-02-30\"", "\"today\"", "5", "\"2026-01-02 \""})
    CHECK_THAT(rendered(chat, std::string(R"({"messages": [{}], "date": )") + date + "}"),
               Catch::Contains("in:1: date: expected a date such as 2026-01-02"));
}

TEST_CASE("chat_template: a date is written in one of two ways", "[policy]") {
  for (const char* date : {"2026-01-02", "2026-01-02T15:04:05"})
    CHECK_NOTHROW(check_chat_date(date, "date"));
  for (const char* date :
       {"", "2026-1-2", "2026-01-02T", "2026-01-02 15:04:05", "today", "2026/01/02"})
    CHECK_THROWS_WITH(check_chat_date(date, "date"),
                      "date: expected a date such as 2026-01-02 or 2026-01-02T15:04:05" +
                          (*date == '\0' ? std::string() : ", got " + std::string(date)));
}

TEST_CASE("chat_template: a template by its name, by the tools there are, or brought along",
          "[policy]") {
  if (testing::without_jinja()) return;
  ChatTemplates templates = one_template("plain");
  templates.named["tool_use"] = {"t.jinja", "", "{{ tools|length }} tools"};
  templates.named["rag"] = {"t.jinja", "", "{{ documents[0].text }}"};
  ChatTemplate chat(templates, chat_host());
  CHECK(rendered(chat, R"({"messages": [{}]})") == "plain");
  CHECK(rendered(chat, R"({"messages": [{}], "tools": null})") == "plain");
  CHECK(rendered(chat, R"({"messages": [{}], "tools": [{}, {}]})") == "2 tools");
  CHECK(rendered(chat, R"({"messages": [{}], "documents": [{"text": "d"}],
                           "chat_template": "rag"})") == "d");
  CHECK(rendered(chat, R"({"messages": [{}], "chat_template": "{{ 1 + 1 }}"})") == "2");
  templates.named.erase("default");
  ChatTemplate without(templates, chat_host());
  CHECK_THAT(rendered(without, R"({"messages": [{}]})"),
             Catch::Contains(R"(expected a name, as no template is the default, got ["rag",)"));
}

TEST_CASE("chat_template: fields without a value are left out, and thoughts have each of two names",
          "[policy]") {
  if (testing::without_jinja()) return;
  ChatTemplate chat(one_template("{{ messages|tojson }}"), chat_host());
  CHECK(rendered(chat, R"({"messages": [{"role": "a", "content": null}]})") ==
        R"([{"role": "a"}])");
  const char* both = R"([{"thinking": "t", "role": "a", "reasoning_content": "t"}])";
  CHECK(rendered(chat, R"({"messages": [{"role": "a", "reasoning_content": "t"}]})") == both);
  CHECK(rendered(chat, R"({"messages": [{"role": "a", "thinking": "t"}]})") ==
        R"([{"thinking": "t", "role": "a", "reasoning_content": "t"}])");
  CHECK(rendered(chat, R"({"messages": [{"reasoning": "r", "thinking": "t"}]})") ==
        R"([{"thinking": "t", "reasoning": "r", "reasoning_content": "t"}])");
}

TEST_CASE("chat_template: a final message that is to be continued ends the text", "[policy]") {
  if (testing::without_jinja()) return;
  ChatTemplate chat(one_template("{% for m in messages %}{{ m.content }}<end>{% endfor %}"),
                    chat_host());
  const auto continued = [&](const std::string& rest) {
    return rendered(chat, R"({"messages": [{"content": "a"}, {"content": "so "}])" + rest + "}");
  };
  CHECK(continued("") == "a<end>so <end>");
  CHECK(continued(R"(, "continue_final_message": true)") == "a<end>so ");
  // One that trims is trimmed.
  CHECK(continued(R"(, "continue_final_message": true,
                      "chat_template": "{{ messages[1].content|trim }}<end>")") == "so");
  CHECK(rendered(chat, R"({"messages": [{"content": [{"text": "x"}, {"image": 1}]}],
                           "continue_final_message": true,
                           "chat_template": "{{ messages[0].content[0].text }}!"})") == "x");
  CHECK(rendered(chat, R"({"messages": [{"thinking": "hm"}], "continue_final_message": "thinking",
                           "chat_template": "<{{ messages[0].reasoning_content }}>"})") == "<hm");
  CHECK_THAT(continued(R"(, "continue_final_message": true, "add_generation_prompt": true)"),
             Catch::Contains("expected false, as add_generation_prompt is true"));
  CHECK_THAT(continued(R"(, "continue_final_message": "thought")"),
             Catch::Contains("messages[-1].thought: expected a text to continue, got null"));
  CHECK_THAT(continued(R"(, "continue_final_message": true,
                           "chat_template": "{{ messages[0].content }}")"),
             Catch::Contains("expected a template that renders the end of the final message"));
  CHECK_THAT(continued(R"(, "continue_final_message": true, "chat_template": "x")"),
             Catch::Contains("expected a field that the template reads, got \"content\""));
}

TEST_CASE("chat_template: a request that is wrong is named by its field", "[policy]") {
  if (testing::without_jinja()) return;
  ChatTemplate chat(one_template("x"), chat_host());
  const std::pair<const char*, const char*> cases[] = {
      {"no", "in:1: expected JSON, got Expecting value: line 1 column 1 (char 0)"},
      {"[1]", "in:1: expected an object, got [1]"},
      {"{}", "in:1: messages: expected a list of objects, got null"},
      {R"({"messages": "hi"})", "in:1: messages: expected a list of objects, got \"hi\""},
      {R"({"messages": []})", "in:1: messages: expected at least one message, got []"},
      {R"({"messages": [{}, "hi"]})", "in:1: messages[1]: expected an object, got \"hi\""},
      {R"({"messages": [{}], "tools": {}})", "in:1: tools: expected a list of objects, got {}"},
      {R"({"messages": [{}], "tools": [1]})", "in:1: tools[0]: expected an object, got 1"},
      {R"({"messages": [{}], "documents": ["d"]})",
       "in:1: documents[0]: expected an object, got \"d\""},
      {R"({"messages": [{}], "add_generation_prompt": 1})",
       "in:1: add_generation_prompt: expected true or false, got 1"},
      {R"({"messages": [{}], "kwargs": [1]})", "in:1: kwargs: expected an object, got [1]"},
      {R"({"messages": [{}], "kwargs": {"tools": 1}})",
       "in:1: kwargs.tools: expected a field beside kwargs, got 1"},
      {R"({"messages": [{}], "chat_template": 1})",
       "in:1: chat_template: expected a template, or the name of one, got 1"},
      {R"({"vars": 1})", "in:1: vars: expected an object, got 1"},
      {R"({"vars": {}, "messages": []})",
       "in:1: vars: expected nothing beside it but chat_template and date, got [\"messages\"]"},
      {"{\"messages\": [{\"content\": \"\xff\"}]}", "in:1: expected UTF-8, got byte 27: 0xff"},
      {R"({"messages": [{"a": NaN}]})", "in:1: expected JSON, got NaN is no number of JSON"},
  };
  for (const auto& [json, error] : cases) {
    INFO(json);
    CHECK(rendered(chat, json) == "error: " + std::string(error));
  }
  const std::string deep(100000, '[');
  CHECK_THAT(rendered(chat, R"({"messages": )" + deep), Catch::StartsWith("error: in:1: expected"));
  CHECK(rendered(chat, R"({"messages": [{}]})") == "x");
}

TEST_CASE("chat_template: damaged requests are rendered or refused in one line", "[policy]") {
  if (testing::without_jinja()) return;
  ChatTemplate chat(one_template("{{ messages|tojson }}"), chat_host());
  std::vector<ChatRequest> requests;
  for (unsigned seed = 0; seed < 1000; ++seed)
    requests.push_back(
        {.source = "in",
         .json = testing::mutate(R"({"messages": [{"role": "user", "content": "é"}]})", seed)});
  int refused = 0;
  for (const ChatRendering& rendering : chat.render(requests)) {
    if (!rendering.error) continue;
    ++refused;
    REQUIRE(std::string(InputError(*rendering.error).what()).find('\n') == std::string::npos);
  }
  CHECK(refused > 0);
  CHECK(refused < 1000);
  CHECK(chat.num_starts() == 1);
}

TEST_CASE("chat_template: without an interpreter, or with an old jinja2, it says what to install",
          "[policy]") {
  const auto start_with = [](const std::string& python) {
    ChatTemplateHost host = chat_host();
    host.python = python;
    ChatTemplate chat(one_template("x"), std::move(host));
  };
  CHECK_THROWS_WITH(start_with("/nonexistent/python"),
                    "t.jinja: chat_template: expected a Python 3 interpreter, got "
                    "/nonexistent/python: No such file or directory");
  CHECK_THROWS_AS(start_with("false"), InputError);
  if (std::system("python3 -c 0 2>/dev/null") != 0) return;
  // A jinja2 of the test's, found before any other.
  const testing::TemporaryDirectory directory;
  write_file_atomically(directory / "jinja2.py", "__version__ = '3.1.5'\n");
  const char* before = std::getenv("PYTHONPATH");
  const std::string path = before == nullptr ? "" : before;
  setenv("PYTHONPATH", directory.path().c_str(), 1);
  CHECK_THROWS_WITH(start_with("python3"),
                    Catch::Contains("expected a Python with jinja2 3.1.6 or later (pip install "
                                    "'jinja2>=3.1.6'), got") &&
                        Catch::EndsWith("jinja2 3.1.5"));
  write_file_atomically(directory / "jinja2.py", "raise ImportError('gone')\n");
  CHECK_THROWS_WITH(start_with("python3"), Catch::EndsWith(": gone"));
  if (before == nullptr)
    unsetenv("PYTHONPATH");
  else
    setenv("PYTHONPATH", path.c_str(), 1);
}

TEST_CASE("chat_template: every level of the sandbox renders the same", "[policy]") {
  if (testing::without_jinja()) return;
  for (const Isolation level : {Isolation::limits, Isolation::seccomp, Isolation::full}) {
    ChatTemplateHost host = chat_host();
    host.sandbox = level;
    ChatTemplate chat(one_template("{{ messages[0].content }}"), std::move(host));
    INFO(isolation_name(chat.isolation()));
    CHECK(chat.isolation() <= level);
    CHECK(rendered(chat, R"({"messages": [{"content": "hi"}]})") == "hi");
    // The limits are the interpreter's own.
    CHECK_THAT(rendered_by(chat, "{{ 'x' * 10**10 }}"),
               Catch::Contains("bytes of memory, got more"));
  }
}

TEST_CASE("chat_template: a request to stop ends the wait", "[policy]") {
  if (testing::without_jinja()) return;
  ChatTemplateHost host = chat_host();
  bool stop = false;
  host.check_stop = [&] {
    if (stop) throw std::runtime_error("asked to stop");
  };
  ChatTemplate chat(one_template("{% for a in range(99999) %}{% for b in range(99999) %}"
                                 "{% endfor %}{% endfor %}"),
                    std::move(host));
  stop = true;
  CHECK_THROWS_WITH(rendered(chat, R"({"messages": [{}]})"), "asked to stop");
  stop = false;
  CHECK(rendered_by(chat, "again") == "again");
}

}  // namespace
}  // namespace zeroth
