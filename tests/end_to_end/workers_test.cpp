// zeroth worker and zeroth grpo --workers as processes: the same bytes as a run that samples
// itself, whoever is killed, and refusals that name the worker.

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "system/file.h"
#include "tests/support/certificates.h"
#include "tests/support/http_fixture.h"
#include "tests/support/process.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/tiny_checkpoint.h"
#include "tests/support/tiny_configs.h"
#include "tests/support/zeroth_command.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;
using testing::contains;
using testing::eventually;
using testing::Outcome;
using testing::Process;
using testing::TemporaryDirectory;
using testing::Worker;
using testing::zeroth_command;

struct Run {
  Run() { testing::write_tiny_checkpoint(directory / "base", testing::kTinyDeepseek); }

  std::string grpo(const std::string& output, const std::string& more, int seed = 3) const {
    return "grpo --model_name_or_path base --dataset_name sums --reward_funcs format_parts,accuracy"
           " --num_generations 4 --num_prompts_per_step 4 --max_completion_length 10"
           " --max_steps 30 --save_steps 10 --num_threads 1 --learning_rate 0.01 --seed " +
           std::to_string(seed) + " --output_dir " + output + " " + more;
  }
  void finish(const std::string& output, const std::string& more = "", int seed = 3) const {
    const Outcome outcome = zeroth_command(directory, grpo(output, more, seed));
    INFO(outcome.err);
    REQUIRE(outcome.exit_code == 0);
  }
  std::string end_of(const std::string& output) const {
    const fs::path checkpoint = directory / output / "checkpoint-30";
    return read_file(checkpoint / "model.safetensors") +
           read_file(checkpoint / "optimizer.safetensors");
  }
  bool has_step(const std::string& output, int step) const {
    const fs::path file = directory / output / "metrics.jsonl";
    return fs::exists(file) && contains(read_file(file), "\"step\":" + std::to_string(step) + ",");
  }

  TemporaryDirectory directory;
};

}  // namespace

TEST_CASE("workers: a run with one or two of them ends in the bytes of one that samples itself",
          "[end_to_end]") {
  const Run run;
  run.finish("local");
  Worker first(run.directory, "first");
  run.finish("one", "--workers " + first.url());
  CHECK(run.end_of("one") == run.end_of("local"));
  Worker second(run.directory, "second");
  run.finish("two", "--workers 127.0.0.1:" + first.port() + "," + second.url());
  CHECK(run.end_of("two") == run.end_of("local"));
  CHECK_FALSE(fs::exists(run.directory / "two/published"));
  // Negative control: another seed ends elsewhere.
  run.finish("other", "--workers " + first.url(), 4);
  CHECK(run.end_of("other") != run.end_of("local"));
  CHECK(first.process().kill(SIGTERM) == 0);
  CHECK_FALSE(fs::exists(run.directory / "first-staging"));
}

TEST_CASE("workers: one that is killed and another that is started show in no byte",
          "[end_to_end]") {
  const Run run;
  run.finish("local");
  auto worker = std::make_unique<Worker>(run.directory, "worker");
  const std::string port = worker->port();
  Process learner(run.directory, "learner", run.grpo("run", "--workers " + worker->url()));
  REQUIRE(eventually([&] { return run.has_step("run", 2) || learner.has_ended(); }));
  worker->process().kill(SIGKILL);
  REQUIRE(eventually([&] { return contains(learner.err(), worker->url() + " is lost"); }));
  worker = std::make_unique<Worker>(run.directory, "worker", "", port);
  CHECK(learner.wait() == 0);
  CHECK(contains(learner.err(), worker->url() + " is back"));
  CHECK(run.end_of("run") == run.end_of("local"));
}

TEST_CASE("workers: a learner that is killed and resumed goes on with the same workers",
          "[end_to_end]") {
  const Run run;
  run.finish("local");
  const Worker first(run.directory, "first"), second(run.directory, "second");
  const std::string workers = "--workers " + first.url() + "," + second.url();
  for (const int step : {3, 12, 21}) {
    Process learner(run.directory, "learner",
                    run.grpo("run", workers + " --resume_from_checkpoint latest"));
    REQUIRE(eventually([&] { return run.has_step("run", step) || learner.has_ended(); }));
    learner.kill(SIGKILL);
  }
  run.finish("run", workers + " --resume_from_checkpoint latest");
  CHECK(run.end_of("run") == run.end_of("local"));
  CHECK_FALSE(fs::exists(run.directory / "run/published"));
}

TEST_CASE("workers: a learner that waits for one can be stopped and resumed", "[end_to_end]") {
  const Run run;
  run.finish("local");
  const std::uint16_t port = testing::Listener().port();
  const std::string url = "http://127.0.0.1:" + std::to_string(port);
  Process learner(run.directory, "learner", run.grpo("run", "--workers " + url));
  REQUIRE(eventually([&] { return contains(learner.err(), url + " is lost"); }));
  CHECK(learner.kill(SIGTERM) == 130);
  const Worker worker(run.directory, "worker", "", std::to_string(port));
  run.finish("run", "--workers " + url + " --resume_from_checkpoint latest");
  CHECK(run.end_of("run") == run.end_of("local"));
}

