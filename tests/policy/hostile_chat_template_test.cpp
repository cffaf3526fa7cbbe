// Templates that mean harm, or are broken: each is one rendering's error, in one line, and the next
// conversation is rendered.

#include <catch2/catch.hpp>
#include <filesystem>

#include "policy/chat_template.h"
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

std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

TEST_CASE("hostile_chat_template: what a template does to itself is its own error", "[policy]") {
  if (testing::without_jinja()) return;
  ChatTemplate chat(one_template("x"), chat_host());
  const std::string growing =
      "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}"
      "{% endfor %}";
  const std::pair<std::string, std::string> cases[] = {
      {"{% for a in range(10**12) %}{% endfor %}", "got OverflowError: Range too big"},
      {"{{ 'x' * 100000000 }}", "expected a text of at most 16777216 bytes, got a longer one"},
      {"{% for i in range(99) %}{{ 'x' * 500000 }}{% endfor %}", "16777216 bytes"},
      {growing, "expected at most 1073741824 bytes of memory, got more"},
      {"{{ 'é' * 9000000 }}", "16777216 bytes"},
      {"{{ 10 ** 5000 }}", "got ValueError: "},
      {"{{ ''.__class__.__mro__ }}", "got SecurityError: "},
      {"{{ cycler.__init__.__globals__.os.system('true') }}", "got SecurityError: "},
      {"{{ (lipsum|attr('__globals__'))['os'] }}", "got SecurityError: "},
      {"{{ '{0.__class__.__mro__}'.format(messages) }}", "got SecurityError: "},
      {"{{ messages.append(1) }}", "got SecurityError: "},
      {"{% set ns = namespace(__class__=1) %}", "got SecurityError: "},
      {"{% set ns = namespace() %}\n{% set ns._a = 1 %}", "chat_template:2: "},
      {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "got RecursionError: "},
      {"{% include '/etc/passwd' %}", "got TypeError: "},
      {"{% import 'os' as os %}", "got TypeError: "},
      {"{{ raise_exception('no\n\x1b[2J' * 100000) }}", "got TemplateError: no"},
      {"a\n{% if %}",
       "chat_template:2: expected a template that renders this conversation, got "
       "TemplateSyntaxError: "},
      {"{% nothing %}", "got TemplateSyntaxError: "},
      {"{{ " + repeated("(", 5000), "got RecursionError: "},
      {repeated("{% if 1 %}", 1000) + repeated("{% endif %}", 1000), "got RecursionError: "},
      {repeated("{% for a in [1] %}", 60) + repeated("{% endfor %}", 60), "got SyntaxError: "},
      {"{{ '\\ud800' }}", "expected a text of whole characters, got U+D800"},
      {"{{ 1 / 0 }}", "got ZeroDivisionError: "},
      {"{{ strftime_now(5) }}", "got TypeError: "},
  };
  for (const auto& [text, error] : cases) {
    const std::string answer = rendered_by(chat, text);
    INFO(text.substr(0, 100) << "\n" << answer.substr(0, 500));
    CHECK_THAT(answer.substr(0, 500), Catch::StartsWith("error: in:1: chat_template"));
    CHECK(answer.find(error) != std::string::npos);
    CHECK(answer.find_first_of("\n\x1b") == std::string::npos);
    CHECK(answer.size() < 500);
  }
  CHECK(rendered_by(chat, "{{ messages[0].content }}") == "hi");
  CHECK(rendered_by(chat, "{{ messages.__class__ }}") == "");  // as transformers has it
  CHECK(chat.num_starts() == 1);
}

TEST_CASE(
    "hostile_chat_template: one that does not end takes its interpreter and no other rendering",
    "[policy]") {
  if (testing::without_jinja()) return;
  ChatTemplate chat(one_template("{% for a in range(messages[0].n) %}{% for b in range(99999) %}"
                                 "{% endfor %}{% endfor %}done"),
                    chat_host());
  std::vector<ChatRequest> requests;
  for (const char* n : {"0", "99999", "1"})
    requests.push_back({.source = "in:" + std::to_string(requests.size() + 1),
                        .json = std::string(R"({"messages": [{"n": )") + n + "}]}"});
  const auto renderings = chat.render(requests);
  CHECK(renderings[0].text == "done");
  REQUIRE(renderings[1].error);
  CHECK(std::string(InputError(*renderings[1].error).what()) ==
        "in:2: t.jinja: expected a rendering within 2 s of a processor's time, got none");
  CHECK(renderings[2].text == "done");
  CHECK(chat.num_starts() == 2);
  // Where Python itself does not come back to look at the time.
  CHECK_THAT(rendered_by(chat, "{{ (3 ** (10 ** 8)) % 7 }}"), Catch::Contains("within 2 s"));
  CHECK(rendered_by(chat, "again") == "again");
}

TEST_CASE("hostile_chat_template: in the sandbox there is nothing of the user's", "[policy]") {
  if (testing::without_jinja()) return;
  if (ChatTemplate(one_template("x"), chat_host()).isolation() != Isolation::full) {
    WARN("skipped: no namespaces here");
    return;
  }
  // In place of an interpreter: a program that says whether it sees a file.
  const testing::TemporaryDirectory installed, elsewhere;
  std::filesystem::create_directory(installed / "bin");
  for (const auto* directory : {&installed, &elsewhere})
    write_file_atomically(*directory / "file", "");
  const auto look_for = [&](const std::filesystem::path& file) -> std::string {
    const std::filesystem::path program = installed / "bin/python";
    write_file_atomically(program,
                          "#!/bin/sh\nif [ -e '" + file.string() +
                              "' ]; then say=seen; else say=gone; fi\n"
                              "printf '\\040\\0\\0\\0\\0\\0\\0\\0' >&$3\n"
                              "printf '{\"expected\":\"-\",\"actual\":\"%s\"}' $say >&$3\n");
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
    ChatTemplateHost host = chat_host();
    host.python = program.string();
    try {
      ChatTemplate chat(one_template("x"), host);
      return "served";
    } catch (const InputError& error) {
      return error.parts().actual;
    }
  };
  CHECK(look_for(installed / "file") == "seen");
  CHECK(look_for(elsewhere / "file") == "gone");
}

TEST_CASE("hostile_chat_template: damaged templates render or are refused in one line",
          "[policy]") {
  if (testing::without_jinja()) return;
  ChatTemplate chat(one_template("x"), chat_host());
  int refused = 0;
  for (unsigned seed = 0; seed < 500; ++seed) {
    std::string text = testing::mutate(
        "{%- for m in messages %}{{ m['content'] | trim }}{% if loop.last %}.{% endif %}"
        "{%- endfor %}{{ strftime_now('%Y') }}",
        seed);
    for (char& c : text)
      if (static_cast<unsigned char>(c) >= 0x80) c = '?';
    const std::string answer = rendered_by(chat, text);
    if (!answer.starts_with("error: ")) continue;
    ++refused;
    REQUIRE(answer.find('\n') == std::string::npos);
  }
  CHECK(refused > 0);
  CHECK(refused < 500);
}

}  // namespace
}  // namespace zeroth
