#include "rollout/worker.h"

#include <sys/stat.h>

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "policy/safetensors.h"
#include "rollout/local_engine.h"
#include "tests/rollout/worker_fixture.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/mutate.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;
using testing::Answer;
using testing::answer_to;
using testing::eventually;
using testing::FakeBackend;
using testing::Gate;
using testing::message;
using testing::metric_of;
using testing::put;
using testing::RawConnection;
using testing::read_answer;
using testing::request_of;
using testing::rollouts;
using testing::SamplingWorker;
using testing::ServedWorker;

constexpr const char* kGenerate = "generate-0123456789";
constexpr const char* kPublish = "publish-0123456789";
constexpr const char* kMetrics = "metrics-0123456789";

std::string get(const std::string& path, const testing::Fields& fields = {}) {
  return message("GET", path, fields, "");
}

std::string message_of(const Answer& answer) {
  const auto json = boost::json::parse(answer.body).as_object().at("error").as_object();
  return std::string(json.at("message").as_string());
}

double metric(const ServedWorker& worker, const std::string& name) {
  return metric_of(answer_to(worker.port(), get("/metrics")).body, name);
}

// Whether the worker takes weights and samples from them.
bool serves(const ServedWorker& worker, const std::string& weights, std::int64_t version,
            std::int64_t epoch = 1) {
  if (answer_to(worker.port(), put(weights, version, epoch)).status != 200) return false;
  const RolloutsRequest request = request_of(weights, 2);
  const Answer answer = answer_to(worker.port(), rollouts(request));
  return answer.status == 200 && read_groups(answer.body, request, "answer").size() == 2;
}

// The published file of a tiny policy, with changed weights or metadata where a test says so.
std::string published(const testing::TinyPolicy& tiny,
                      const std::function<void(std::map<std::string, std::string>&)>& change = {},
                      float first_weight = 0.25F) {
  const testing::TemporaryDirectory directory;
  Weights weights = tiny.weights;
  weights.values()[0] = first_weight;
  std::map<std::string, std::string> metadata{{"config.json", tiny.config.hf_json},
                                              {"dtype", "float32"},
                                              {"mla_prefix", "absorbed"},
                                              {"eos_token_ids", "{}"}};
  if (change) change(metadata);
  write_safetensors(directory / "model.safetensors", tensor_bytes(weights), metadata);
  return read_file(directory / "model.safetensors");
}

}  // namespace

TEST_CASE("worker: each route asks for its own scope, and health for none", "[rollout]") {
  const testing::TemporaryDirectory directory;
  const fs::path file = directory / "tokens";
  std::ofstream(file) << "generate " << kGenerate << "\npublish " << kPublish << "\nmetrics "
                      << kMetrics << "\n";
  ::chmod(file.c_str(), 0600);
  FakeBackend backend;
  const ServedWorker worker(backend, {.tokens = BearerTokens::read(file)});
  const auto status = [&](const std::string& text) {
    return answer_to(worker.port(), text).status;
  };
  const auto bearer = [](const std::string& token) {
    return testing::Fields{{"Authorization", token.empty() ? "" : "Bearer " + token}};
  };
  const auto statuses = [&](const std::string& token) {
    const testing::Fields fields = bearer(token);
    return std::vector<int>{status(get("/health", fields)), status(get("/metrics", fields)),
                            status(put("weights", testing::label_for("weights"), fields)),
                            status(rollouts(request_of("weights"), fields))};
  };
  CHECK(statuses("") == std::vector<int>{200, 401, 401, 401});
  CHECK(statuses("unknown-0123456789") == std::vector<int>{200, 401, 401, 401});
  CHECK(statuses(kMetrics) == std::vector<int>{200, 200, 403, 403});
  CHECK(statuses(kPublish) == std::vector<int>{200, 403, 200, 403});
  CHECK(statuses(kGenerate) == std::vector<int>{200, 403, 403, 200});
  const Answer refused = answer_to(worker.port(), get("/metrics"));
  CHECK(refused.head.find("WWW-Authenticate: Bearer") != std::string::npos);
}

