// Prompts that a chat template makes: of zeroth sample, and of data sets in training and
// evaluation.

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/support/python_with_jinja.h"
#include "tests/support/zeroth_command.h"

namespace zeroth {
namespace {

using testing::contains;
using testing::Outcome;
using testing::TemporaryDirectory;
using testing::zeroth_command;

// A directory with a random model, init/, whose chat template names every message and the year.
struct ChatModel {
  ChatModel() {
    REQUIRE(
        zeroth_command(directory, "init --architecture tiny-dense --output_dir init").exit_code ==
        0);
    write("init/chat_template.jinja",
          "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}"
          "{% if add_generation_prompt %}<assistant>{{ style }}[{{ strftime_now('%Y') }}]"
          "{% endif %}");
  }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(directory / name, std::ios::binary) << text;
  }
  Outcome run(const std::string& arguments) const {
    return zeroth_command(directory, arguments + " --num_threads 1 --model_name_or_path init " +
                                         "--chat_python " + python);
  }
  std::string out(const std::string& arguments) const {
    const Outcome outcome = run(arguments);
    INFO(arguments << "\n" << outcome.err);
    REQUIRE(outcome.exit_code == 0);
    return outcome.out;
  }
  TemporaryDirectory directory;
  std::string python = testing::python_with_jinja();
};

bool skipped() {
  if (!testing::python_with_jinja().empty()) return false;
  WARN("skipped: no python with jinja2 3.1.6 (tools/setup --readers)");
  return true;
}

}  // namespace

TEST_CASE("sample --chat: texts, lines and lists become conversations", "[end_to_end]") {
  if (skipped()) return;
  const ChatModel model;
  const std::string shown = " --dry-run --chat_date 1999-12-31";
  CHECK(model.out("sample --chat hello" + shown) == "<user>hello\n<assistant>[1999]\n");
  CHECK(model.out("sample --chat hello --system be" + shown) ==
        "<system>be\n<user>hello\n<assistant>[1999]\n");
  CHECK(
      model.out("sample hello --prompt_template chat --chat_template_kwargs '{\"style\": \"x\"}'" +
                shown) == "<user>hello\n<assistant>x[1999]\n");
  model.write("in.txt", "from here\n");
  CHECK(model.out("sample --chat - < in.txt" + shown) == "<user>from here\n<assistant>[1999]\n");
  model.write("in.jsonl",
              "a text\n{\"prompt\": \"p\"}\n"
              "{\"messages\": [{\"role\": \"user\", \"content\": \"u\"},"
              " {\"role\": \"assistant\", \"content\": \"so \"}]}\n"
              "{\"prompt\": [{\"role\": \"user\", \"content\": \"v\"}]}\n"
              "{\"messages\": [{\"role\": \"user\", \"content\": \"w\"}], \"date\": \"1990-01-01\","
              " \"chat_template_kwargs\": {\"style\": \"own\"}}\n");
  CHECK(model.out("sample --chat --prompts_file in.jsonl" + shown) ==
        "<user>a text\n<assistant>[1999]\n<user>p\n<assistant>[1999]\n<user>u\n<assistant>so \n"
        "<user>v\n<assistant>[1999]\n<user>w\n<assistant>own[1990]\n");
  model.write("in.json", "[\n {\"role\": \"user\",\n  \"content\": \"list\"}]\n");
  CHECK(model.out("sample --chat --prompts_file in.json" + shown) ==
        "<user>list\n<assistant>[1999]\n");
  model.write("mine.jinja", "{{ bos_token }}{{ messages[0].content }}!");
  model.write("init/special_tokens_map.json", "{\"bos_token\": \"<s>\"}");
  CHECK(contains(model.out("sample --chat hello --chat_template_path mine.jinja" + shown),
                 "hello!\n"));
}

TEST_CASE("sample --chat: completions of conversations, and what is wrong is named",
          "[end_to_end]") {
  if (skipped()) return;
  const ChatModel model;
  const std::string flags = " --max_completion_length 6 --json --seed 3 --chat_date 1999-12-31";
  const std::string chat = model.out("sample --chat hello --n 2" + flags);
  CHECK(contains(chat, "\"prompt\":\"<user>hello\\n<assistant>[1999]\""));
  // The same as of the text that the template makes.
  model.write("text.txt", "<user>hello\n<assistant>[1999]");
  CHECK(model.out("sample - --n 2 < text.txt" + flags) == chat);
  model.write("wrong.jsonl", "{\"messages\": []}\n");
  const Outcome wrong = model.run("sample --chat --prompts_file wrong.jsonl");
  CHECK(wrong.exit_code == 2);
  CHECK(contains(wrong.err, "wrong.jsonl:1: messages: expected at least one message"));
  for (const char* arguments :
       {"sample hello --system be", "sample hello --chat --prompt_template r1_zero",
        "sample hello --chat --chat_template_kwargs [1]",
        "sample hello --chat --chat_date tomorrow"}) {
    INFO(arguments);
    CHECK(model.run(arguments).exit_code == 2);
  }
  std::filesystem::remove(model.directory / "init/chat_template.jinja");
  CHECK(contains(model.run("sample hello --chat").err,
                 "init: chat_template: expected one in tokenizer_config.json"));
}

