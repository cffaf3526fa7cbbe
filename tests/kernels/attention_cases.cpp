#include "tests/kernels/attention_cases.h"

#include <algorithm>
#include <cmath>

#include "tests/support/floats.h"

namespace zeroth::testing {

AttentionShape gqa_shape(std::int64_t H, std::int64_t Hkv, std::int64_t Dk, std::int64_t Dv) {
  return {.H = H,
          .Hkv = Hkv,
          .Dk = Dk,
          .Dv = Dv,
          .cache_row = Hkv * (Dk + Dv) + 2,
          .k_head = Dk,
          .v_offset = Hkv * Dk,
          .v_head = Dv,
          .scale = 0.7F};
}

AttentionShape latent_shape(std::int64_t H, std::int64_t Dk, std::int64_t Dv) {
  return {.H = H,
          .Hkv = 1,
          .Dk = Dk,
          .Dv = Dv,
          .cache_row = Dk + 2,
          .k_head = Dk,
          .v_offset = 0,
          .v_head = Dv,
          .scale = 0.4F};
}

AttentionBatch::AttentionBatch(const AttentionShape& s, const std::vector<GroupSpec>& specs,
                               std::int64_t page)
    : shape(s) {
  std::int64_t queries = 0;
  for (const GroupSpec& spec : specs) {
    AttentionGroup group{.prefix_length = spec.prefix_length,
                         .first_member = static_cast<std::int64_t>(members.size()),
                         .num_members = static_cast<std::int64_t>(spec.members.size())};
    append_keys(spec.prefix_length, page, &group.first_run, &group.num_runs);
    for (const MemberSpec& member_spec : spec.members) {
      AttentionMember member{.first_query = queries,
                             .num_queries = member_spec.num_queries,
                             .own_before = member_spec.own_before};
      append_keys(member_spec.own_before + member_spec.num_queries, page, &member.first_run,
                  &member.num_runs);
      members.push_back(member);
      queries += member_spec.num_queries;
    }
    groups.push_back(group);
  }
  q = random_floats(queries * shape.H * shape.Dk, 21);
  dout = random_floats(queries * shape.H * shape.Dv, 22);
  place_keys();
}

void AttentionBatch::append_keys(std::int64_t count, std::int64_t page, std::int64_t* first_run,
                                 std::int64_t* num_runs) {
  *first_run = static_cast<std::int64_t>(runs.size());
  for (std::int64_t done = 0; done < count; done += runs.back().count) {
    runs.push_back({.count = page == 0 ? count : std::min(page, count - done)});
  }
  *num_runs = static_cast<std::int64_t>(runs.size()) - *first_run;
}

// Gives every run its rows, the last run first, and fills them in the order of the keys.
void AttentionBatch::place_keys() {
  std::int64_t rows = 1;
  for (auto run = runs.rbegin(); run != runs.rend(); ++run) {
    run->row = rows;
    rows += run->count + 1;
  }
  cache.assign(static_cast<std::size_t>(rows * shape.cache_row), kNan);
  const std::int64_t used =
      std::max(shape.Hkv * shape.k_head, shape.v_offset + shape.Hkv * shape.v_head);
  std::uint32_t key = 0;
  for (const KeyRun& run : runs) {
    for (std::int64_t j = 0; j < run.count; ++j) {
      const auto values = random_floats(used, 1000 + key++);
      std::copy(values.begin(), values.end(), cache.begin() + (run.row + j) * shape.cache_row);
    }
  }
}

AttentionBatch AttentionBatch::without_sharing() const {
  AttentionBatch out = *this;
  out.groups.clear();
  out.members.clear();
  out.runs.clear();
  for (const AttentionGroup& group : groups) {
    for (std::int64_t m = group.first_member; m < group.first_member + group.num_members; ++m) {
      AttentionMember member = members[m];
      const auto first = static_cast<std::int64_t>(out.runs.size());
      for (std::int64_t r = 0; r < group.num_runs; ++r)
        out.runs.push_back(runs[group.first_run + r]);
      for (std::int64_t r = 0; r < member.num_runs; ++r)
        out.runs.push_back(runs[member.first_run + r]);
      member.first_run = first;
      member.num_runs += group.num_runs;
      member.own_before += group.prefix_length;
      out.groups.push_back(
          {.first_member = static_cast<std::int64_t>(out.members.size()), .num_members = 1});
      out.members.push_back(member);
    }
  }
  return out;
}

AttentionBatch AttentionBatch::in_chunks(std::int64_t chunk) const {
  AttentionBatch out = *this;
  out.groups.clear();
  out.members.clear();
  for (const AttentionGroup& group : groups) {
    for (std::int64_t m = group.first_member; m < group.first_member + group.num_members; ++m) {
      for (std::int64_t i = 0; i < members[m].num_queries; i += chunk) {
        AttentionGroup own = group;
        own.first_member = static_cast<std::int64_t>(out.members.size());
        own.num_members = 1;
        AttentionMember member = members[m];
        member.first_query += i;
        member.own_before += i;
        member.num_queries = std::min(chunk, member.num_queries - i);
        out.groups.push_back(own);
        out.members.push_back(member);
      }
    }
  }
  return out;
}

AttentionBatch AttentionBatch::only(std::int64_t group, std::int64_t member) const {
  AttentionBatch out = *this;
  out.groups = {groups[group]};
  out.members = {members[groups[group].first_member + member]};
  out.groups[0].first_member = 0;
  out.groups[0].num_members = 1;
  return out;
}

AttentionLayout AttentionBatch::layout() const {
  return {.groups = groups.data(),
          .num_groups = static_cast<std::int64_t>(groups.size()),
          .members = members.data(),
          .num_members = static_cast<std::int64_t>(members.size()),
          .runs = runs.data()};
}

std::int64_t AttentionBatch::num_queries() const {
  return static_cast<std::int64_t>(q.size()) / (shape.H * shape.Dk);
}

std::vector<float> AttentionBatch::forward(const Context& context, bool round_bf16) const {
  std::vector<float> out(dout.size(), kNan);
  attention(context, {.layout = layout(),
                      .shape = shape,
                      .q = q.data(),
                      .cache = cache.data(),
                      .out = out.data(),
                      .round_bf16 = round_bf16});
  return out;
}

AttentionBatch::Gradients AttentionBatch::backward(const Context& context,
                                                   std::vector<float> dcache) const {
  const auto rows = static_cast<std::size_t>(num_queries() * shape.H);
  std::vector<float> out(dout.size());
  std::vector<float> row_max(rows);
  std::vector<float> row_sum(rows);
  attention(context, {.layout = layout(),
                      .shape = shape,
                      .q = q.data(),
                      .cache = cache.data(),
                      .out = out.data(),
                      .row_max = row_max.data(),
                      .row_sum = row_sum.data()});
  Gradients gradients{std::vector<float>(q.size(), kNan), std::move(dcache)};
  attention_backward(context, {.layout = layout(),
                               .shape = shape,
                               .q = q.data(),
                               .cache = cache.data(),
                               .out = out.data(),
                               .row_max = row_max.data(),
                               .row_sum = row_sum.data(),
                               .dout = dout.data(),
                               .dq = gradients.dq.data(),
                               .dcache = gradients.dcache.data()});
  return gradients;
}

std::vector<float> AttentionBatch::empty_gradient() const {
  std::vector<float> gradient(cache.size(), kNan);
  for (std::size_t i = 0; i < cache.size(); ++i) {
    if (!std::isnan(cache[i])) gradient[i] = 0.0F;
  }
  return gradient;
}

}  // namespace zeroth::testing
