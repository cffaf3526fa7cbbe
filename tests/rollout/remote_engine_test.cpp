#include "rollout/remote_engine.h"

#include <sys/stat.h>

#include <atomic>
#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <set>
#include <stdexcept>
#include <thread>

#include "rollout/group_record.h"
#include "rollout/local_engine.h"
#include "tests/rollout/worker_fixture.h"
#include "tests/support/fault_proxy.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;
using testing::eventually;
using testing::FaultProxy;
using testing::Gate;
using testing::Listener;
using testing::same_bytes;
using testing::SamplingWorker;
using testing::ServedWorker;

const SamplingParams kSampling{.temperature = 0.9, .max_new_tokens = 12, .seed = 21, .stream = 2};

// A policy, what this process samples from it, and the configuration of engines that do not.
struct Learner {
  explicit Learner(const testing::TestModel& model = testing::kTinyDeepseek,
                   Dtype dtype = Dtype::float32)
      : tiny(model, dtype),
        local({best_isa(), &pool}, tiny.policy, {.record_experts = true}),
        requests(testing::mixed_requests(12)),
        expected(local.generate(requests, kSampling)) {}

  RemoteEngineConfig config(std::vector<std::string> workers) {
    RemoteEngineConfig config;
    config.workers = std::move(workers);
    config.learner = "run";
    config.epoch = 1000;
    config.numerics =
        SamplingWorker::worker_config().numerics.at(std::string(dtype_name(tiny.policy.dtype())));
    config.publish_directory = directory / ("published-" + std::to_string(++num_engines));
    config.no_worker_seconds = testing::kPatience;
    config.note = [this](const std::string& text) { notes.push_back(text); };
    return config;
  }
  // Other weights, as after a step.
  void step() {
    for (float& value : tiny.weights.values()) value *= 1.01F;
    tiny.policy.update();
    expected = local.generate(requests, kSampling);
  }
  bool noted(const std::string& part) const {
    return std::any_of(notes.begin(), notes.end(), [&](const std::string& text) {
      return text.find(part) != std::string::npos;
    });
  }

  testing::TinyPolicy tiny;
  ThreadPool pool{1};
  LocalEngine local;
  std::vector<GenerateRequest> requests;
  std::vector<Group> expected;
  testing::TemporaryDirectory directory;
  int num_engines = 0;
  std::vector<std::string> notes;
};

bool gives_expected(RemoteEngine& engine, const Learner& learner) {
  return same_bytes(engine.generate(learner.requests, kSampling), learner.expected);
}

// A backend that samples, once the test lets it.
class HookedBackend : public WorkerBackend {
 public:
  explicit HookedBackend(std::function<void(const std::function<void()>&)> hook)
      : hook_(std::move(hook)) {}
  void load(const fs::path& directory) override { backend_.load(directory); }
  std::vector<Group> generate(std::span<const GenerateRequest> requests,
                              const SamplingParams& sampling, const GroupSink& on_group,
                              const std::function<void()>& on_progress) override {
    hook_(on_progress);
    return backend_.generate(requests, sampling, on_group, on_progress);
  }
  GenerationStatistics statistics() const override { return backend_.statistics(); }

 private:
  std::function<void(const std::function<void()>&)> hook_;
  ThreadPool pool_{1};
  LocalBackend backend_{{best_isa(), &pool_}, {.record_experts = true}};
};

// A worker between whose answers and the learner a test stands.
class Relay : public HttpHandler {
 public:
  using Change = std::function<void(const HttpHead& request, HttpResponse& response)>;
  Relay(const SamplingWorker& worker, Change change)
      : client_(worker.served.url()), change_(std::move(change)), server_({}, *this) {}
  ~Relay() override { server_.stop(); }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(server_.port()); }

  HttpDecision on_head(const HttpHead&) override {
    return HttpAcceptBody{.max_body_bytes = std::uint64_t{1} << 30};
  }
  void on_request(HttpRequest request, HttpResponder responder) override {
    HttpClientRequest asked{.method = request.head.method,
                            .target = request.head.path,
                            .headers = {},
                            .body = std::move(request.body)};
    for (const auto& [name, value] : request.head.headers) {
      if (name.starts_with("Zeroth-")) asked.headers.add(name, value);
    }
    HttpResponse answer = client_.send(asked);
    HttpResponse response{.status = answer.status, .headers = {}, .body = std::move(answer.body)};
    for (const auto& [name, value] : answer.headers) {
      if (name.starts_with("Zeroth-")) response.headers.add(name, value);
    }
    change_(request.head, response);
    responder.answer(std::move(response));
  }

 private:
  HttpClient client_;
  Change change_;
  HttpServer server_;
};

