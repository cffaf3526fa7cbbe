// The worker's own thread: takes jobs from the queue, loads weights, samples, answers.
#include <algorithm>
#include <chrono>
#include <exception>
#include <stdexcept>
#include <utility>

#include "rollout/worker_impl.h"
#include "rollout/worker_request.h"
#include "system/error.h"
#include "system/file.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

// Thrown through an engine whose answer nobody waits for.
struct GivenUp : std::exception {};

}  // namespace

void RolloutWorker::Impl::work() {
  for (;;) {
    std::vector<Job> batch = take_batch();
    if (batch.empty()) return;
    if (batch.front().upload) {
      load(batch.front());
    } else {
      sample(batch);
    }
  }
}

// The first job and, when it samples, those behind it that sample alike, up to the next weights.
std::vector<RolloutWorker::Impl::Job> RolloutWorker::Impl::take_batch() {
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
  std::vector<Job> batch;
  if (stopping_) return batch;
  const auto alike = [&](const Job& job) {
    if (batch.empty()) return true;
    if (!job.rollouts || !batch.front().rollouts) return false;
    return job.rollouts->sampling == batch.front().rollouts->sampling;
  };
  while (!queue_.empty() && alike(queue_.front())) {
    const Cost cost = cost_of(queue_.front());
    queued_.tokens -= cost.tokens;
    queued_.completions -= cost.completions;
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  return batch;
}

void RolloutWorker::Impl::load(Job& job) {
  const auto start = Clock::now();
  try {
    const fs::path file = job.upload->file();
    const std::string actual = sha256_hex_of_file(file);
    if (actual != job.label.sha256) {
      return refuse(job, kUnprocessable,
                    "expected weights of hash " + job.label.sha256 + ", got " + actual);
    }
    bool is_here = false;
    {
      const std::lock_guard lock(mutex_);
      check_fence(job.label);
      is_here = weights_ && weights_->sha256 == job.label.sha256;
    }
    if (!is_here) backend_.load(job.upload->directory());
    const auto bytes = static_cast<std::int64_t>(fs::file_size(file));
    {
      const std::lock_guard lock(mutex_);
      weights_ = job.label;
      ++counters_.weights;
      counters_.weights_bytes += bytes;
      counters_.load_seconds += std::chrono::duration<double>(Clock::now() - start).count();
    }
    HttpResponse taken = with_hash(json_response(200, R"({"status":"ok"})"));
    taken.headers.add(kAnswersHeader, label_sha256(job.label));
    answer(job, std::move(taken));
  } catch (const HttpRefusal& refusal) {
    refuse(job, refusal.response());
  } catch (const InputError& error) {
    refuse(job, kUnprocessable, error.what());
  } catch (const std::invalid_argument& error) {  // a policy that this engine does not sample
    refuse(job, kUnprocessable, error.what());
  } catch (const std::exception& error) {
    refuse(job, kInternalError, error.what());
  }
}

void RolloutWorker::Impl::sample(std::vector<Job>& batch) {
  std::vector<Job> wanted;
  for (Job& job : batch) {
    if (job.responder.is_cancelled()) {
      give_up(job);
      continue;
    }
    try {
      const std::lock_guard lock(mutex_);
      check_holds(*job.rollouts);  // weights may have been taken over since it was queued
    } catch (const HttpRefusal& refusal) {
      refuse(job, refusal.response());
      continue;
    }
    wanted.push_back(std::move(job));
  }
  if (wanted.empty()) return;
  try {
    try {
      sample_now(wanted);
    } catch (const std::invalid_argument&) {  // what the policy cannot take: whose is it?
      if (wanted.size() == 1) throw;
      for (Job& job : wanted) {
        try {
          if (!job.answered) sample_now(std::span(&job, 1));
        } catch (const std::invalid_argument& error) {
          refuse(job, kUnprocessable, error.what());
        }
      }
    }
  } catch (const GivenUp&) {
    for (Job& job : wanted) {
      if (!job.answered) give_up(job);
    }
  } catch (const std::invalid_argument& error) {
    refuse(wanted.front(), kUnprocessable, error.what());
  } catch (const std::exception& error) {
    note(std::string("sampling failed: ") + error.what());
    for (Job& job : wanted) {
      if (!job.answered) refuse(job, kInternalError, error.what());
    }
  }
}

// Samples jobs that sample alike and answers each when its last group is there. What the backend
// throws leaves those unanswered that are not finished.
void RolloutWorker::Impl::sample_now(std::span<Job> batch) {
  std::vector<GenerateRequest> requests;
  std::vector<std::pair<std::size_t, std::size_t>> place;  // job and index in it, of each request
  for (std::size_t j = 0; j < batch.size(); ++j) {
    const std::vector<GenerateRequest>& of_job = batch[j].rollouts->requests;
    batch[j].groups.assign(of_job.size(), {});
    batch[j].missing = of_job.size();
    for (std::size_t i = 0; i < of_job.size(); ++i) place.emplace_back(j, i);
    requests.insert(requests.end(), of_job.begin(), of_job.end());
  }
  const auto on_group = [&](std::size_t index, const Group& group) {
    Job& job = batch[place[index].first];
    Group& mine = job.groups[place[index].second];
    mine = group;
    for (Completion& c : mine.completions) c.policy_version = job.rollouts->policy_version;
    if (--job.missing == 0) answer_groups(job);
  };
  const auto on_progress = [&] {
    if (stopping_) throw GivenUp();
    const bool is_wanted = std::any_of(batch.begin(), batch.end(), [](const Job& job) {
      return !job.answered && !job.responder.is_cancelled();
    });
    if (!is_wanted) throw GivenUp();
  };
  const auto start = Clock::now();
  const auto count = [&] {
    const GenerationStatistics statistics = backend_.statistics();
    const std::lock_guard lock(mutex_);
    counters_.generate_seconds += std::chrono::duration<double>(Clock::now() - start).count();
    counters_.preemptions += statistics.preemptions;
    counters_.recomputed_tokens += statistics.recomputed_tokens;
  };
  try {
    backend_.generate(requests, batch.front().rollouts->sampling, on_group, on_progress);
  } catch (const InputError& error) {  // what the cache cannot hold
    count();
    throw std::invalid_argument(error.what());
  } catch (...) {
    count();
    throw;
  }
  count();
  if (std::any_of(batch.begin(), batch.end(), [](const Job& job) { return !job.answered; }))
    throw std::logic_error("the backend left groups out");
}

void RolloutWorker::Impl::give_up(Job& job) {
  {
    const std::lock_guard lock(mutex_);
    ++counters_.given_up;
  }
  answer(job, error_response(kUnavailable, "given up: nobody waits, or the worker ends"));
}

void RolloutWorker::Impl::answer_groups(Job& job) {
  HttpResponse response;
  response.body = write_groups(job.groups);
  response.headers.add("Content-Type", "application/octet-stream");
  response.headers.add(kAnswersHeader, job.sha256);
  {
    const std::lock_guard lock(mutex_);
    ++counters_.rollouts;
    for (const Group& group : job.groups) {
      ++counters_.groups;
      counters_.completions += static_cast<std::int64_t>(group.completions.size());
      for (const Completion& completion : group.completions)
        counters_.tokens += static_cast<std::int64_t>(completion.tokens.size());
    }
  }
  job.groups.clear();
  answer(job, with_hash(std::move(response)));
}

void RolloutWorker::Impl::refuse(Job& job, int status, const std::string& message) {
  if (job.upload) note("weights refused: " + message);
  refuse(job, error_response(status, message));
}

void RolloutWorker::Impl::refuse(Job& job, HttpResponse response) {
  {
    const std::lock_guard lock(mutex_);
    ++counters_.refused;
  }
  answer(job, std::move(response));
}

void RolloutWorker::Impl::answer(Job& job, HttpResponse response) {
  job.upload.reset();  // the file is gone, and the next may come, before the learner hears of it
  job.answered = true;
  job.responder.answer(std::move(response));
}

}  // namespace zeroth