TEST_CASE("worker: a path or a method that is none of its is told what there is", "[rollout]") {
  FakeBackend backend;
  const ServedWorker worker(backend);
  for (const char* path :
       {"/", "/v1", "/v1/rollouts/", "/v1/weights", "/healthy", "/v2/rollouts"}) {
    INFO(path);
    const Answer answer = answer_to(worker.port(), get(path));
    CHECK(answer.status == 404);
    CHECK(message_of(answer).find("/v1/weights/{version}") != std::string::npos);
  }
  const std::vector<std::pair<std::string, std::string>> allowed = {
      {"/health", "GET"}, {"/metrics", "GET"}, {"/v1/rollouts", "POST"}, {"/v1/weights/1", "PUT"}};
  for (const auto& [path, method] : allowed) {
    for (const char* other : {"GET", "POST", "PUT", "DELETE", "PATCH"}) {
      if (method == other) continue;
      INFO(other << " " << path);
      const Answer answer = answer_to(worker.port(), message(other, path, {}, ""));
      CHECK(answer.status == 405);
      CHECK(answer.head.find("Allow: " + method) != std::string::npos);
    }
  }
  CHECK(answer_to(worker.port(), message("GET", "/health", {}, "body")).status == 413);
}

TEST_CASE("worker: weights whose headers are wrong are refused before they come", "[rollout]") {
  FakeBackend backend;
  const ServedWorker worker(backend);
  const WeightsLabel label = testing::label_for("weights");
  const auto with = [&](const char* field, const std::string& value) {
    return answer_to(worker.port(), put("weights", label, {{field, value}})).status;
  };
  for (const char* field : {kLearnerHeader, kEpochHeader, kSha256Header, kLabelHeader}) {
    INFO(field);
    CHECK(with(field, "") == 400);
  }
  for (const char* wrong : {"-1", "1.5", "x", "99999999999999999999", "0x1", "+1"}) {
    INFO(wrong);
    CHECK(with(kEpochHeader, wrong) == 400);
    CHECK(answer_to(worker.port(), message("PUT", std::string(kWeightsPath) + wrong,
                                           testing::fields_of(label), "weights"))
              .status == 400);
  }
  CHECK(with(kSha256Header, label.sha256.substr(1)) == 400);
  CHECK(with(kSha256Header, "F" + label.sha256.substr(1)) == 400);
  CHECK(with(kEpochHeader, "2") == 422);  // the label's hash is another's
  CHECK(with(kLearnerHeader, "another") == 422);
  CHECK(with(kLabelHeader, std::string(64, '0')) == 422);
  CHECK(answer_to(worker.port(),
                  message("PUT", "/v1/weights/2", testing::fields_of(label), "weights"))
            .status == 422);
  testing::Fields fields = testing::fields_of(label);
  std::string chunked = message("PUT", "/v1/weights/1", fields, "");
  chunked.replace(chunked.find("Content-Length: 0"), 17, "Transfer-Encoding: chunked");
  CHECK(answer_to(worker.port(), chunked + "7\r\nweights\r\n0\r\n\r\n").status == 411);
  CHECK(worker.num_staged() == 0);
  CHECK_FALSE(worker.health().weights);
  CHECK(serves(worker, "weights", 1));
}

TEST_CASE("worker: weights are taken over, and an answer says which", "[rollout]") {
  FakeBackend backend;
  const ServedWorker worker(backend);
  const Answer answer = answer_to(worker.port(), put("weights", 3, 5));
  CHECK(answer.status == 200);
  const WeightsLabel label = testing::label_for("weights", 3, 5);
  CHECK(answer.head.find(std::string(kAnswersHeader) + ": " + label_sha256(label)) !=
        std::string::npos);
  const auto here = worker.health().weights;
  REQUIRE(here);
  CHECK(label_sha256(*here) == label_sha256(label));
  CHECK(worker.num_staged() == 0);
}