void replace_header(HttpResponse& response, const std::string& name, const std::string& value) {
  HttpHeaders headers;
  for (const auto& [n, v] : response.headers) headers.add(n, n == name ? value : v);
  response.headers = headers;
}

// Changes the groups of an answer and makes its hash right again.
void change_groups(HttpResponse& response, const std::function<void(std::vector<Group>&)>& change) {
  std::uint32_t count = 0;
  std::memcpy(&count, response.body.data(), sizeof count);
  auto bytes = std::as_bytes(std::span(response.body)).subspan(sizeof count);
  std::vector<Group> groups;
  while (count-- > 0) groups.push_back(read_group_record(bytes, "answer"));
  change(groups);
  response.body = write_groups(groups);
  replace_header(response, kSha256Header, sha256_hex(response.body));
}

std::uint16_t unused_port() {
  return Listener().port();
}
std::string url_of(std::uint16_t port) {
  return "http://127.0.0.1:" + std::to_string(port);
}

std::size_t num_entries(const char* directory) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(directory), {}));
}

}  // namespace

TEST_CASE("remote engine: any number of workers gives the bytes of a local engine", "[rollout]") {
  for (const testing::TestModel& model : testing::kModels) {
    for (const Dtype dtype : {Dtype::float32, Dtype::bfloat16}) {
      Learner learner(model, dtype);
      for (const int num_workers : {1, 2, 4}) {
        std::vector<std::unique_ptr<SamplingWorker>> workers;
        std::vector<std::string> urls;
        for (int i = 0; i < num_workers; ++i) {
          workers.push_back(std::make_unique<SamplingWorker>());
          urls.push_back(workers.back()->served.url());
        }
        RemoteEngine engine(learner.tiny.policy, learner.config(urls));
        std::multiset<std::size_t> handed_out;
        const auto caller = std::this_thread::get_id();
        const std::vector<Group> groups = engine.generate(
            learner.requests, kSampling, [&](std::size_t index, const Group& group) {
              handed_out.insert(index);
              CHECK(std::this_thread::get_id() == caller);
              CHECK(same_bytes({group}, {learner.expected[index]}));
            });
        CHECK(same_bytes(groups, learner.expected));
        std::multiset<std::size_t> all;
        for (std::size_t i = 0; i < groups.size(); ++i) all.insert(i);
        CHECK(handed_out == all);
      }
      CHECK(learner.notes.empty());
    }
  }
}

TEST_CASE("remote engine: other weights, keys or sampling give other bytes", "[rollout]") {
  Learner learner;
  const SamplingWorker worker;
  RemoteEngine engine(learner.tiny.policy, learner.config({worker.served.url()}));
  REQUIRE(gives_expected(engine, learner));
  SamplingParams other = kSampling;
  ++other.seed;
  CHECK_FALSE(same_bytes(engine.generate(learner.requests, other), learner.expected));
  other = kSampling;
  other.temperature = 0.8;
  CHECK_FALSE(same_bytes(engine.generate(learner.requests, other), learner.expected));
  other = kSampling;
  other.top_k = 5;
  other.min_p = 0.01;
  const std::vector<Group> truncated = engine.generate(learner.requests, other);
  CHECK(same_bytes(truncated, learner.local.generate(learner.requests, other)));
  CHECK_FALSE(truncated[0].completions[0].sampling_logprobs.empty());
  const std::vector<Group> before = learner.expected;
  learner.step();
  CHECK_FALSE(same_bytes(engine.generate(learner.requests, kSampling), before));
  CHECK(gives_expected(engine, learner));
}

TEST_CASE("remote engine: weights are published after they changed and only then", "[rollout]") {
  Learner learner;
  const SamplingWorker worker;
  fs::path published;
  {
    RemoteEngineConfig config = learner.config({worker.served.url()});
    published = config.publish_directory;
    RemoteEngine engine(learner.tiny.policy, config);
    const auto num_published = [&] {
      return testing::metric_of(
          testing::answer_to(worker.served.port(), testing::message("GET", "/metrics", {}, ""))
              .body,
          "weights_total");
    };
    CHECK(num_published() == 0);
    for (int step = 1; step <= 3; ++step) {
      CHECK(gives_expected(engine, learner));
      CHECK(gives_expected(engine, learner));
      CHECK(num_published() == step);
      CHECK(worker.served.health().weights->version == learner.tiny.policy.version());
      learner.step();
    }
    CHECK(fs::exists(published));
  }
  CHECK_FALSE(fs::exists(published));
}