TEST_CASE("workers: over TLS with a token", "[end_to_end]") {
  const Run run;
  const fs::path root = run.directory.path();
  const testing::CertificateAuthority authority("the test's authority"), stranger("a stranger");
  authority.write_certificate(root / "ca.pem");
  stranger.write_certificate(root / "stranger.pem");
  authority.issue("DNS:localhost,IP:127.0.0.1", root / "cert.pem", root / "key.pem");
  const auto write_secret = [&](const char* name, const std::string& text) {
    std::ofstream(root / name) << text;
    ::chmod((root / name).c_str(), 0600);
  };
  write_secret("tokens", "generate,publish the-learners-token\n");
  write_secret("token", "the-learners-token\n");
  write_secret("wrong-token", "another-learners-token\n");
  const std::string tls = "--tls_certificate_file cert.pem --tls_key_file key.pem";
  const Worker worker(run.directory, "worker", tls + " --token_file tokens");
  CHECK(worker.url().starts_with("https://127.0.0.1:"));
  const std::string workers = "--workers " + worker.url();
  run.finish("local");
  run.finish("run", workers + " --worker_token_file token --worker_ca_file ca.pem");
  CHECK(run.end_of("run") == run.end_of("local"));

  const auto fails = [&](const std::string& output, const std::string& more) {
    return zeroth_command(run.directory, run.grpo(output, workers + " " + more));
  };
  const Outcome wrong_token = fails("a", "--worker_token_file wrong-token --worker_ca_file ca.pem");
  CHECK(wrong_token.exit_code == 2);
  CHECK(contains(wrong_token.err, worker.url()));
  CHECK(contains(wrong_token.err, "the bearer token is not known here"));
  const Outcome untrusted = fails("b",
                                  "--worker_token_file token --worker_ca_file stranger.pem"
                                  " --no_worker_seconds 0.5");
  CHECK(untrusted.exit_code == 1);
  CHECK(contains(untrusted.err, worker.url()));
  CHECK(contains(untrusted.err, "certificate"));
  const Outcome no_file = fails("c", "--worker_token_file token --worker_ca_file nothing.pem");
  CHECK(no_file.exit_code == 2);
  CHECK(contains(no_file.err, "nothing.pem"));
  write_secret("two-lines", "the-learners-token\nanother\n");
  const Outcome two_lines = fails("d", "--worker_token_file two-lines --worker_ca_file ca.pem");
  CHECK(two_lines.exit_code == 2);
  CHECK(contains(two_lines.err, "two-lines"));
}

TEST_CASE("workers: what would be open to others, or misleads, is refused", "[end_to_end]") {
  const Run run;
  const fs::path root = run.directory.path();
  const auto refused = [&](const std::string& arguments) {
    const Outcome outcome = zeroth_command(run.directory, arguments);
    INFO(arguments);
    CHECK(outcome.exit_code == 2);
    return outcome.err;
  };
  const std::string worker = "worker --port 0 --staging_dir staging ";
  CHECK(contains(refused(worker + "--host 0.0.0.0"), "0.0.0.0"));
  const auto write_tokens = [&](const std::string& text) {
    std::ofstream(root / "tokens") << text;
    ::chmod((root / "tokens").c_str(), 0600);
  };
  write_tokens("generate,publish 0123456789abcdef\n");
  CHECK(contains(refused(worker + "--host 0.0.0.0 --token_file tokens"), "TLS"));
  const testing::CertificateAuthority authority("the test's authority");
  authority.issue("DNS:localhost", root / "cert.pem", root / "key.pem");
  CHECK(contains(refused(worker + "--host 0.0.0.0 --tls_certificate_file cert.pem"
                                  " --tls_key_file key.pem"),
                 "token"));
  CHECK(contains(refused(worker + "--tls_key_file key.pem"), "tls_key_file"));
  write_tokens("generat,publish 0123456789abcdef\n");
  const std::string scope = refused(worker + "--token_file tokens");
  CHECK(contains(scope, "generat"));
  CHECK(contains(scope, "the nearest is generate"));
  ::chmod((root / "tokens").c_str(), 0644);
  refused(worker + "--token_file tokens");
  fs::create_directories(root / "staging");
  std::ofstream(root / "staging" / "thesis.tex") << "all of it";
  CHECK(contains(refused(worker), "thesis.tex"));
  CHECK(contains(refused(run.grpo("run", "--workers nowhere:port")), "nowhere:port"));
  CHECK(contains(refused(run.grpo("run", "--workers 127.0.0.1:1,127.0.0.1:1")), "twice"));
  CHECK(contains(refused(run.grpo("run", "--worker_ca_file cert.pem")), "workers"));
  std::ofstream(root / "token") << "0123456789abcdef";
  CHECK(contains(refused(run.grpo("run",
                                  "--workers http://192.0.2.1:80"
                                  " --worker_token_file token")),
                 "https"));
}

}  // namespace zeroth