TEST_CASE("worker: later weights supersede earlier ones and never the other way", "[rollout]") {
  int loads = 0;
  FakeBackend backend;
  backend.on_load = [&](const std::string&) { ++loads; };
  const ServedWorker worker(backend);
  const auto status = [&](const std::string& weights, std::int64_t version, std::int64_t epoch) {
    return answer_to(worker.port(), put(weights, version, epoch)).status;
  };
  CHECK(status("a", 5, 10) == 200);
  CHECK(status("a", 5, 10) == 200);  // the same again
  CHECK(loads == 1);                 // and not loaded again
  CHECK(status("b", 4, 10) == 409);
  CHECK(status("b", 5, 10) == 409);
  CHECK(status("b", 9, 9) == 409);
  CHECK(status("b", 6, 10) == 200);
  CHECK(status("c", 1, 11) == 200);  // a learner that started later
  CHECK(status("b", 7, 10) == 409);
  CHECK(loads == 3);
  const Answer refused = answer_to(worker.port(), put("b", 7, 10));
  CHECK(message_of(refused) ==
        "version 7 of the learner started at 10 does not come after what is here, version 1 of the "
        "learner started at 11");
  CHECK(serves(worker, "c", 1, 11));
}

TEST_CASE("worker: weights that are not what they should be leave the old ones", "[rollout]") {
  FakeBackend backend;
  const ServedWorker worker(backend, {.open = true, .max_weights_bytes = 100});
  REQUIRE(serves(worker, "old", 1));
  SECTION("of another hash") {
    const Answer answer = answer_to(worker.port(), put("news", testing::label_for("new!", 2)));
    CHECK(answer.status == 422);
    CHECK(message_of(answer) == "expected weights of hash " + sha256_hex(std::string("new!")) +
                                    ", got " + sha256_hex(std::string("news")));
    CHECK(eventually([&] { return worker.notes().size() == 1; }));
  }
  SECTION("refused by the policy") {
    const Answer answer = answer_to(worker.port(), put("wrong", 2));
    CHECK(answer.status == 422);
    CHECK(message_of(answer) == "weights: expected right, got wrong");
  }
  SECTION("larger than the limit") {
    CHECK(answer_to(worker.port(), put(std::string(101, 'x'), 2)).status == 413);
    CHECK(answer_to(worker.port(), put(std::string(100, 'x'), 2)).status == 200);
    CHECK(answer_to(worker.port(), put("old", 3)).status == 200);
  }
  SECTION("an upload that breaks off") {
    RawConnection connection(worker.port());
    const std::string text = put(std::string(90, 'x'), 2);
    connection.send(text.substr(0, text.size() - 10));
    CHECK(eventually([&] { return worker.num_staged() == 1; }));
    SECTION("while it is on its way no other comes") {
      CHECK(answer_to(worker.port(), put("new", 2)).status == 503);
      connection.send(text.substr(text.size() - 10));
      CHECK(read_answer(connection).status == 200);
      CHECK(answer_to(worker.port(), put("old", 3)).status == 200);
    }
    SECTION("leaves nothing behind") {
      connection.close();
    }
    SECTION("leaves nothing behind, reset") {
      connection.reset();
    }
  }
  CHECK(eventually([&] { return worker.num_staged() == 0; }));
  const Answer answer = answer_to(worker.port(), rollouts(request_of("old")));
  CHECK(answer.status == 200);
  CHECK(serves(worker, "next", 9));
}