TEST_CASE("remote engine: a worker that comes late or comes back is used", "[rollout]") {
  Learner learner;
  const std::uint16_t port = unused_port();
  std::unique_ptr<SamplingWorker> worker;
  RemoteEngineConfig config = learner.config({url_of(port)});
  config.on_wait = [&] {
    if (!worker && learner.noted("is lost")) {
      worker = std::make_unique<SamplingWorker>(SamplingWorker::worker_config(),
                                                HttpServerConfig{.port = port});
    }
  };
  RemoteEngine engine(learner.tiny.policy, config);
  CHECK(gives_expected(engine, learner));
  CHECK(worker);
  CHECK(learner.noted(url_of(port) + " is back"));
  worker.reset();  // and everything it knew with it
  learner.notes.clear();
  CHECK(gives_expected(engine, learner));
}

TEST_CASE("remote engine: a worker that dies over its groups loses them to another", "[rollout]") {
  Learner learner;
  Gate entered;
  HookedBackend dying_backend([&](const auto& on_progress) {
    entered.open();
    for (;;) {
      on_progress();
      std::this_thread::yield();
    }
  });
  HookedBackend backend([&](const auto&) {
    while (!entered.is_open()) entered.wait_a_moment();
  });
  auto dying = std::make_unique<ServedWorker>(dying_backend, SamplingWorker::worker_config());
  const ServedWorker worker(backend, SamplingWorker::worker_config());
  const std::string dead_url = dying->url();
  RemoteEngine engine(learner.tiny.policy, learner.config({dead_url, worker.url()}));
  const auto groups = engine.generate(learner.requests, kSampling,
                                      [&](std::size_t, const Group&) { dying.reset(); });
  CHECK(same_bytes(groups, learner.expected));
  CHECK(gives_expected(engine, learner));
  CHECK(learner.noted(dead_url + " is lost"));
}