TEST_CASE("sample: what ends a turn by generation_config.json ends a completion", "[end_to_end]") {
  const ChatModel model;
  const std::string sample = "sample a --max_completion_length 40 --temperature 0 --json";
  const auto first = boost::json::parse(model.out(sample)).at("token_ids").as_array();
  REQUIRE(first.size() > 1);
  model.write("init/generation_config.json",
              boost::json::serialize(boost::json::object{{"eos_token_id", {first[1], 1}}}));
  const auto ended = boost::json::parse(model.out(sample));
  CHECK(ended.at("finish_reason") == "stop");
  CHECK(ended.at("token_ids").as_array().size() <= 2);
}

TEST_CASE("training on conversations: the date is the run's own when it is resumed",
          "[end_to_end]") {
  if (skipped()) return;
  const ChatModel model;
  model.write("data.jsonl",
              "{\"messages\": [{\"role\": \"user\", \"content\": \"1+1\"},"
              " {\"role\": \"assistant\", \"content\": \"2\"}]}\n"
              "{\"messages\": [{\"role\": \"user\", \"content\": \"1+2\"},"
              " {\"role\": \"assistant\", \"content\": \"3\"}]}\n");
  const std::string data = " --dataset_name data.jsonl --columns messages";
  const std::string sft =
      "sft --output_dir sft --per_device_train_batch_size 2 --max_steps 2 "
      "--save_steps 1 --max_length 64" +
      data;
  const Outcome plain = model.run(sft);
  CHECK(plain.exit_code == 2);
  CHECK(contains(plain.err,
                 "prompt_template: expected chat, as problem data.jsonl:1 is a conversation"));
  model.out(sft + " --prompt_template chat");
  const std::filesystem::path config = model.directory / "sft/config.toml";
  const std::string recorded = read_file(config);
  const std::size_t at = recorded.find("chat_date = \"");
  REQUIRE(at != std::string::npos);
  REQUIRE(contains(recorded, "\"  # today\n"));
  std::filesystem::remove_all(model.directory / "sft/checkpoint-2");
  // As if the run had begun in another year: its own date is taken, and its data is another.
  std::string other = recorded;
  other.replace(at, 17, "chat_date = \"1999");
  model.write("sft/config.toml", other);
  const std::string resumed = sft + " --prompt_template chat --resume_from_checkpoint latest";
  const Outcome refused = model.run(resumed);
  CHECK(refused.exit_code == 2);
  CHECK(contains(refused.err, "data_sha256"));
  model.write("sft/config.toml", recorded);
  model.out(resumed);
  CHECK(contains(read_file(model.directory / "sft/config-resumed.toml"), "# sft/config.toml\n"));

  model.write("train.jsonl",
              "{\"prompt\": [{\"role\": \"user\", \"content\": \"1+1\"}], \"answer\": 2}\n"
              "{\"prompt\": \"1+2\", \"answer\": \"3\"}\n");
  const std::string grpo =
      " --dataset_name train.jsonl --columns trl --prompt_template chat --reward_funcs accuracy "
      "--num_generations 2 --max_completion_length 5";
  model.out(
      "grpo --output_dir grpo --max_steps 1 --num_prompts_per_step 2 --chat_date 1999-12-31 "
      "--log_completions" +
      grpo);
  CHECK(contains(read_file(model.directory / "grpo/config.toml"), "chat_date = \"1999-12-31\""));
  CHECK(contains(read_file(model.directory / "grpo/completions/step-000001.jsonl"),
                 "\"prompt\":\"<user>1+1\\n<assistant>[1999]\""));
  const auto evaluation = boost::json::parse(
      model.out("eval --json --output samples.jsonl --chat_date 1999-12-31" + grpo));
  CHECK(evaluation.at("chat_date") == "1999-12-31");
  CHECK(evaluation.at("problems") == 2);
}

}  // namespace zeroth