TEST_CASE("worker: a full disk refuses weights and nothing else", "[rollout]") {
  FakeBackend backend;
  const ServedWorker worker(backend);
  REQUIRE(serves(worker, "old", 1));
  const std::string large(300'000, 'x');
  {
    const FileSizeLimit full(1000);
    RawConnection connection(worker.port());
    connection.send(put(large, 2));
    CHECK(read_answer(connection).status == 507);
    CHECK(answer_to(worker.port(), rollouts(request_of("old"))).status == 200);
  }
  CHECK(eventually([&] { return worker.num_staged() == 0; }));
  CHECK(serves(worker, large, 2));
}

TEST_CASE("worker: a request that is damaged or too large is refused", "[rollout]") {
  FakeBackend backend;
  const ServedWorker worker(
      backend, {.open = true, .max_request_bytes = 1000, .max_tokens = 40, .max_completions = 6});
  REQUIRE(serves(worker, "weights", 1));
  const auto post = [&](const RolloutsRequest& request, const testing::Fields& changes = {}) {
    return answer_to(worker.port(), rollouts(request, changes));
  };
  RolloutsRequest request = request_of("weights");
  CHECK(post(request, {{kSha256Header, ""}}).status == 400);
  CHECK(post(request, {{kSha256Header, "x"}}).status == 400);
  const Answer damaged = post(request, {{kSha256Header, std::string(64, '0')}});
  CHECK(damaged.status == 422);
  const Answer no_json = answer_to(worker.port(), rollouts(std::string("{\"seed\":")));
  CHECK(no_json.status == 400);
  request.sampling.temperature = -1;
  CHECK(message_of(post(request)) ==
        "request: temperature: expected a finite number of at least 0, got -1.0");
  request.sampling.temperature = 1;
  request.sampling.max_new_tokens = 20;
  CHECK(post(request).status == 200);
  request.sampling.max_new_tokens = 21;
  const Answer too_many = post(request);
  CHECK(too_many.status == 413);
  CHECK(message_of(too_many) ==
        "expected at most 40 tokens (completions times max_new_tokens), got 42");
  request.sampling.max_new_tokens = 1;
  request.requests[0].num_generations = 7;
  CHECK(message_of(post(request)) == "expected at most 6 completions, got 7");
  request = request_of("weights");
  request.requests[0].prompt.assign(400, 1);
  CHECK(write_rollouts_request(request).size() > 800);
  request.requests[0].prompt.assign(600, 1);
  CHECK(post(request).status == 413);
}

TEST_CASE("worker: rollouts are answered from the weights they name and from no others",
          "[rollout]") {
  FakeBackend backend;
  const ServedWorker worker(backend);
  const Answer none = answer_to(worker.port(), rollouts(request_of("weights")));
  CHECK(none.status == 409);
  CHECK(message_of(none).find("none yet") != std::string::npos);
  REQUIRE(answer_to(worker.port(), put("weights", 1)).status == 200);
  const std::string text = rollouts(request_of("weights", 3));
  const Answer answer = answer_to(worker.port(), text);
  CHECK(answer.status == 200);
  const auto header = [&](const char* name, const std::string& value) {
    return answer.head.find(std::string(name) + ": " + value) != std::string::npos;
  };
  CHECK(header(kSha256Header, sha256_hex(answer.body)));
  CHECK(header(kAnswersHeader, sha256_hex(write_rollouts_request(request_of("weights", 3)))));
  CHECK(answer_to(worker.port(), text).body == answer.body);
  CHECK(answer_to(worker.port(), rollouts(request_of("others"))).status == 409);
}

TEST_CASE("worker: rollouts that waited while other weights came are refused", "[rollout]") {
  Gate gate;
  FakeBackend backend;
  backend.on_batch = [&](auto, const auto&) {
    while (!gate.is_open()) gate.wait_a_moment();
  };
  const ServedWorker worker(backend);
  REQUIRE(answer_to(worker.port(), put("old", 1)).status == 200);
  RawConnection first(worker.port()), weights(worker.port()), late(worker.port());
  first.send(rollouts(request_of("old")));
  REQUIRE(eventually([&] { return backend.batches().size() == 1; }));
  weights.send(put("new", 2));
  REQUIRE(eventually([&] { return worker.health().queued == 1; }));
  late.send(rollouts(request_of("old", 2)));
  REQUIRE(eventually([&] { return worker.health().queued == 2; }));
  gate.open();
  CHECK(read_answer(first).status == 200);
  CHECK(read_answer(weights).status == 200);
  CHECK(read_answer(late).status == 409);
  CHECK(backend.batches() == std::vector<std::size_t>{1});
}

TEST_CASE("worker: requests that sample alike run together and are answered one by one",
          "[rollout]") {
  Gate start, second_group;
  FakeBackend backend;
  backend.on_batch = [&](auto, const auto&) {
    while (!start.is_open()) start.wait_a_moment();
  };
  backend.on_group_due = [&](std::size_t index) {
    while (index == 2 && !second_group.is_open()) second_group.wait_a_moment();
  };
  const ServedWorker worker(backend);
  REQUIRE(answer_to(worker.port(), put("weights", 1)).status == 200);
  RawConnection busy(worker.port()), a(worker.port()), b(worker.port()), other(worker.port());
  const auto send = [&](RawConnection& connection, const RolloutsRequest& request,
                        std::int64_t queued) {
    connection.send(rollouts(request));
    REQUIRE(
        eventually([&] { return worker.health().queued == queued && !backend.batches().empty(); }));
  };
  RolloutsRequest hotter = request_of("weights");
  hotter.sampling.temperature = 2;
  send(busy, request_of("weights"), 0);
  send(a, request_of("weights", 2), 1);
  send(b, request_of("weights", 3), 2);
  send(other, hotter, 3);
  start.open();
  CHECK(read_answer(busy).status == 200);
  CHECK(read_answer(a).status == 200);  // while the third group of its batch is not there yet
  CHECK(backend.batches() == std::vector<std::size_t>{1, 5});
  second_group.open();
  const Answer of_b = read_answer(b);
  CHECK(read_groups(of_b.body, request_of("weights", 3), "answer").size() == 3);
  CHECK(read_answer(other).status == 200);
  CHECK(backend.batches() == std::vector<std::size_t>{1, 5, 1});
}

TEST_CASE("worker: a full queue refuses what comes and serves what waits", "[rollout]") {
  const auto limit = GENERATE(0, 1, 2);
  Gate gate;
  FakeBackend backend;
  backend.on_batch = [&](auto, const auto&) {
    while (!gate.is_open()) gate.wait_a_moment();
  };
  WorkerConfig config;
  config.open = true;
  if (limit == 0) config.max_queue = 2;
  if (limit == 1) config.max_tokens = 16;  // each asks for 8
  if (limit == 2) config.max_completions = 4;
  const ServedWorker worker(backend, config);
  REQUIRE(answer_to(worker.port(), put("weights", 1)).status == 200);
  RawConnection running(worker.port()), first(worker.port()), second(worker.port());
  running.send(rollouts(request_of("weights")));
  REQUIRE(eventually([&] { return backend.batches().size() == 1; }));
  first.send(rollouts(request_of("weights")));
  second.send(rollouts(request_of("weights")));
  REQUIRE(eventually([&] { return worker.health().queued == 2; }));
  CHECK(metric(worker, "queue_requests") == 2);
  CHECK(answer_to(worker.port(), rollouts(request_of("weights"))).status == 503);
  CHECK(metric(worker, "refused_total") == 1);
  gate.open();
  CHECK(read_answer(running).status == 200);
  CHECK(read_answer(first).status == 200);
  CHECK(read_answer(second).status == 200);
  CHECK(answer_to(worker.port(), rollouts(request_of("weights"))).status == 200);
}

TEST_CASE("worker: what nobody waits for is given up, waiting or running", "[rollout]") {
  FakeBackend backend;
  Gate gate;
  backend.on_batch = [&](auto, const auto& on_progress) {
    while (!gate.is_open()) {
      on_progress();
      gate.wait_a_moment();
    }
  };
  const ServedWorker worker(backend);
  REQUIRE(answer_to(worker.port(), put("weights", 1)).status == 200);
  {
    RawConnection running(worker.port());
    running.send(rollouts(request_of("weights")));
    REQUIRE(eventually([&] { return backend.batches().size() == 1; }));
    RolloutsRequest other = request_of("weights");
    other.sampling.seed = 9;
    RawConnection waiting(worker.port()), patient(worker.port());
    waiting.send(rollouts(other));
    REQUIRE(eventually([&] { return worker.health().queued == 1; }));
    patient.send(rollouts(request_of("weights", 2)));
    REQUIRE(eventually([&] { return worker.health().queued == 2; }));
    waiting.close();
    CHECK(eventually([&] { return worker.num_connections() <= 3; }));
    running.close();
    CHECK(eventually([&] { return backend.batches().size() == 2; }));
    gate.open();
    CHECK(read_answer(patient).status == 200);
  }
  CHECK(backend.batches() == std::vector<std::size_t>{1, 2});
  CHECK(metric(worker, "given_up_total") == 2);
  CHECK(metric(worker, "rollouts_total") == 1);
}

TEST_CASE("worker: a backend that fails fails the request and no more", "[rollout]") {
  FakeBackend backend;
  backend.on_batch = [&](std::span<const GenerateRequest> requests, const auto&) {
    for (const GenerateRequest& request : requests) {
      if (request.prompt[0] == 66) throw std::runtime_error("on fire");
      if (request.prompt[0] == 67) throw std::invalid_argument("no such token");
    }
  };
  const ServedWorker worker(backend);
  REQUIRE(serves(worker, "weights", 1));
  RolloutsRequest request = request_of("weights");
  request.requests[0].prompt = {66};
  CHECK(answer_to(worker.port(), rollouts(request)).status == 500);
  CHECK(worker.notes() == std::vector<std::string>{"sampling failed: on fire"});
  request.requests[0].prompt = {67};
  const Answer refused = answer_to(worker.port(), rollouts(request));
  CHECK(refused.status == 422);
  CHECK(message_of(refused) == "no such token");
  CHECK(metric(worker, "refused_total") == 2);
  CHECK(metric(worker, "given_up_total") == 0);
  CHECK(answer_to(worker.port(), rollouts(request_of("weights"))).status == 200);
}

TEST_CASE("worker: a request that the policy cannot take fails alone in its batch", "[rollout]") {
  Gate gate;
  FakeBackend backend;
  backend.on_batch = [&](std::span<const GenerateRequest> requests, const auto&) {
    while (!gate.is_open()) gate.wait_a_moment();
    for (const GenerateRequest& request : requests) {
      if (request.prompt[0] == 67) throw std::invalid_argument("no such token");
    }
  };
  const ServedWorker worker(backend);
  REQUIRE(answer_to(worker.port(), put("weights", 1)).status == 200);
  RawConnection first(worker.port()), good(worker.port()), bad(worker.port());
  first.send(rollouts(request_of("weights")));
  REQUIRE(eventually([&] { return backend.batches().size() == 1; }));
  RolloutsRequest wrong = request_of("weights");
  wrong.requests[0].prompt = {67};
  bad.send(rollouts(wrong));
  REQUIRE(eventually([&] { return worker.health().queued == 1; }));
  good.send(rollouts(request_of("weights", 2)));
  REQUIRE(eventually([&] { return worker.health().queued == 2; }));
  gate.open();
  CHECK(read_answer(bad).status == 422);
  CHECK(read_answer(good).status == 200);
  CHECK(backend.batches() == std::vector<std::size_t>{1, 3, 1, 2});
}

TEST_CASE("worker: one that ends gives up what runs and drops what waits", "[rollout]") {
  FakeBackend backend;
  Gate never;
  backend.on_batch = [&](auto, const auto& on_progress) {
    for (;;) {
      on_progress();
      never.wait_a_moment();
    }
  };
  auto worker = std::make_unique<ServedWorker>(backend);
  REQUIRE(answer_to(worker->port(), put("weights", 1)).status == 200);
  RawConnection running(worker->port()), waiting(worker->port()), weights(worker->port());
  running.send(rollouts(request_of("weights")));
  REQUIRE(eventually([&] { return backend.batches().size() == 1; }));
  waiting.send(rollouts(request_of("weights", 2)));
  REQUIRE(eventually([&] { return worker->health().queued == 1; }));
  weights.send(put("new", 2));
  REQUIRE(eventually([&] { return worker->health().queued == 2; }));
  worker.reset();
  CHECK(running.read_all().empty());
  CHECK(waiting.read_all().empty());
  CHECK(weights.read_all().empty());
}

TEST_CASE("worker: metrics are Prometheus text and count", "[rollout]") {
  FakeBackend backend;
  const ServedWorker worker(backend);
  CHECK(metric(worker, "policy_version") == -1);
  REQUIRE(answer_to(worker.port(), put("weights", 3)).status == 200);
  REQUIRE(answer_to(worker.port(), rollouts(request_of("weights", 3))).status == 200);
  // The groups leave as they finish, before the time of sampling them is added.
  REQUIRE(eventually([&] { return metric(worker, "generate_seconds_total") > 0; }));
  const Answer answer = answer_to(worker.port(), get("/metrics"));
  CHECK(answer.status == 200);
  CHECK(answer.head.find("text/plain; version=0.0.4") != std::string::npos);
  const auto value = [&](const char* name) { return metric_of(answer.body, name); };
  CHECK(value("completions_total") == 6);
  CHECK(value("tokens_total") == 6);
  CHECK(value("groups_total") == 3);
  CHECK(value("rollouts_total") == 1);
  CHECK(value("weights_total") == 1);
  CHECK(value("weights_bytes_total") == 7);
  CHECK(value("policy_version") == 3);
  CHECK(value("preemptions_total") == 2);
  CHECK(value("recomputed_tokens_total") == 30);
  CHECK(value("load_seconds_total") > 0);
  // Every line is a comment or "name number", and every sample has its help and its type.
  std::istringstream lines(answer.body);
  int samples = 0, helps = 0, types = 0;
  for (std::string line; std::getline(lines, line);) {
    helps += line.starts_with("# HELP zeroth_worker_") ? 1 : 0;
    types += line.starts_with("# TYPE zeroth_worker_") ? 1 : 0;
    if (line.starts_with("#")) continue;
    ++samples;
    char name[100];
    double number = 0;
    CHECK(std::sscanf(line.c_str(), "zeroth_worker_%99[a-z_] %lf", name, &number) == 2);
  }
  CHECK(samples == 14);
  CHECK(helps == samples);
  CHECK(types == samples);
}

TEST_CASE("worker: its health says what it is and holds", "[rollout]") {
  FakeBackend backend;
  const ServedWorker worker(
      backend,
      {.version = "1.2.3", .isa = "avx2", .numerics = {{"float32", "float32-00"}}, .open = true});
  const Answer answer = answer_to(worker.port(), get("/health"));
  CHECK(answer.head.find(std::string(kSha256Header) + ": " + sha256_hex(answer.body)) !=
        std::string::npos);
  CHECK(boost::json::parse(answer.body).as_object().at("status").as_string() == "ok");
  WorkerHealth health = read_health(answer.body, "health");
  CHECK(health.version == "1.2.3");
  CHECK(health.isa == "avx2");
  CHECK(health.numerics == std::map<std::string, std::string>{{"float32", "float32-00"}});
  CHECK_FALSE(health.weights);
}

TEST_CASE("worker: its staging directory is its own", "[rollout]") {
  FakeBackend backend;
  const testing::TemporaryDirectory directory;
  const WorkerConfig config{.open = true, .staging_directory = directory / "staging"};
  fs::create_directories(directory / "staging" / "upload-7");
  std::ofstream(directory / "staging" / "upload-7" / "model.safetensors") << "left over";
  {
    const RolloutWorker worker(backend, config);
    CHECK(fs::is_empty(directory / "staging"));
    CHECK_THROWS_AS(RolloutWorker(backend, config), InputError);  // it is held
  }
  CHECK_FALSE(fs::exists(directory / "staging"));
  fs::create_directories(directory / "staging");
  std::ofstream(directory / "staging" / "thesis.tex") << "all of it";
  CHECK_THROWS_WITH(RolloutWorker(backend, config), Catch::Contains("thesis.tex"));
  CHECK(read_file(directory / "staging" / "thesis.tex") == "all of it");
}

TEST_CASE("worker: samples what a local engine does, from what was published", "[rollout]") {
  for (const testing::TestModel& model : testing::kModels) {
    const testing::TinyPolicy tiny(model);
    const SamplingWorker worker;
    const testing::TemporaryDirectory directory;
    publish(tiny.policy, directory.path());
    const std::string weights = read_file(directory / "model.safetensors");
    REQUIRE(answer_to(worker.served.port(), put(weights, 7)).status == 200);
    RolloutsRequest request = request_of(weights);
    request.policy_version = tiny.policy.version();
    request.sampling.max_new_tokens = 9;
    request.requests = testing::mixed_requests(5);
    const Answer answer = answer_to(worker.served.port(), rollouts(request));
    REQUIRE(answer.status == 200);
    ThreadPool pool(1);
    LocalEngine local({best_isa(), &pool}, tiny.policy, {.record_experts = true});
    CHECK(answer.body == write_groups(local.generate(request.requests, request.sampling)));
    // What the policy cannot take.
    request.requests[0].prompt.assign(120, 5);
    const Answer too_long = answer_to(worker.served.port(), rollouts(request));
    CHECK(too_long.status == 422);
    CHECK(message_of(too_long).find("max_position_embeddings 128") != std::string::npos);
    request.requests[0].prompt = {40};
    CHECK(answer_to(worker.served.port(), rollouts(request)).status == 422);
  }
}

TEST_CASE("worker: what its cache cannot hold is refused alone, with the bytes it would take",
          "[rollout]") {
  const testing::TinyPolicy tiny(testing::kTinyQwen2);
  const std::int64_t page = 4 * cache_bytes_per_token(tiny.config);
  const SamplingWorker worker(
      SamplingWorker::worker_config(), {},
      {.page_size = 4, .max_cache_bytes = 6 * page, .record_experts = true});
  const std::string weights = published(tiny);
  REQUIRE(answer_to(worker.served.port(), put(weights)).status == 200);
  RolloutsRequest request = request_of(weights);
  request.sampling.max_new_tokens = 9;  // two pages
  request.requests[0].prompt.assign(17, 5);
  const Answer refused = answer_to(worker.served.port(), rollouts(request));
  CHECK(refused.status == 422);
  CHECK(message_of(refused).find("max_cache_bytes: expected at least " +
                                 std::to_string(7 * page)) != std::string::npos);
  request.requests[0].prompt.assign(16, 5);
  CHECK(answer_to(worker.served.port(), rollouts(request)).status == 200);
}

TEST_CASE("worker: a policy that is wrong is refused and the one before it serves on",
          "[rollout]") {
  const testing::TinyPolicy tiny(testing::kTinyDeepseek);
  const SamplingWorker worker;
  const std::uint16_t port = worker.served.port();
  const std::string good = published(tiny);
  REQUIRE(answer_to(port, put(good, 1)).status == 200);
  RolloutsRequest request = request_of(good);
  request.requests = testing::mixed_requests(3);
  const std::string before = answer_to(port, rollouts(request)).body;
  const auto with_config = [&](const char* key, const boost::json::value& value) {
    return published(tiny, [&](std::map<std::string, std::string>& metadata) {
      boost::json::object config = boost::json::parse(metadata["config.json"]).as_object();
      config[key] = value;
      metadata["config.json"] = boost::json::serialize(config);
    });
  };
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"no safetensors", "weights: all of them"},
      {"nothing", ""},
      {"cut", good.substr(0, good.size() - 4)},
      {"not finite", published(tiny, {}, std::numeric_limits<float>::infinity())},
      {"another shape", with_config("hidden_size", 32)},
      // Nothing of what a configuration promises is believed, or reserved, before it is there.
      {"more layers", with_config("num_hidden_layers", 1000)},
      {"more experts", with_config("n_routed_experts", 4096)},
      {"a vocabulary of terabytes", with_config("vocab_size", std::int64_t{1} << 40)},
      {"positions of terabytes", with_config("max_position_embeddings", std::int64_t{1} << 31)},
      {"another dtype", published(tiny, [](auto& metadata) { metadata["dtype"] = "int4"; })},
      {"no config", published(tiny, [](auto& metadata) { metadata.erase("config.json"); })}};
  std::int64_t version = 2;
  for (const auto& [what, weights] : wrong) {
    INFO(what);
    CHECK(answer_to(port, put(weights, version++)).status == 422);
    CHECK(answer_to(port, rollouts(request)).body == before);
  }
  CHECK(worker.served.notes().size() == wrong.size());
  CHECK(worker.served.num_staged() == 0);
}

