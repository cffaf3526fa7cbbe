// zeroth worker: samples for learners on other processes or machines, over HTTP.

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "rollout/local_backend.h"
#include "rollout/numerics.h"
#include "rollout/worker.h"
#include "system/error.h"
#include "system/nearest_name.h"
#include "tools/clock.h"
#include "tools/commands.h"
#include "tools/compute.h"
#include "tools/options.h"
#include "tools/stop.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;

void note(const std::string& text) {
  std::cerr << "worker: " + text + "\n";
}

// By its port, so that a worker that is started again finds and empties what it left when it was
// killed.
fs::path staging_directory(const WorkerOptions& options) {
  if (!options.staging_dir.empty()) return options.staging_dir;
  const std::int64_t number = options.port == 0 ? getpid() : options.port;
  return fs::temp_directory_path() / ("zeroth-worker-" + std::to_string(number));
}

BearerTokens read_tokens(const fs::path& file) {
  BearerTokens tokens = BearerTokens::read(file);
  const std::vector<std::string> known = worker_scopes();
  for (const std::string& scope : tokens.scopes()) {
    if (std::find(known.begin(), known.end(), scope) != known.end()) continue;
    throw InputError(
        {.source = file.string(),
         .field = "scope",
         .expected = "generate, publish or metrics; the nearest is " + nearest_name(scope, known),
         .actual = scope});
  }
  return tokens;
}

WorkerConfig worker_config(const WorkerOptions& options, const Context& context) {
  WorkerConfig config;
  config.version = ZEROTH_VERSION;
  config.isa = isa_name(context.isa);
  for (const Dtype dtype : {Dtype::float32, Dtype::bfloat16})
    config.numerics[std::string(dtype_name(dtype))] = rollout_numerics(context, dtype);
  config.open = options.token_file.empty();
  if (!config.open) config.tokens = read_tokens(options.token_file);
  config.staging_directory = staging_directory(options);
  config.max_weights_bytes = static_cast<std::uint64_t>(options.max_weights_bytes);
  config.max_request_bytes = static_cast<std::uint64_t>(options.max_request_bytes);
  config.max_queue = static_cast<std::size_t>(options.max_queue);
  return config;
}

HttpServerConfig server_config(const WorkerOptions& options) {
  HttpServerConfig config;
  config.address = options.host;
  config.port = static_cast<std::uint16_t>(options.port);
  if (!options.tls_key_file.empty())
    config.tls = TlsFiles{.certificate = options.tls_certificate_file, .key = options.tls_key_file};
  config.authenticated = !options.token_file.empty();
  config.limits.max_connections = static_cast<std::size_t>(options.max_connections);
  config.on_error = [](std::string_view text) { note(std::string(text)); };
  return config;
}

}  // namespace

int run_worker(int argc, char** argv) {
  WorkerOptions options;
  const ResolvedOptions resolved =
      resolve(argc, argv, options,
              {.name = "worker",
               .summary = "sample for learners (zeroth grpo --workers …) over HTTP",
               .positional = ""});
  if (!resolved.help.empty()) {
    std::cout << resolved.help;
    return kExitDone;
  }
  if (resolved.dry_run) {
    std::cout << to_toml_with_provenance(resolved);
    return kExitDone;
  }
  PolicyOptions compute_options;
  compute_options.num_threads = options.num_threads;
  compute_options.isa = options.isa;
  const Compute compute(compute_options);
  LocalBackend backend(compute.context(), {.max_num_seqs = options.max_num_seqs,
                                           .page_size = options.page_size,
                                           .max_cache_bytes = options.max_cache_bytes,
                                           .record_experts = true});
  const WorkerConfig config = worker_config(options, compute.context());
  for (const auto& [dtype, numerics] : config.numerics) note("numerics " + numerics);
  const StopRequest stop(0.0, monotonic_seconds);
  RolloutWorker worker(backend, config, note);
  HttpServer server(server_config(options), worker);
  const std::string host =
      options.host.find(':') == std::string::npos ? options.host : "[" + options.host + "]";
  // The one line on standard output: where it listens.
  std::cout << (options.tls_key_file.empty() ? "http://" : "https://") << host << ":"
            << server.port() << std::endl;
  note("computes with " + compute.description() + (config.open ? "; asks for no token" : ""));
  while (!stop.requested()) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  server.stop();
  return kExitDone;
}

}  // namespace zeroth