TEST_CASE("remote engine: what a stalled worker holds is sampled again", "[rollout]") {
  Learner learner;
  Gate entered;
  std::atomic<bool> given_up = false;
  HookedBackend stalled_backend([&](const auto& on_progress) {
    entered.open();
    try {
      for (;;) {
        on_progress();
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    } catch (...) {
      given_up = true;
      throw;
    }
  });
  const ServedWorker stalled(stalled_backend, SamplingWorker::worker_config());
  SECTION("by one that was there all the time") {
    HookedBackend backend([&](const auto&) {
      while (!entered.is_open()) entered.wait_a_moment();
    });
    const ServedWorker worker(backend, SamplingWorker::worker_config());
    RemoteEngine engine(learner.tiny.policy, learner.config({stalled.url(), worker.url()}));
    CHECK(gives_expected(engine, learner));
    CHECK(learner.noted(worker.url() + " samples again what " + stalled.url() + " is slow with"));
  }
  SECTION("by one that comes when all groups are out") {
    const std::uint16_t port = unused_port();
    std::unique_ptr<SamplingWorker> late;
    RemoteEngineConfig config = learner.config({stalled.url(), url_of(port)});
    config.lost_seconds = 0.5;
    std::thread starts([&] {
      while (!entered.is_open()) entered.wait_a_moment();
      late = std::make_unique<SamplingWorker>(SamplingWorker::worker_config(),
                                              HttpServerConfig{.port = port});
    });
    RemoteEngine engine(learner.tiny.policy, config);
    CHECK(gives_expected(engine, learner));
    starts.join();
  }
  SECTION("by another when the first that did dies") {
    // The first to sample again breaks off; the groups are still out, and go to the next.
    std::atomic<int> units = 0;
    HookedBackend failing_backend([&](const auto&) {
      if (++units > 1) throw std::runtime_error("fails from its second unit on");
      while (!entered.is_open()) entered.wait_a_moment();
    });
    const ServedWorker failing(failing_backend, SamplingWorker::worker_config());
    const std::uint16_t port = unused_port();
    std::unique_ptr<SamplingWorker> late;
    RemoteEngineConfig config = learner.config({stalled.url(), failing.url(), url_of(port)});
    config.note = [&](const std::string& text) {
      learner.notes.push_back(text);
      if (!late && text.find("fails from its second unit on") != std::string::npos) {
        late = std::make_unique<SamplingWorker>(SamplingWorker::worker_config(),
                                                HttpServerConfig{.port = port});
      }
    };
    RemoteEngine engine(learner.tiny.policy, config);
    CHECK(gives_expected(engine, learner));
    CHECK(late);
  }
  CHECK(eventually([&] { return given_up.load(); }));  // the call's end reaches the worker
}

TEST_CASE("remote engine: silence of lost_seconds loses a worker, whatever it was sent",
          "[rollout]") {
  Learner learner;
  RemoteEngineConfig config = learner.config({});
  config.lost_seconds = 0.4;
  SECTION("one that accepts and never says a word") {
    const SamplingWorker worker;
    const Listener silent;
    config.workers = {silent.url(), worker.served.url()};
    RemoteEngine engine(learner.tiny.policy, config);
    CHECK(gives_expected(engine, learner));
  }
  SECTION("one that falls silent over its groups") {
    std::unique_ptr<FaultProxy> proxy;
    std::atomic<int> units = 0;
    HookedBackend backend([&](const auto&) {
      if (units++ == 0) proxy->set_silent(true);
    });
    const ServedWorker worker(backend, SamplingWorker::worker_config());
    proxy = std::make_unique<FaultProxy>(worker.port(), testing::FaultRates{}, 1);
    config.workers = {proxy->url()};
    config.note = [&](const std::string& text) {
      learner.notes.push_back(text);
      proxy->set_silent(false);
    };
    RemoteEngine engine(learner.tiny.policy, config);
    CHECK(gives_expected(engine, learner));
    CHECK(learner.noted(proxy->url() + " is lost: no answer to GET /health for 0.4 s"));
    CHECK(units >= 2);
  }
  SECTION("one that falls silent while weights are taken over") {
    // A backend whose load waits; the proxy is silent meanwhile.
    struct SlowLoad : HookedBackend {
      using HookedBackend::HookedBackend;
      std::function<void()> on_load;
      void load(const fs::path& path) override {
        on_load();
        HookedBackend::load(path);
      }
    };
    SlowLoad backend([](const auto&) {});
    const ServedWorker worker(backend, SamplingWorker::worker_config());
    FaultProxy proxy(worker.port(), {}, 1);
    int loads = 0;
    backend.on_load = [&] {
      if (loads++ == 0) proxy.set_silent(true);
    };
    config.workers = {proxy.url()};
    config.note = [&](const std::string& text) {
      learner.notes.push_back(text);
      proxy.set_silent(false);
    };
    RemoteEngine engine(learner.tiny.policy, config);
    CHECK(gives_expected(engine, learner));
    CHECK(learner.noted("no answer to GET /health"));
  }
}

TEST_CASE("remote engine: a long answer is waited for while the worker's health comes",
          "[rollout]") {
  Learner learner;
  HookedBackend backend(
      [](const auto&) { std::this_thread::sleep_for(std::chrono::milliseconds(2200)); });
  const ServedWorker worker(backend, SamplingWorker::worker_config());
  RemoteEngineConfig config = learner.config({worker.url()});
  config.lost_seconds = 1.0;
  RemoteEngine engine(learner.tiny.policy, config);
  CHECK(gives_expected(engine, learner));
  CHECK(learner.notes.empty());
}

TEST_CASE("remote engine: a wrong answer is found out and asked for again", "[rollout]") {
  const auto is_groups = [](const HttpHead& request, const HttpResponse& response) {
    return request.path == kRolloutsPath && response.status == 200;
  };
  using Groups = std::vector<Group>;
  const auto groups = [&](const std::function<void(Groups&)>& change) -> Relay::Change {
    return [=](const HttpHead& request, HttpResponse& response) {
      if (is_groups(request, response)) change_groups(response, change);
    };
  };
  std::string first_answer;
  const std::vector<std::pair<std::string, Relay::Change>> lies = {
      {"a damaged byte",
       [&](const HttpHead& request, HttpResponse& response) {
         if (is_groups(request, response)) response.body[response.body.size() / 2] ^= 1;
       }},
      {"a wrong hash",
       [](const HttpHead&, HttpResponse& response) {
         replace_header(response, kSha256Header, std::string(64, '0'));
       }},
      {"no hash", [](const HttpHead&, HttpResponse& response) { response.headers = {}; }},
      {"the answer to something else",
       [](const HttpHead&, HttpResponse& response) {
         replace_header(response, kAnswersHeader, std::string(64, '1'));
       }},
      {"an empty body", [](const HttpHead&, HttpResponse& response) { response.body.clear(); }},
      {"a refusal",
       [](const HttpHead& request, HttpResponse& response) {
         if (request.method == "POST") response = error_response(500, "on fire");
       }},
      {"no permission, for a moment",
       [](const HttpHead&, HttpResponse& response) {
         response = error_response(403, "damaged token");
       }},
      {"too busy",
       [](const HttpHead& request, HttpResponse& response) {
         if (request.method == "POST") response = error_response(503, "the queue is full");
       }},
      {"no worker",
       [](const HttpHead&, HttpResponse& response) {
         response = {.status = 404, .headers = {}, .body = "<html>\x01 nothing here"};
       }},
      {"weights that are gone",
       [](const HttpHead& request, HttpResponse& response) {
         if (request.method == "POST") response = error_response(409, "none yet");
       }},
      {"a group too few", groups([](Groups& g) { g.pop_back(); })},
      {"a group twice", groups([](Groups& g) { g.push_back(g.back()); })},
      {"a completion too few", groups([](Groups& g) { g[0].completions.pop_back(); })},
      {"another version", groups([](Groups& g) { ++g[0].completions[0].policy_version; })},
      {"a token that is none", groups([](Groups& g) { g[0].completions[0].tokens[0] = 40; })},
      {"a negative token", groups([](Groups& g) { g[0].completions[0].tokens[0] = -1; })},
      {"a log-prob that is none",
       groups([](Groups& g) { g[0].completions[0].logprobs[0] = std::nanf(""); })},
      {"sampling log-probs that nobody asked for", groups([](Groups& g) {
         g[0].completions[0].sampling_logprobs = g[0].completions[0].logprobs;
       })},
      {"an expert too many", groups([](Groups& g) { g[0].completions[0].experts.push_back(0); })},
      {"an expert that is none", groups([](Groups& g) { g[0].prompt_experts[0] = 8; })},
      {"no prompt experts", groups([](Groups& g) { g[0].prompt_experts.clear(); })},
      {"a wrong reason to stop", groups([](Groups& g) {
         StopReason& reason = g[0].completions[0].stop_reason;
         reason = reason == StopReason::length ? StopReason::end_of_sequence : StopReason::length;
       })}};
  for (const auto& [what, change] : lies) {
    INFO(what);
    Learner learner;
    const SamplingWorker worker;
    std::atomic<int> told = 0;
    const Relay relay(worker, [&, lie = change](const HttpHead& request, HttpResponse& response) {
      const HttpResponse before = response;
      if (told > 0) return;
      lie(request, response);
      if (response.body != before.body || response.headers.find(kSha256Header) == nullptr ||
          *response.headers.find(kSha256Header) != *before.headers.find(kSha256Header) ||
          (before.headers.find(kAnswersHeader) != nullptr &&
           *response.headers.find(kAnswersHeader) != *before.headers.find(kAnswersHeader)))
        ++told;
    });
    RemoteEngine engine(learner.tiny.policy, learner.config({relay.url()}));
    CHECK(gives_expected(engine, learner));
    CHECK(told == 1);
  }
}

TEST_CASE("remote engine: a worker of another numerics is refused, or noted where allowed",
          "[rollout]") {
  Learner learner;
  WorkerConfig other = SamplingWorker::worker_config();
  other.numerics["float32"] = "float32-other";
  const SamplingWorker worker(other);
  RemoteEngineConfig config = learner.config({worker.served.url()});
  SECTION("refused") {
    RemoteEngine engine(learner.tiny.policy, config);
    CHECK_THROWS_AS(engine.generate(learner.requests, kSampling), InputError);
    CHECK_THROWS_WITH(engine.generate(learner.requests, kSampling),
                      Catch::Contains(worker.served.url()) && Catch::Contains("float32-other") &&
                          Catch::Contains(config.numerics));
    CHECK_FALSE(worker.served.health().weights);  // it was not even given the weights
  }
  SECTION("another serves in its place") {
    const SamplingWorker right;
    config.workers.push_back(right.served.url());
    RemoteEngine engine(learner.tiny.policy, config);
    CHECK(gives_expected(engine, learner));
    CHECK(gives_expected(engine, learner));
  }
  SECTION("allowed") {
    config.allow_mixed_numerics = true;
    RemoteEngine engine(learner.tiny.policy, config);
    CHECK(gives_expected(engine, learner));
    CHECK(gives_expected(engine, learner));
    CHECK(learner.notes.size() == 1);
    CHECK(learner.noted("float32-other"));
  }
}

TEST_CASE("remote engine: workers that refuse are all named", "[rollout]") {
  Learner learner;
  const fs::path tokens = learner.directory / "tokens";
  std::ofstream(tokens) << "generate,publish allowed-0123456789\nmetrics metrics-only-0123456789\n";
  ::chmod(tokens.c_str(), 0600);
  WorkerConfig guarded = SamplingWorker::worker_config();
  guarded.open = false;
  guarded.tokens = BearerTokens::read(tokens);
  const SamplingWorker first(guarded), second(guarded);
  RemoteEngineConfig config = learner.config({first.served.url(), second.served.url()});
  for (const char* token : {"unknown-0123456789", "metrics-only-0123456789", ""}) {
    config.http.bearer_token = token;
    RemoteEngine engine(learner.tiny.policy, config);
    CHECK_THROWS_AS(engine.generate(learner.requests, kSampling), InputError);
    CHECK_THROWS_WITH(engine.generate(learner.requests, kSampling),
                      Catch::Contains(first.served.url()) && Catch::Contains(second.served.url()) &&
                          Catch::Contains("PUT"));
  }
  config.http.bearer_token = "allowed-0123456789";
  RemoteEngine engine(learner.tiny.policy, config);
  CHECK(gives_expected(engine, learner));
}

TEST_CASE("remote engine: a later learner takes a worker for good", "[rollout]") {
  Learner learner;
  const SamplingWorker worker;
  RemoteEngineConfig config = learner.config({worker.served.url()});
  RemoteEngine engine(learner.tiny.policy, config);
  REQUIRE(gives_expected(engine, learner));
  config.epoch = 2000;
  config.learner = "later";
  config.publish_directory = learner.directory / "later";
  SECTION("between two calls") {
    RemoteEngine later(learner.tiny.policy, config);
    CHECK(gives_expected(later, learner));
    CHECK_THROWS_WITH(engine.generate(learner.requests, kSampling),
                      Catch::Contains("started later (run later"));
    CHECK_THROWS_AS(engine.generate(learner.requests, kSampling), InputError);
    CHECK(gives_expected(later, learner));
  }
  SECTION("in the midst of a call") {
    Learner other(testing::kTinyQwen2);
    config.publish_directory = other.directory / "later";
    RemoteEngine later(other.tiny.policy, config);
    bool taken = false;
    config = learner.config({worker.served.url()});
    config.epoch = 1500;
    RemoteEngine mine(learner.tiny.policy, config);
    // With one worker all groups come at once, so that a second call meets the later learner.
    mine.generate(learner.requests, kSampling, [&](std::size_t, const Group&) {
      if (!std::exchange(taken, true)) CHECK(gives_expected(later, other));
    });
    CHECK_THROWS_AS(mine.generate(learner.requests, kSampling), InputError);
  }
}

TEST_CASE("remote engine: without a worker the call ends after no_worker_seconds", "[rollout]") {
  Learner learner;
  RemoteEngineConfig config = learner.config({});
  config.no_worker_seconds = 0.3;
  SECTION("when nobody listens") {
    config.workers = {url_of(unused_port()), url_of(unused_port())};
    RemoteEngine engine(learner.tiny.policy, config);
    for (int i = 0; i < 2; ++i) {
      CHECK_THROWS_WITH(engine.generate(learner.requests, kSampling),
                        Catch::Contains("no worker was to be had for 0.3 s") &&
                            Catch::Contains(config.workers[0]) &&
                            Catch::Contains(config.workers[1]) && Catch::Contains("refused"));
    }
  }
  SECTION("when the one that listens fails every time") {
    HookedBackend backend([](const auto&) { throw std::runtime_error("out of order"); });
    const ServedWorker worker(backend, SamplingWorker::worker_config());
    config.workers = {worker.url()};
    RemoteEngine engine(learner.tiny.policy, config);
    CHECK_THROWS_WITH(engine.generate(learner.requests, kSampling),
                      Catch::Contains(worker.url()) && Catch::Contains("500 out of order"));
    CHECK(learner.notes.size() < 12);  // it is not reported lost and found forever
  }
  SECTION("when the one that listens never has room for the weights") {
    WorkerConfig small = SamplingWorker::worker_config();
    small.max_queue = 0;
    const SamplingWorker worker(small);
    config.workers = {worker.served.url()};
    RemoteEngine engine(learner.tiny.policy, config);
    CHECK_THROWS_WITH(engine.generate(learner.requests, kSampling),
                      Catch::Contains(worker.served.url()) && Catch::Contains("PUT"));
    CHECK(learner.notes.size() < 12);
  }
}

TEST_CASE("remote engine: what a caller's functions throw ends the call and no more", "[rollout]") {
  Learner learner;
  struct Stop : std::exception {};
  const SamplingWorker worker;
  RemoteEngineConfig config = learner.config({worker.served.url()});
  RemoteEngine engine(learner.tiny.policy, config);
  for (int i = 0; i < 3; ++i) {
    CHECK_THROWS_AS(engine.generate(learner.requests, kSampling,
                                    [](std::size_t, const Group&) { throw Stop(); }),
                    Stop);
    CHECK(gives_expected(engine, learner));
  }
  config = learner.config({url_of(unused_port())});
  config.on_wait = [] { throw Stop(); };
  RemoteEngine waiting(learner.tiny.policy, config);
  CHECK_THROWS_AS(waiting.generate(learner.requests, kSampling), Stop);
  config = learner.config({url_of(unused_port())});
  config.note = [](const std::string&) { throw Stop(); };
  RemoteEngine noting(learner.tiny.policy, config);
  CHECK_THROWS_AS(noting.generate(learner.requests, kSampling), Stop);
}

TEST_CASE("remote engine: two workers with two answers to one request end the call", "[rollout]") {
  Learner learner;
  std::atomic<bool> was_asked = false;
  std::atomic<bool> may_speak = false;
  std::atomic<bool> has_spoken = false;
  const SamplingWorker behind;
  HookedBackend backend([&](const auto&) { eventually([&] { return was_asked.load(); }); });
  const ServedWorker honest(backend, SamplingWorker::worker_config());
  // Says something else, and says it late: by then another has been asked as well.
  const Relay liar(behind, [&](const HttpHead& request, HttpResponse& response) {
    if (request.path != kRolloutsPath) return;
    was_asked = true;
    eventually([&] { return may_speak.load(); });
    change_groups(response, [](std::vector<Group>& groups) {
      for (Group& group : groups) group.completions[0].logprobs[0] += 0.25F;
    });
    has_spoken = true;
  });
  RemoteEngine engine(learner.tiny.policy, learner.config({liar.url(), honest.url()}));
  std::string error;
  const auto call = [&] {
    std::size_t handed_out = 0;
    was_asked = may_speak = has_spoken = false;
    try {
      engine.generate(learner.requests, kSampling, [&](std::size_t, const Group&) {
        // The last groups are the liar's, sampled again. While the caller is at one of them the
        // call goes on, and the liar has the time to be heard.
        if (++handed_out < learner.requests.size()) return;
        may_speak = true;
        eventually([&] { return has_spoken.load(); });
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
      });
    } catch (const std::runtime_error& e) {
      error = e.what();
    }
    return !error.empty();
  };
  CHECK(eventually(call));
  CHECK(error.find("gave two answers to one request") != std::string::npos);
  CHECK(error.find(liar.url()) != std::string::npos);
  CHECK(error.find(honest.url()) != std::string::npos);
}

TEST_CASE("remote engine: a worker that takes fewer groups at a time gets fewer", "[rollout]") {
  Learner learner;
  WorkerConfig small = SamplingWorker::worker_config();
  std::int64_t largest = 0;
  for (const GenerateRequest& request : learner.requests)
    largest = std::max(largest, request.num_generations);
  SECTION("as many as fit") {
    small.max_completions = largest + 2;
    const SamplingWorker worker(small);
    RemoteEngine engine(learner.tiny.policy, learner.config({worker.served.url()}));
    CHECK(gives_expected(engine, learner));
    CHECK(learner.noted("takes no request of 12 groups; it gets 6"));
    learner.notes.clear();
    CHECK(gives_expected(engine, learner));
    CHECK_FALSE(learner.noted("takes no request of 12 groups"));
  }
  SECTION("an answer that the client does not take is too large as well") {
    const SamplingWorker worker;
    const std::string one = write_groups({&learner.expected[0], 1});
    const Relay relay(worker, [&](const HttpHead&, HttpResponse& response) {
      // As if the client's limit lay below: it is 4 GiB.
      if (response.body.size() > 6 * one.size()) response = error_response(413, "as large as that");
    });
    RemoteEngine engine(learner.tiny.policy, learner.config({relay.url()}));
    CHECK(gives_expected(engine, learner));
  }
  SECTION("one that takes not even a single group is none") {
    small.max_completions = largest - 1;
    const SamplingWorker worker(small);
    RemoteEngine engine(learner.tiny.policy, learner.config({worker.served.url()}));
    CHECK_THROWS_AS(engine.generate(learner.requests, kSampling), InputError);
    CHECK_THROWS_WITH(engine.generate(learner.requests, kSampling),
                      Catch::Contains("413 expected at most " + std::to_string(largest - 1)));
  }
}

TEST_CASE("remote engine: connections are kept between calls", "[rollout]") {
  Learner learner;
  const SamplingWorker worker;
  const FaultProxy proxy(worker.served.port(), {}, 1);
  RemoteEngine engine(learner.tiny.policy, learner.config({proxy.url()}));
  for (int i = 0; i < 20; ++i) REQUIRE(gives_expected(engine, learner));
  // One for the requests and, where a call takes a second, one for the heartbeat, which may be
  // under way when the call ends.
  CHECK(proxy.num_connections() < 6);
}

TEST_CASE("remote engine: many calls leave no thread and no descriptor behind", "[rollout]") {
  Learner learner(testing::kTinyQwen2);
  learner.requests.resize(2);
  learner.expected.resize(2);
  const SamplingWorker first, second;
  RemoteEngine engine(learner.tiny.policy,
                      learner.config({first.served.url(), second.served.url()}));
  REQUIRE(gives_expected(engine, learner));
  const std::size_t threads = num_entries("/proc/self/task");
  const std::size_t files = num_entries("/proc/self/fd");
  bool same = true;
  for (int i = 0; i < 200; ++i) same = same && gives_expected(engine, learner);
  CHECK(same);
  CHECK(eventually([&] { return num_entries("/proc/self/task") == threads; }));
  // A connection that was under way when a call ended may be open or not: up to two a worker.
  CHECK(eventually([&] { return num_entries("/proc/self/fd") <= files + 8; }));
}

TEST_CASE("remote engine: bad arguments and requests are refused here", "[rollout]") {
  Learner learner;
  const auto make = [&](const std::vector<std::string>& workers) {
    return RemoteEngine(learner.tiny.policy, learner.config(workers));
  };
  CHECK_THROWS_AS(make({}), std::invalid_argument);
  CHECK_THROWS_AS(make({"nowhere"}), InputError);
  CHECK_THROWS_WITH(make({"http://127.0.0.1:1", "http://127.0.0.1:1"}),
                    Catch::Contains("http://127.0.0.1:1 twice"));
  RemoteEngine engine(learner.tiny.policy, learner.config({url_of(unused_port())}));
  const auto refuses = [&](const std::function<void(GenerateRequest&, SamplingParams&)>& change) {
    std::vector<GenerateRequest> requests = learner.requests;
    SamplingParams sampling = kSampling;
    change(requests[3], sampling);
    const auto is_refused = [&](Engine& asked) {
      try {
        asked.generate(requests, sampling);
      } catch (const std::invalid_argument&) {
        return true;
      }
      return false;
    };
    return is_refused(engine) && is_refused(learner.local);
  };
  CHECK(refuses([](GenerateRequest& request, SamplingParams&) { request.prompt.clear(); }));
  CHECK(refuses([](GenerateRequest& request, SamplingParams&) { request.prompt[0] = 40; }));
  CHECK(refuses([](GenerateRequest& request, SamplingParams&) { request.prompt[0] = -1; }));
  CHECK(refuses([](GenerateRequest& request, SamplingParams&) { request.num_generations = 0; }));
  CHECK(refuses([](GenerateRequest&, SamplingParams& sampling) { sampling.max_new_tokens = 128; }));
  CHECK(refuses([](GenerateRequest&, SamplingParams& sampling) { sampling.max_new_tokens = 0; }));
  CHECK(refuses([](GenerateRequest&, SamplingParams& sampling) { sampling.temperature = -1; }));
  CHECK(refuses([](GenerateRequest&, SamplingParams& sampling) { sampling.top_k = -1; }));
  CHECK(refuses([](GenerateRequest&, SamplingParams& sampling) { sampling.top_p = 0; }));
  SamplingParams sampling = kSampling;
  sampling.seed = std::uint64_t{1} << 63;
  CHECK_THROWS_AS(engine.generate(learner.requests, sampling), std::invalid_argument);
  CHECK(engine.generate({}, kSampling).empty());  // asks nobody
}

TEST_CASE("remote engine: a bad wire shows in no result", "[rollout]") {
  Learner learner;
  // A peer that waits for what was lost on the way gives up soon.
  HttpServerConfig server;
  server.limits.header_seconds = 0.5;
  server.limits.body_stall_seconds = 0.5;
  const SamplingWorker first(SamplingWorker::worker_config(), server);
  const SamplingWorker second(SamplingWorker::worker_config(), server);
  const SamplingWorker third(SamplingWorker::worker_config(), server);
  const testing::FaultRates rates{.end = 15, .cut = 15, .delay = 50, .corrupt = 30, .twice = 20};
  const FaultProxy proxies[] = {{first.served.port(), rates, 1},
                                {second.served.port(), rates, 2},
                                {third.served.port(), rates, 3}};
  RemoteEngineConfig config =
      learner.config({proxies[0].url(), proxies[1].url(), proxies[2].url()});
  config.http.stall_seconds = 0.5;
  config.lost_seconds = 1.0;
  RemoteEngine engine(learner.tiny.policy, config);
  for (int call = 0; call < 40; ++call) {
    INFO("call " << call);
    REQUIRE(gives_expected(engine, learner));
    if (call % 4 == 3) learner.step();
  }
  int faults = 0;
  for (const FaultProxy& proxy : proxies) faults += proxy.num_faults();
  CHECK(faults > 50);
  CHECK(learner.noted("is lost"));
  CHECK_FALSE(learner.noted("is refused"));
}

}  // namespace zeroth