TEST_CASE("worker: damaged messages are refused and good ones answered after them", "[rollout]") {
  FakeBackend backend;
  const ServedWorker worker(backend);
  REQUIRE(answer_to(worker.port(), put("weights", 1)).status == 200);
  const std::string post = rollouts(request_of("weights", 2));
  const std::string good = answer_to(worker.port(), post).body;
  REQUIRE_FALSE(good.empty());
  int refused = 0;
  for (unsigned seed = 0; seed < 600; ++seed) {
    const std::string text = seed % 2 == 0 ? post : put("weights", 1);
    RawConnection connection(worker.port());
    connection.send(testing::mutate(text, seed));
    connection.end_sending();
    const std::string answer = connection.read_all();
    CHECK(answer.find("<timeout>") == std::string::npos);
    const int status = testing::status_of(answer);
    refused += status >= 400 ? 1 : 0;
    CHECK((status == 0 || status == 100 || status == 200 || status >= 400));
    CHECK(status != 500);
    if (seed % 50 == 0) CHECK(answer_to(worker.port(), post).body == good);
  }
  CHECK(refused > 400);
  const auto here = worker.health().weights;
  REQUIRE(here);
  CHECK(label_sha256(*here) == label_sha256(testing::label_for("weights")));
  CHECK(answer_to(worker.port(), post).body == good);
  CHECK(worker.num_staged() == 0);
}

}  // namespace zeroth
