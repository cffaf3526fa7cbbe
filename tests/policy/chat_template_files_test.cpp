#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "policy/chat/template_files.h"
#include "system/error.h"
#include "tests/support/mutate.h"
#include "tests/support/temporary_directory.h"

namespace zeroth {
namespace {

using testing::TemporaryDirectory;

void write(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary) << text;
}

TEST_CASE("chat_template_files: a file is the template, and has no tokens", "[policy]") {
  const TemporaryDirectory dir;
  write(dir / "x.jinja", "{{ a }}\n");
  const ChatTemplates templates = read_chat_templates(dir / "x.jinja");
  REQUIRE(templates.named.size() == 1);
  CHECK(templates.named.at("default").text == "{{ a }}\n");
  CHECK(templates.special_tokens.empty());
  write(dir / "x.jinja", "ab\xff");
  CHECK_THROWS_WITH(
      read_chat_templates(dir / "x.jinja"),
      Catch::EndsWith("x.jinja: byte 2: expected UTF-8 text, got a byte that is not"));
  CHECK_THROWS_AS(read_chat_templates(dir / "y.jinja"), InputError);
}

TEST_CASE("chat_template_files: files before tokenizer_config.json before chat_template.json",
          "[policy]") {
  const TemporaryDirectory dir;
  CHECK_THROWS_WITH(read_chat_templates(dir.path()),
                    Catch::EndsWith("chat_template: expected one in tokenizer_config.json, or "
                                    "chat_template.jinja, got neither"));
  write(dir / "chat_template.json", R"({"chat_template": "of a processor"})");
  CHECK(read_chat_templates(dir.path()).named.at("default").text == "of a processor");
  write(dir / "tokenizer_config.json", R"({"chat_template": "of the config"})");
  const auto of_config = read_chat_templates(dir.path()).named.at("default");
  CHECK(of_config.text == "of the config");
  CHECK(of_config.field == "chat_template");
  write(dir / "tokenizer_config.json", R"({"chat_template": [
    {"name": "default", "template": "d"}, {"name": "tool_use", "template": "t"}]})");
  CHECK(read_chat_templates(dir.path()).named.at("tool_use").text == "t");
  CHECK(read_chat_templates(dir.path()).named.at("tool_use").field == "chat_template[1].template");
  std::filesystem::create_directory(dir / "additional_chat_templates");
  write(dir.path() / "additional_chat_templates" / "rag.jinja", "r");
  const auto only_more = read_chat_templates(dir.path()).named;
  CHECK(only_more.size() == 1);
  CHECK(only_more.at("rag").text == "r");
  write(dir / "chat_template.jinja", "file");
  CHECK(read_chat_templates(dir.path()).named.at("default").text == "file");
}

TEST_CASE("chat_template_files: tokens are texts or objects, and an older file's come first",
          "[policy]") {
  const TemporaryDirectory dir;
  write(dir / "chat_template.jinja", "x");
  write(dir / "special_tokens_map.json", R"({"eos_token": {"content": "<2>"}, "sep_token": "|"})");
  using Tokens = std::map<std::string, std::string>;
  CHECK(read_chat_templates(dir.path()).special_tokens ==
        Tokens{{"eos_token", "<2>"}, {"sep_token", "|"}});
  write(dir / "tokenizer_config.json",
        R"({"bos_token": {"content": "<s>", "lstrip": false}, "eos_token": "<1>", "pad_token": null,
            "image_token": "<i>"})");
  CHECK(read_chat_templates(dir.path()).special_tokens == Tokens{{"bos_token", "<s>"},
                                                                 {"eos_token", "<2>"},
                                                                 {"image_token", "<i>"},
                                                                 {"sep_token", "|"}});
  write(dir / "tokenizer_config.json", R"({"eos_token": "<1>", "added_tokens_decoder": {}})");
  CHECK(read_chat_templates(dir.path()).special_tokens == Tokens{{"eos_token", "<1>"}});
  // A file in place of the model's template still has the model's tokens.
  const TemporaryDirectory elsewhere;
  write(elsewhere / "mine.jinja", "y");
  CHECK(read_chat_templates(elsewhere / "mine.jinja", dir.path()).special_tokens ==
        Tokens{{"eos_token", "<1>"}});
}

