// Who samples which groups: workers take shares, idle ones what a slow one holds, and the first
// answer counts.
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "rollout/group_record.h"
#include "rollout/remote_call.h"

namespace zeroth {

// Waits for something to do; nullptr when the call is over.
RemoteEngine::Call::Unit* RemoteEngine::Call::take(Worker& worker) {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (over_ || failure_) return nullptr;
    if (!pending_.empty()) {
      const std::size_t workers = std::max<std::size_t>(1, num_at_hand());
      const std::size_t share = (pending_.size() + workers - 1) / workers;
      const auto end =
          pending_.begin() + static_cast<std::ptrdiff_t>(std::min(share, worker.most_groups));
      std::vector<std::size_t> indices(pending_.begin(), end);
      pending_.erase(pending_.begin(), end);
      return hold(worker, std::move(indices));
    }
    if (Unit* unit = take_from_slow(worker)) return unit;
    changed_.wait_for(lock, Seconds(0.2));
  }
}

// With mutex_ held: groups of a unit that has been out for more than twice as long as so many
// groups have taken so far; for groups that two hold already, four times that, and so on. Before
// anything has come nobody knows what is slow, and lost_seconds have to do.
RemoteEngine::Call::Unit* RemoteEngine::Call::take_from_slow(Worker& worker) {
  for (const auto& slow : flights_) {
    const double out = Seconds(Clock::now() - slow->start).count();
    double patience = config_.lost_seconds;
    if (num_answered_ > 0) {
      const double each = group_seconds_ / static_cast<double>(num_answered_);
      patience = std::max(0.5, 2.0 * each * static_cast<double>(slow->indices.size()));
    }
    std::vector<std::size_t> indices;
    for (const std::size_t i : slow->indices) {
      const bool is_due = out > patience * std::pow(4.0, holders_[i] - 1);
      if (is_due && answered_by_[i] == nullptr && indices.size() < worker.most_groups)
        indices.push_back(i);
    }
    if (indices.empty()) continue;
    note("worker " + worker.url + " samples again what " + slow->worker->url + " is slow with");
    return hold(worker, std::move(indices));
  }
  return nullptr;
}

// With mutex_ held.
RemoteEngine::Call::Unit* RemoteEngine::Call::hold(Worker& worker,
                                                   std::vector<std::size_t> indices) {
  for (const std::size_t i : indices) ++holders_[i];
  flights_.push_back(std::make_unique<Unit>(
      Unit{.indices = std::move(indices), .start = Clock::now(), .worker = &worker}));
  return flights_.back().get();
}

void RemoteEngine::Call::deliver(Worker& worker, Unit& unit, std::vector<Group> groups) {
  const std::lock_guard lock(mutex_);
  if (over_) return;
  group_seconds_ += Seconds(Clock::now() - unit.start).count();
  num_answered_ += unit.indices.size();
  worker.failures = 0;
  worker.refusals = 0;
  if (std::exchange(worker.lost, false)) note("worker " + worker.url + " is back");
  worker.problem.clear();
  for (std::size_t k = 0; k < unit.indices.size(); ++k) {
    const std::size_t index = unit.indices[k];
    --holders_[index];
    if (const Worker* other = answered_by_[index]) {
      std::string first, second;
      append_group_record(first, groups_[index]);
      append_group_record(second, groups[k]);
      if (first != second && !failure_) {
        failure_ = std::make_exception_ptr(std::runtime_error(
            "workers " + other->url + " and " + worker.url +
            " gave two answers to one request (step " + std::to_string(requests_[index].step) +
            ", problem " + std::to_string(requests_[index].problem) + "): one of them is broken"));
      }
      continue;
    }
    groups_[index] = std::move(groups[k]);
    answered_by_[index] = &worker;
    --left_;
    arrived_.push_back(index);
  }
  std::erase_if(flights_, [&](const auto& flight) { return flight.get() == &unit; });
  changed_.notify_all();
}

// `unit` may be none.
void RemoteEngine::Call::give_back(Unit* unit) {
  if (unit == nullptr) return;
  const std::lock_guard lock(mutex_);
  for (const std::size_t index : unit->indices) {
    if (--holders_[index] == 0 && answered_by_[index] == nullptr) pending_.push_front(index);
  }
  std::erase_if(flights_, [&](const auto& flight) { return flight.get() == unit; });
  changed_.notify_all();
}

// False when it takes not even one group.
bool RemoteEngine::Call::take_fewer(Worker& worker, std::size_t than) {
  if (than < 2) return false;
  const std::lock_guard lock(mutex_);
  worker.most_groups = than / 2;
  note("worker " + worker.url + " takes no request of " + std::to_string(than) +
       " groups; it gets " + std::to_string(worker.most_groups));
  return true;
}

}  // namespace zeroth