TEST_CASE("chat_template_files: tokens of a model's own, and those that its class brings",
          "[policy]") {
  using Tokens = std::map<std::string, std::string>;
  const TemporaryDirectory dir;
  write(dir / "chat_template.jinja", "x");
  const auto tokens_of = [&](const std::string& config) {
    write(dir / "tokenizer_config.json", config);
    return read_chat_templates(dir.path()).special_tokens;
  };
  CHECK(tokens_of(R"({"add_bos_token": true, "extra_special_tokens": {"image_token": "<i>",
                      "turn": {"content": "<t>"}}})") ==
        Tokens{{"image_token", "<i>"}, {"turn", "<t>"}});
  CHECK(tokens_of(R"({"extra_special_tokens": ["<i>"]})").empty());
  const Tokens llama = {{"bos_token", "<s>"}, {"eos_token", "</s>"}, {"unk_token", "<unk>"}};
  CHECK(tokens_of(R"({"tokenizer_class": "LlamaTokenizerFast"})") == llama);
  CHECK(tokens_of(R"({"tokenizer_class": "LlamaTokenizer", "bos_token": null,
                      "eos_token": "<e>"})") ==
        Tokens{{"eos_token", "<e>"}, {"unk_token", "<unk>"}});
  write(dir / "tokenizer.json", R"({"pre_tokenizer": {"type": "ByteLevel"}})");
  CHECK(tokens_of(R"({"tokenizer_class": "LlamaTokenizerFast"})").empty());
  CHECK(tokens_of(R"({"tokenizer_class": "Qwen2Tokenizer"})").at("eos_token") == "<|endoftext|>");
  CHECK(tokens_of(R"({"tokenizer_class": "PreTrainedTokenizerFast"})").empty());
}

TEST_CASE("chat_template_files: what has the wrong type is named", "[policy]") {
  const TemporaryDirectory dir;
  const std::pair<const char*, const char*> cases[] = {
      {R"({"chat_template": 5})", "chat_template: expected a text, or a list of"},
      {R"({"chat_template": [{"name": 1, "template": ""}]})", "chat_template[0].name"},
      {R"({"chat_template": [{"name": "a"}]})", "chat_template[0]"},
      {R"({"chat_template": "x", "bos_token": 1})", "bos_token: expected a token"},
      {R"({"chat_template": "x", "bos_token": {}})", "bos_token: expected a token"},
      {R"({"chat_template": "x", "bos_token": {"content": 1}})", "bos_token.content"},
      {R"({"chat_template": "x", "extra_special_tokens": {"a": 1}})", "extra_special_tokens.a"},
      {R"([])", "expected an object"},
      {R"({)", "tokenizer_config.json"}};
  for (const auto& [json, error] : cases) {
    INFO(json);
    write(dir / "tokenizer_config.json", json);
    CHECK_THROWS_WITH(read_chat_templates(dir.path()), Catch::Contains(error));
  }
}

TEST_CASE("chat_template_files: a damaged tokenizer_config.json is read or refused", "[policy]") {
  const TemporaryDirectory dir;
  int num_read = 0;
  for (unsigned seed = 0; seed < 200; ++seed) {
    write(dir / "tokenizer_config.json",
          testing::mutate(R"({"bos_token": "<s>", "chat_template": "{{ messages }}"})", seed));
    try {
      read_chat_templates(dir.path());
      ++num_read;
    } catch (const InputError&) {
    }
  }
  CHECK(num_read > 0);
  CHECK(num_read < 200);
}

}  // namespace
}  // namespace zeroth
